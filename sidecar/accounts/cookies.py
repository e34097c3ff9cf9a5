"""
The cookie in which a browser keeps its session.

Through TLS it has another name, whose beginning makes browsers promise that this very host set it, through TLS and for
all of its paths. So a page of a sibling (`evil.example` beside `comfy.example`) or somebody on the wire can plant no
session of their own there, in which somebody would work for them. Which of the two names counts follows from how a
request came, never from what it holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Request, Response
from litestar.datastructures import Cookie

from sidecar.clients import client_of
from sidecar.settings import Settings

SESSION_COOKIE = "genonaut_session"
HOST_SESSION_COOKIE = "__Host-genonaut_session"  # RFC 6265bis, section 4.1.3.2


class SessionCookies:
    """Sets, reads and takes away the cookie. No script can, and no other website sends it along. One a process."""

    def __init__(self, settings: Settings) -> None:
        self._always_secure = settings.cookie_secure
        self._lasts_s = settings.session_at_most_s

    def secret_in(self, cookies: Mapping[str, str], scheme: str) -> str | None:
        """
        The session's secret, from the one cookie that counts.

        Args:
            scheme: What the client speaks.
        """
        return cookies.get(self._name(scheme))

    def give(self, request: Request[Any, Any, Any], answer: Response[Any], secret: str) -> None:
        answer.set_cookie(cookie(self._name(client_of(request).scheme), secret, self._lasts_s))

    def take_away(self, answer: Response[Any]) -> None:
        """Both: whoever logs out wants nothing of it left, however they came before."""
        for name in (SESSION_COOKIE, HOST_SESSION_COOKIE):
            answer.set_cookie(cookie(name, "", 0))

    def _name(self, scheme: str) -> str:
        return HOST_SESSION_COOKIE if self._always_secure or scheme == "https" else SESSION_COOKIE


def cookie(name: str, value: str, lasts_s: int) -> Cookie:
    return Cookie(
        key=name,
        value=value,
        path="/",  # ComfyUI's own routes need it, too
        max_age=lasts_s,
        httponly=True,
        samesite="lax",
        secure=name == HOST_SESSION_COOKIE,
    )
