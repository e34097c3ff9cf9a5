"""
What ComfyUI answers where the pack could not be installed: why, and nothing that changes anything.

A gate with one open side is worse than none, and ComfyUI goes on without a pack that fails.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from .own_names import listens_on_loopback_only
from .settings import OPEN
from .wire import Handler, error_answer

HARMLESS_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def close_doors(server: Any, exc: Exception) -> None:
    server.app.middlewares.insert(0, refuse_changes(f"{type(exc).__name__}: {exc}", may_look=may_look()))


@contextmanager
def closed_on_failure(server: Any) -> Iterator[None]:
    """
    Close ComfyUI's doors where something else of the pack cannot be loaded, before there are hooks.

    ComfyUI goes on without a pack that fails, and people who have accounts would have nothing between them any more. In
    open access it may: there it is the ComfyUI that it would be without the pack.
    """
    try:
        yield
    except Exception as exc:
        if not may_look():
            close_doors(server, exc)
        raise


def may_look() -> bool:
    """May whoever reaches this ComfyUI see what is in it? So it is where access is open, as far as can be told."""
    access = os.environ.get("GENONAUT_ACCESS", "").strip().lower()
    if access not in ("", OPEN):
        return False
    try:
        return listens_on_loopback_only(str(importlib.import_module("comfy.cli_args").args.listen))
    except (ImportError, AttributeError):  # what could not be installed may have failed for the same reason
        return False


def refuse_changes(reason: str, *, may_look: bool) -> Any:
    """Make a middleware that lets people change nothing, and look only where everything is everybody's anyway."""

    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        if may_look and request.method in HARMLESS_METHODS:
            return await handler(request)
        return error_answer(
            503,
            "genonaut_not_installed",
            "Genonaut could not be installed into this ComfyUI, so it accepts nothing. "
            "Its administrator finds the reason in ComfyUI's log.",
            details=reason,
        )

    return refuse
