"""
Refuses requests that were sent to another name than this computer's own.

A website can give its name the address 127.0.0.1 once its page is open (DNS rebinding). To the browser, ComfyUI is
then that website, and its script may read and change everything here. What gives it away is the name in ``Host``. A
ComfyUI that others may reach has names that we cannot know, so there this is not looked at.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from aiohttp import web

from .access_rules import path_of
from .sidecar_proxy import problem
from .wire import Handler, error_answer

KIND = "not_this_computer"
SENTENCE = (
    "This ComfyUI serves only the computer it runs on, so open it as http://localhost or http://127.0.0.1, "
    "with its port. "
    "A proxy in front of it must pass localhost on as the Host."
)


def listens_on_loopback_only(addresses: str) -> bool:
    """Read what was given to ComfyUI as ``--listen``: addresses with commas between them."""
    return all(is_loopback(address.strip()) for address in addresses.split(","))


def is_loopback(name: str) -> bool:
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def is_own_name(host: str) -> bool:
    """Is this ``Host`` one of this computer's own names, with or without a port?"""
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:  # half an IPv6 address
        return False


@web.middleware
async def refuse_other_names(request: web.Request, handler: Handler) -> web.StreamResponse:
    path = guarded_path(request)
    # Every browser sends a Host; what sends none is no browser that a website could use.
    if path is None or is_own_name(request.headers.get("Host", "localhost")):
        return await handler(request)
    if path == "/genonaut/{path}":
        return problem(403, KIND, SENTENCE)
    return error_answer(403, KIND, SENTENCE)


def guarded_path(request: web.Request) -> str | None:
    """Give the path of the route that was found, as `path_of` does, if it is one of ours."""
    path = path_of(request) or ""
    is_ours = path.startswith("/genonaut/") or (path == "/prompt" and request.method == "POST")
    return path if is_ours else None
