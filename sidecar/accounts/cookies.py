"""The cookie in which a browser keeps its session."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response
from litestar.datastructures import Cookie

from sidecar.accounts.authentication import SESSION_COOKIE
from sidecar.clients import client_of
from sidecar.settings import Settings


class SessionCookies:
    """Sets and takes away the cookie. No script can read it, and no other website sends it along. One a process."""

    def __init__(self, settings: Settings) -> None:
        self._secure = settings.cookie_secure
        self._lasts_s = settings.session_at_most_s

    def give(self, request: Request[Any, Any, Any], answer: Response[Any], secret: str) -> None:
        answer.set_cookie(self._cookie(request, secret, self._lasts_s))

    def take_away(self, request: Request[Any, Any, Any], answer: Response[Any]) -> None:
        answer.set_cookie(self._cookie(request, "", 0))

    def _cookie(self, request: Request[Any, Any, Any], value: str, lasts_s: int) -> Cookie:
        return Cookie(
            key=SESSION_COOKIE,
            value=value,
            path="/",  # ComfyUI's own routes need it, too
            max_age=lasts_s,
            httponly=True,
            samesite="lax",
            secure=self._secure or client_of(request).scheme == "https",
        )
