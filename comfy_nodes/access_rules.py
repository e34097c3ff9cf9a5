"""
Who may use which of ComfyUI's routes, in one table: those of 0.3.75 and 0.30, and of ComfyUI-Manager 3 and 4.

A route is named as ComfyUI declares it, without any leading ``/api``: every route exists with and without, and those
of jobs even as ``/api/api/jobs``. It is the route that was found, never the text of the address, so that no way of
writing it leads around its row. ``HEAD`` counts as ``GET``. ``/*`` at the end stands for everything below.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from aiohttp import web


class Rule(Enum):
    PUBLIC = "public"  #: everybody; nobody is asked who they are
    MEMBER = "member"  #: whoever has logged in; the same for all of them
    OWNER = "owner"  #: whoever has logged in; only what is theirs, which is seen to where the data is
    KEEPER = "keeper"  #: the same, but not for guests, who keep nothing here
    ADMIN = "admin"  #: administrators
    OURS = "ours"  #: below /genonaut/: the pack's own routes and the sidecar see for themselves who is asking


FRONTEND_FILES = "(files of the frontend)"
"""The static folder that ComfyUI serves at its root; its route has no name of its own."""

RULES: dict[str, Rule] = {
    # Before anybody has logged in
    f"GET {FRONTEND_FILES}": Rule.PUBLIC,  # as they are in the frontend's package; navigations get the login page
    "GET /genonaut/login": Rule.PUBLIC,
    "* /genonaut/*": Rule.OURS,
    # The page
    "GET /": Rule.MEMBER,
    "GET /ws": Rule.OWNER,  # client_sockets.py
    "GET /extensions": Rule.MEMBER,
    "GET /extensions/*": Rule.MEMBER,
    "GET /docs/*": Rule.MEMBER,
    "GET /templates/*": Rule.MEMBER,
    "GET /workflow_templates": Rule.MEMBER,
    "GET /workflow_templates/*": Rule.MEMBER,
    "GET /features": Rule.MEMBER,
    "GET /i18n": Rule.MEMBER,
    "GET /global_subgraphs": Rule.MEMBER,
    "GET /global_subgraphs/{id}": Rule.MEMBER,
    "GET /node_replacements": Rule.MEMBER,
    "GET /system_stats": Rule.MEMBER,  # without command line and paths (redaction.py)
    # Models: shared by intent
    "GET /embeddings": Rule.MEMBER,
    "GET /models": Rule.MEMBER,
    "GET /models/{folder}": Rule.MEMBER,
    "GET /experiment/models": Rule.MEMBER,
    "GET /experiment/models/{folder}": Rule.MEMBER,
    "GET /experiment/models/preview/{folder}/{path_index}/{filename}": Rule.MEMBER,
    "GET /view_metadata/{folder_name}": Rule.MEMBER,
    # Prompts, and what became of them
    "GET /prompt": Rule.MEMBER,  # how many wait
    "POST /prompt": Rule.OWNER,  # prompt_gate.py
    "GET /queue": Rule.OWNER,  # owned_queue.py
    "POST /queue": Rule.OWNER,
    "POST /interrupt": Rule.OWNER,  # interrupts.py
    "GET /history": Rule.OWNER,
    "POST /history": Rule.OWNER,
    "GET /history/{prompt_id}": Rule.OWNER,
    "GET /jobs": Rule.OWNER,
    "GET /jobs/{job_id}": Rule.OWNER,
    "POST /jobs/{job_id}/cancel": Rule.OWNER,
    "POST /jobs/cancel": Rule.OWNER,
    # Files
    "GET /view": Rule.OWNER,
    "GET /internal/files/{directory_type}": Rule.OWNER,
    "GET /object_info": Rule.OWNER,
    "GET /object_info/{node_class}": Rule.OWNER,
    "POST /upload/image": Rule.KEEPER,
    "POST /upload/mask": Rule.KEEPER,
    "* /assets": Rule.ADMIN,  # what runs makes is registered there as everybody's
    "* /assets/*": Rule.ADMIN,
    "* /tags": Rule.ADMIN,
    "* /tags/*": Rule.ADMIN,
    # Settings and saved workflows (user_folders.py)
    "GET /users": Rule.OWNER,
    "POST /users": Rule.ADMIN,
    "GET /settings": Rule.OWNER,
    "GET /settings/{id}": Rule.OWNER,
    "POST /settings": Rule.KEEPER,
    "POST /settings/{id}": Rule.KEEPER,
    "GET /userdata": Rule.OWNER,
    "GET /v2/userdata": Rule.OWNER,
    "GET /userdata/{file}": Rule.OWNER,
    "POST /userdata/{file}": Rule.KEEPER,
    "DELETE /userdata/{file}": Rule.KEEPER,
    "POST /userdata/{file}/move/{dest}": Rule.KEEPER,
    # The machine
    "POST /free": Rule.ADMIN,
    "* /internal/*": Rule.ADMIN,  # the log with everybody's prompts and errors, absolute paths
    # ComfyUI-Manager: installs and updates programs, and starts ComfyUI anew
    "* /manager/*": Rule.ADMIN,
    "* /customnode/*": Rule.ADMIN,
    "* /snapshot/*": Rule.ADMIN,
    "* /externalmodel/*": Rule.ADMIN,
    "* /comfyui_manager/*": Rule.ADMIN,
    "* /v2/manager/*": Rule.ADMIN,
    "* /v2/customnode/*": Rule.ADMIN,
    "* /v2/snapshot/*": Rule.ADMIN,
    "* /v2/externalmodel/*": Rule.ADMIN,
    "* /v2/comfyui_manager/*": Rule.ADMIN,
}


def path_of(request: web.Request) -> str | None:
    """Give the path of the route that was found, as it was declared, without ``/api``; None where none was found."""
    if request.match_info.http_exception is not None:
        return None
    route: Any = request.match_info.route
    if route.resource is None:
        return None
    path = str(route.resource.canonical)
    while path.startswith("/api/"):
        path = path[len("/api") :]
    if path == "" and isinstance(route.resource, web.StaticResource):
        return FRONTEND_FILES
    return path


def rule_for(method: str, path: str) -> Rule | None:
    """Look up who may use a route; None for one that is not in the table."""
    method = "GET" if method == "HEAD" else method
    for pattern in (path, *enclosing(path)):
        found = RULES.get(f"{method} {pattern}") or RULES.get(f"* {pattern}")
        if found is not None:
            return found
    return None


def enclosing(path: str) -> list[str]:
    """Give the patterns for what lies below a path and above it: ``/a/b`` is below ``/a/b/*`` and ``/a/*``."""
    steps = path.split("/")
    return ["/".join(steps[:length]) + "/*" for length in range(len(steps), 1, -1)]
