"""
Whose page is asking?

A browser lets any website send requests to this machine, and a website whose name suddenly points here (DNS rebinding)
read the answers, too. In `open` access there is no log-in that would stop it, so foreign pages are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litestar import Request

from sidecar.addresses import hostname, is_loopback, place
from sidecar.errors import ForeignOrigin

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def refuse_foreign_pages(listens_at: str) -> Callable[[Request[Any, Any, Any]], None]:
    """
    A hook that lets nobody's page in but ComfyUI's own.

    Args:
        listens_at: The address that the sidecar listens on. On loopback it can only be meant by a loopback name.
    """
    only_loopback = is_loopback(f"http://{listens_at}")

    def check(request: Request[Any, Any, Any]) -> None:
        if only_loopback and not is_loopback(f"http://{request.headers.get('host', '')}"):
            raise ForeignOrigin
        if request.method not in SAFE_METHODS and is_foreign(request):
            raise ForeignOrigin

    return check


def is_foreign(request: Request[Any, Any, Any]) -> bool:
    """Does a page of another host ask? What is no browser says nothing of its origin and is let through."""
    if request.headers.get("sec-fetch-site") == "cross-site":
        return True
    origin = request.headers.get("origin")
    if origin is None:
        return False
    # The pack says what the browser called ComfyUI; a foreign page cannot set this header without being asked first.
    host: str = request.headers.get("x-forwarded-host") or request.headers.get("host") or ""
    if is_loopback(f"//{host}"):  # another port of this machine is another program's
        return place(origin) != host.lower()
    return hostname(origin) != hostname(f"//{host}")
