"""Takes out of ComfyUI's answers what concerns only those who look after the machine."""

from __future__ import annotations

import json

from aiohttp import web

from .caller import Caller
from .wire import json_answer


def without_facts_for_admins(path: str | None, caller: Caller, answer: web.StreamResponse) -> web.StreamResponse:
    """Leave the command line out of `/system_stats`: folders, addresses and keys may stand in it."""
    if path != "/system_stats" or caller.is_admin or not isinstance(answer, web.Response) or not answer.text:
        return answer
    stats = json.loads(answer.text)
    stats["system"]["argv"] = []  # the page wants a list there
    return json_answer(stats)
