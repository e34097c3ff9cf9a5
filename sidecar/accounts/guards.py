"""Who may do what: the one place that says so."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from sidecar.accounts.authentication import PUBLIC
from sidecar.accounts.callers import Caller, Role, Scope
from sidecar.errors import AdministratorsOnly, ScopeMissing

OPTIONS = "OPTIONS"  # tells what may be asked, to everybody
SAFE_METHODS = frozenset({"GET", "HEAD", OPTIONS})

Connection = ASGIConnection[Any, Caller, Any, Any]


def requires_scope(connection: Connection, handler: BaseRouteHandler) -> None:
    """
    Whoever looks needs `read`, whoever changes something `submit`.

    Raises:
        ScopeMissing: The token was made for less.
    """
    method = method_of(connection)
    if handler.opt.get(PUBLIC) or method == OPTIONS:
        return
    needed = Scope.READ if method in SAFE_METHODS else Scope.SUBMIT
    if not connection.user.may(needed):
        raise ScopeMissing


def requires_admin(connection: Connection, _handler: BaseRouteHandler) -> None:
    """
    Raises:
        AdministratorsOnly: Somebody else asks.
        ScopeMissing: An administrator asks with a token that was made for less.
    """
    if method_of(connection) == OPTIONS:
        return
    if connection.user.role is not Role.ADMIN:
        raise AdministratorsOnly
    if not connection.user.may(Scope.ADMIN):
        raise ScopeMissing


def method_of(connection: Connection) -> str:
    return str(connection.scope.get("method", OPTIONS))
