"""
Who may do what: the one place that says so.

Each route names one of these guards beside it, or is for everybody (`opt={PUBLIC: True}`); one that says nothing of it
does not start. That people touch only what is theirs is no guard's business: every query asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from litestar import Litestar, Request
from litestar.connection import ASGIConnection
from litestar.exceptions import ImproperlyConfiguredException
from litestar.handlers import HTTPRouteHandler
from litestar.handlers.base import BaseRouteHandler
from litestar.routes import HTTPRoute

from sidecar.accounts.authentication import PUBLIC
from sidecar.accounts.callers import Caller, Role, Scope
from sidecar.accounts.paired import require_pairing
from sidecar.errors import AdministratorsOnly, MembersOnly, NotWithToken, ScopeMissing

OPTIONS = "OPTIONS"  # tells what may be asked, to everybody
SAFE_METHODS = frozenset({"GET", "HEAD", OPTIONS})

Connection = ASGIConnection[Any, Caller, Any, Any]

# All of them asynchronous, though they wait for nothing: Litestar would send any other guard through a thread.


async def requires_read(connection: Connection, _handler: BaseRouteHandler) -> None:
    """
    For whoever looks at what is theirs.

    Raises:
        ScopeMissing: The token was made for something else.
    """
    require_scope(connection.user, Scope.READ)


async def requires_submit(connection: Connection, _handler: BaseRouteHandler) -> None:
    """
    For whoever makes or changes what is theirs.

    Raises:
        ScopeMissing: The token was made for looking alone.
    """
    require_scope(connection.user, Scope.SUBMIT)


async def requires_member(connection: Connection, _handler: BaseRouteHandler) -> None:
    """
    Beside one of the others: guests may not.

    Raises:
        MembersOnly: A guest asks.
    """
    if connection.user.role is Role.GUEST:
        raise MembersOnly


async def requires_log_in(connection: Connection, _handler: BaseRouteHandler) -> None:
    """
    Beside one of the others, for what says how somebody is let in: a token that leaked must not lock its owner out.

    Raises:
        NotWithToken: A program asks, with a token.
    """
    if connection.user.token_id is not None:
        raise NotWithToken


async def requires_admin(connection: Connection, _handler: BaseRouteHandler) -> None:
    """
    Raises:
        AdministratorsOnly: Somebody else asks.
        ScopeMissing: An administrator asks with a token that was made for less.
    """
    if connection.user.role is not Role.ADMIN:
        raise AdministratorsOnly
    require_scope(connection.user, Scope.ADMIN)


async def requires_pairing(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """
    For the paired ComfyUI alone.

    Raises:
        NotPaired: It does not prove that it has our secret.
        ClocksDiffer: It does, and one of the two clocks is wrong.
    """
    await require_pairing(cast(Request[Any, Any, Any], connection))  # a route's connection is its request


def require_scope(caller: Caller, scope: Scope) -> None:
    if not caller.may(scope):
        raise ScopeMissing


READING, CHANGING = frozenset({requires_read}), frozenset({requires_submit, requires_admin, requires_pairing})


def require_guards(app: Litestar) -> None:
    """
    Raises:
        ImproperlyConfiguredException: A route does not say who may ask, or changes something for whoever may look.
    """
    for path, handler in guarded_routes(app):
        guards = set(handler.resolve_guards())
        wanted = CHANGING if handler.http_methods - SAFE_METHODS else READING | CHANGING
        if not guards & wanted and not handler.opt.get(PUBLIC):
            raise ImproperlyConfiguredException(
                f"{' '.join(handler.http_methods)} {path} does not say who may ask: "
                f"name a guard of {__name__}, or opt={{PUBLIC: True}}."
            )


def guarded_routes(app: Litestar) -> Iterator[tuple[str, HTTPRouteHandler]]:
    """Every handler of every route, but those that Litestar adds to tell which methods there are."""
    for route in app.routes:
        if not isinstance(route, HTTPRoute):  # a websocket or another application: nobody has thought of its guards
            raise ImproperlyConfiguredException(f"{route.path} is no plain route, and no guard is known for it.")
        for handler in route.route_handlers:
            if handler.http_methods != {OPTIONS}:
                yield route.path, handler
