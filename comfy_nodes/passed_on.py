"""What ComfyUI answers to a person, as it is passed on to them."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Any

from aiohttp import web

from .access_rules import FRONTEND_FILES, path_of
from .wire import Handler, error_answer

BAD_REQUEST, INTERNAL_ERROR = 400, 500
NOT_FOUND = "There is no such thing here."


async def answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Have it answered; what is refused or not there is told in ComfyUI's error shape, whoever found that out."""
    if path_of(request) == FRONTEND_FILES and not is_file_of_frontend(request):
        return error_answer(404, "not_found", NOT_FOUND)
    try:
        answer = await handler(request)
    except web.HTTPException as exc:
        if exc.status < BAD_REQUEST:
            raise
        return as_error(exc.status, exc.reason, "")
    is_bare = isinstance(answer, web.Response) and (not answer.body or answer.content_type == "text/plain")
    if isinstance(answer, web.Response) and is_bare and BAD_REQUEST <= answer.status < INTERNAL_ERROR:
        return as_error(answer.status, answer.reason or "Refused", answer.text or "")
    return answer


def kept_apart(answer: web.StreamResponse) -> web.StreamResponse:
    """Tell browsers and proxies that another person gets another answer at the same address, and no frame around it."""
    if not answer.prepared:
        vary = [answer.headers["Vary"]] if "Vary" in answer.headers else []
        answer.headers["Vary"] = ", ".join([*vary, "Cookie", "Authorization"])
        answer.headers.setdefault("X-Frame-Options", "SAMEORIGIN")
    return answer


def as_error(status: int, reason: str, text: str) -> web.Response:
    """Say with what programs can read what ComfyUI says in plain text, or without a word."""
    kind = reason.lower().replace(" ", "_").replace("-", "_")
    return error_answer(status, kind, text or (NOT_FOUND if status == HTTPStatus.NOT_FOUND else f"{reason}."))


def is_file_of_frontend(request: web.Request) -> bool:
    """Is there such a file? ComfyUI finds that out only while it answers, and then says nothing."""
    route: Any = request.match_info.route
    folder: Path = route.resource.get_info()["directory"]
    file = Path(request.match_info["filename"])
    # Nothing elsewhere is looked for: on Windows that might ask another computer, and show it a password's hash.
    return not file.anchor and ".." not in file.parts and (folder / file).is_file()
