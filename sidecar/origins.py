"""
Whose page is asking?

A browser lets any website send requests to wherever it likes, with the cookies of whoever sits before it, and a website
whose name suddenly points to this machine (DNS rebinding) reads the answers, too. So a page of another place changes
nothing here; and in `open` access, where no log-in would stop it, nobody is heard who calls this machine by a name that
others could have.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from litestar import Request
from litestar.config.cors import CORSConfig

from sidecar.addresses import is_loopback
from sidecar.clients import client_of
from sidecar.errors import ForeignOrigin
from sidecar.request_ids import REQUEST_ID_HEADER
from sidecar.settings import Access, Settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OUR_OWN = frozenset({"same-origin", "none"})  # Sec-Fetch-Site; `none`: somebody typed the address
DEFAULT_PORTS = {"http": 80, "https": 443}
KEPT_FOR_S = 600

AnyRequest = Request[Any, Any, Any]


def refuse_foreign_pages(settings: Settings) -> Callable[[AnyRequest], Awaitable[None]]:
    """A hook before every request that lets nobody's page in but ComfyUI's own, and those that the settings name."""
    only_by_loopback_names = settings.access is Access.OPEN and is_loopback(f"http://{settings.host}")
    allowed = frozenset(settings.allowed_origins)

    # Asynchronous, though it waits for nothing: Litestar would send any other hook through a thread.
    async def check(request: AnyRequest) -> None:
        if only_by_loopback_names and not is_loopback(f"http://{request.headers.get('host', '')}"):
            raise ForeignOrigin
        if request.method not in SAFE_METHODS and not shows_a_token(request) and is_foreign(request, allowed):
            raise ForeignOrigin

    return check


def shows_a_token(request: AnyRequest) -> bool:
    """No browser adds this by itself, as it adds cookies, and passwords that were typed into an address (Basic)."""
    return request.headers.get("authorization", "").lower().startswith("bearer ")


def is_foreign(request: AnyRequest, allowed: frozenset[str]) -> bool:
    """
    Does a page of another place ask? What is no browser says nothing of its page and is let through.

    Every browser of today says it in `Sec-Fetch-Site`, which no page can write, if it is through TLS or on its own
    machine; else in `Origin`.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if origin in allowed:
        return False
    if site is not None:
        return site not in OUR_OWN
    return origin is not None and not is_same_place(origin, client_of(request).host)


def is_same_place(origin: str, host: str) -> bool:
    """
    Is it what the browser called us?

    Some proxies leave out the port. Then the name alone is compared: whoever answers at another port of it gets the
    cookies of this one, too. But another port of one's own machine is another program's.
    """
    try:
        theirs, ours = urlsplit(origin), urlsplit(f"//{host}")
        ports = theirs.port, ours.port
    except ValueError:  # one of them is no address
        return False
    if not theirs.hostname or theirs.hostname != ours.hostname:  # such as `null`, a page without a place
        return False
    if ours.port is None and not is_loopback(f"//{host}"):
        return True
    return len({port or DEFAULT_PORTS.get(theirs.scheme) for port in ports}) == 1


def pages_let_in(settings: Settings) -> CORSConfig | None:
    """Whose pages, besides ComfyUI's own, may read answers (CORS). None at all unless the settings name some."""
    if not settings.allowed_origins:
        return None
    return CORSConfig(
        allow_origins=list(settings.allowed_origins),
        allow_credentials=True,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Idempotency-Key", "If-None-Match", "Range", REQUEST_ID_HEADER],
        expose_headers=["Content-Disposition", "Content-Range", "ETag", "Retry-After", REQUEST_ID_HEADER],
        max_age=KEPT_FOR_S,
    )
