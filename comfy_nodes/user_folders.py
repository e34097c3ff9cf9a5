"""
Gives everybody a folder of their own for settings and saved workflows, below ComfyUI's `user` folder.

ComfyUI asks one function whose folder a request is about. Its own answer is `default`, or with `--multi-user` whatever
the browser says in a header, which nobody checks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from .caller import LOCAL_OWNER_ID, only_theirs
from .wire import json_answer

THE_ONLY_USER = "default"
"""ComfyUI's name for whoever uses it alone: whoever did so before there were accounts finds their workflows again."""


def own_folder(get_request_user_id: Callable[..., str]) -> Callable[..., str]:
    """Make ComfyUI's `get_request_user_id` answer with the id of who is asking; they are UUIDs, so safe as names."""

    def whose_folder(request: Any, *args: Any, **kwargs: Any) -> str:
        caller = only_theirs()
        if caller is None:
            return get_request_user_id(request, *args, **kwargs)
        if not caller.user_id:
            raise KeyError("Nobody has logged in.")  # what ComfyUI's handlers expect for an unknown user
        return THE_ONLY_USER if caller.user_id == LOCAL_OWNER_ID else caller.user_id

    return whose_folder


async def tell_users(request: web.Request) -> web.Response:
    """Answer `GET /users` as a ComfyUI with one user does: its page shows no list of people to choose from."""
    return json_answer({"storage": "server", "migrated": True})
