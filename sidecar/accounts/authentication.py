"""
`connection.user`: who is asking, on every route that is not for everybody (`opt={"public": True}`).

`connection.auth` is the moment (`time.monotonic`) since when that is known to be so.
"""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.types import ASGIApp

from sidecar.accounts.callers import Caller
from sidecar.accounts.cookies import SessionCookies
from sidecar.accounts.credentials import Credentials
from sidecar.accounts.recognition import Recognition
from sidecar.clients import client_of
from sidecar.errors import Refused

PUBLIC = "public"


class Authentication(AbstractAuthenticationMiddleware):
    """Finds out who is asking before anything else of the request is looked at."""

    def __init__(self, app: ASGIApp, recognition: Recognition) -> None:
        super().__init__(app, exclude_from_auth_key=PUBLIC, scopes={ScopeType.HTTP})
        self._recognition = recognition

    async def authenticate_request(self, connection: ASGIConnection[Any, Any, Any, Any]) -> AuthenticationResult:
        began = time.monotonic()
        return AuthenticationResult(user=await self._recognition.caller_of(credentials_of(connection)), auth=began)


def credentials_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Credentials:
    client = client_of(connection)
    user_header: str = connection.app.state.proxy_user_header
    cookies: SessionCookies = connection.app.state.session_cookies
    return Credentials(
        address=client.address,
        cookie=cookies.secret_in(connection.cookies, client.scheme),
        authorization=connection.headers.get("authorization"),
        forwarded_user=name_in(connection.headers.get(user_header)) if client.is_vouched_for else None,
    )


def name_in(header: str | None) -> str | None:
    """
    The name of a person as a proxy writes it: in UTF-8, and else in Latin-1, as Litestar takes every header to be.

    The pack reads it in the same way, or one person would be two.
    """
    if header is None:
        return None
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return header


async def caller_if_any(request: Request[Any, Any, Any], recognition: Recognition) -> Caller | None:
    """Who is asking, on a route that is for everybody; None where nobody can say."""
    try:
        return await recognition.caller_of(credentials_of(request))
    except Refused:
        return None


def caller(request: Request[Caller, Any, Any]) -> Caller:
    """Who is asking, for handlers that ask for it by this name."""
    return request.user


def owner_id(request: Request[Caller, Any, Any]) -> UUID:
    """Whose everything is that the request asks for."""
    return request.user.user_id
