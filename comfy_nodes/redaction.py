"""Takes out of ComfyUI's answers what concerns only those who look after the machine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from aiohttp import web

from .caller import Caller
from .wire import json_answer

SEPARATORS = re.compile(r"[/\\]")


def without_facts_for_admins(path: str | None, caller: Caller, answer: web.StreamResponse) -> web.StreamResponse:
    """Leave out where things are on the machine, and how ComfyUI was started."""
    redact = REDACTED.get(path or "")
    if redact is None or caller.is_admin or not isinstance(answer, web.Response) or not answer.text:
        return answer
    return json_answer(redact(json.loads(answer.text)))


def without_command_line(stats: dict[str, Any]) -> dict[str, Any]:
    """Folders, addresses and keys may stand in it."""
    return {**stats, "system": {**stats["system"], "argv": []}}  # the page wants a list there


def without_places(kinds: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave of each folder of models its name."""
    return [{**kind, "folders": [SEPARATORS.split(folder)[-1] for folder in kind["folders"]]} for kind in kinds]


REDACTED: dict[str, Callable[[Any], Any]] = {
    "/system_stats": without_command_line,
    "/experiment/models": without_places,
}
