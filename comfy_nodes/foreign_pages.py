"""What pages of other websites have a browser ask for, with the credentials that it adds by itself."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web

from .access_rules import FRONTEND_FILES, Rule, path_of, rule_for
from .credentials import Credentials
from .own_names import is_loopback
from .rights import FORBIDDEN, SAFE_METHODS, Refusal

PAGES = frozenset({"/", "/genonaut/login", FRONTEND_FILES})
FOREIGN_PAGE = "This was asked for by a page of another website, so it was not done."


def refuse_foreign_pages(
    request: web.Request, path: str | None, credentials: Credentials, allowed_origins: frozenset[str]
) -> None:
    """
    Refuse what another website's page asks a browser to do here with credentials that the browser adds by itself.

    Looking is left alone, since other pages cannot read the answer. A websocket they could read; and some routes do
    something although one only seems to look: ComfyUI-Manager starts ComfyUI anew when a link is followed.

    Raises:
        Refusal: It is that.
    """
    if not credentials.come_by_themselves or is_only_looked_at(request.method, path):
        return
    if not is_own_page(request) and request.headers.get("Origin") not in allowed_origins:
        raise Refusal(FORBIDDEN, "foreign_page", FOREIGN_PAGE)


def is_only_looked_at(method: str, path: str | None) -> bool:
    """Is this known to change nothing, and to be of no use to a page that cannot read the answer?"""
    if method not in SAFE_METHODS or path == "/ws":
        return False
    return path is None or rule_for(method, path) not in (None, Rule.ADMIN)


def is_own_page(request: web.Request) -> bool:
    """Was this asked for by a page of ours, or by no page at all? Browsers say so; programs say nothing."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    # No page can make a browser send X-Forwarded-Host, so it need not be known who wrote it.
    hosts = filter(None, [request.headers.get(name, "").lower() for name in ("Host", "X-Forwarded-Host")])
    return any(is_same_place(origin, host) for host in hosts)


def is_same_place(origin: str, host: str) -> bool:
    """
    Is it what the browser called us?

    Some proxies leave out the port. Then the name alone is compared: whoever answers at another port of it gets our
    cookies anyway. But another port of one's own machine is another program's.
    """
    try:
        place = urlsplit(origin)
    except ValueError:  # half an IPv6 address
        return False
    if host == place.netloc.lower():
        return True
    return host == place.hostname and not is_loopback(host)


def is_navigation(request: web.Request) -> bool:
    """Does somebody open this address in a browser, and would see what is answered?"""
    if request.method not in SAFE_METHODS:
        return False
    mode = request.headers.get("Sec-Fetch-Mode")
    return mode == "navigate" if mode is not None else "text/html" in request.headers.get("Accept", "")


def as_opened_here(request: web.Request) -> web.Request:
    """
    Let people follow a link of another website, or of their mail, to a page of ours.

    Newer versions of ComfyUI refuse whatever another site leads to, for want of knowing who is asking.
    """
    if path_of(request) not in PAGES or not is_navigation(request) or "Sec-Fetch-Site" not in request.headers:
        return request
    headers = request.headers.copy()
    headers["Sec-Fetch-Site"] = "none"
    return request.clone(headers=headers)
