"""Who may do what: the one place that says so."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler


def requires_admin(_connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """In open access there is one person, the local owner, and whoever reaches this sidecar is that person."""
