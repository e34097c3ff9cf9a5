"""
Each request has an id, which its answer, its problem and every line that it logs carry.

A proxy or a client that has one already sends it as `X-Request-ID`, so that one id leads through everybody's logs.
"""

from __future__ import annotations

import re
from typing import Any

from litestar.connection import ASGIConnection

from sidecar.identity import uuid7

REQUEST_ID_HEADER = "X-Request-ID"
REQUEST_ID = "request_id"
"""Where in a connection's state it stands, and what it is called in the log."""

WELL_FORMED = re.compile(
    r"[A-Za-z0-9._-]{8,64}"
)  # UUIDs, trace ids and nginx's own; nothing that could write a line of log


def choose_request_id(offered: str | None) -> str:
    """The one that was sent along, where it is one."""
    return offered if offered and WELL_FORMED.fullmatch(offered) else str(uuid7())


def request_id_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """Of a connection that came in through the entrance (`entrance.py`)."""
    request_id: str = connection.scope["state"][REQUEST_ID]
    return request_id
