"""Whose page asks: what a browser tells of it."""

from __future__ import annotations

from typing import Any, cast

import pytest
from litestar import Request

from sidecar.clients import CLIENT, Client
from sidecar.origins import is_foreign, is_same_place, shows_a_token

FRIEND = "https://tools.example"


def request(host: str = "comfy.example", **headers: str) -> Request[Any, Any, Any]:
    raw = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": "POST",
        "headers": raw,
        "state": {CLIENT: Client("192.168.1.5", "https", host)},
    }
    return Request(cast(Any, scope))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec_Fetch_Site": "same-origin", "Origin": "https://comfy.example"},
        {"Sec_Fetch_Site": "same-origin", "Origin": "https://what-a-proxy-does-not-say.example"},
        {"Sec_Fetch_Site": "none"},
        {"Origin": "https://comfy.example"},
        {"Origin": "http://comfy.example:8188"},
        {"Origin": FRIEND},
        {"Origin": FRIEND, "Sec_Fetch_Site": "cross-site"},
    ],
)
def test_our_own_page_is_let_in_and_what_is_none_and_those_that_are_named(headers: dict[str, str]):
    """Sec-Fetch-Site comes first: the browser itself compares, whatever proxies make of names."""
    assert not is_foreign(request(**headers), frozenset({FRIEND}))


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site", "Origin": "https://comfy.example:9999"},
        {"Sec_Fetch_Site": "something new"},
        {"Origin": "https://evil.example"},
        {"Origin": "https://comfy.example.evil.example"},
        {"Origin": "https://tools.example.evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "https://["},
    ],
)
@pytest.mark.parametrize("host", ["comfy.example", "comfy.example:8188", "127.0.0.1:8188", ""])
def test_every_other_page_is_not(headers: dict[str, str], host: str):
    """Neighbours at another port of the same machine and pages without a place included."""
    assert is_foreign(request(host, **headers), frozenset({FRIEND}))


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://127.0.0.1:8188", "127.0.0.1:8188", True),
        ("http://127.0.0.1:3000", "127.0.0.1:8188", False),
        ("http://localhost:3000", "localhost", False),
        ("http://localhost", "localhost", True),
        ("http://[::1]:8188", "[::1]:8188", True),
        ("https://comfy.example", "comfy.example:443", True),
        ("https://COMFY.example", "comfy.EXAMPLE", True),
        ("https://comfy.example:8443", "comfy.example", True),
        ("https://comfy.example:8443", "comfy.example:8444", False),
    ],
)
def test_places_are_compared_with_the_port_where_the_proxy_says_one(origin: str, host: str, same: bool):
    """On this machine always: another port is another program there."""
    assert is_same_place(origin, host) is same


@pytest.mark.parametrize(
    ("authorization", "shows"), [("Bearer gno_x", True), ("bearer x", True), ("Basic eDp5", False)]
)
def test_only_what_no_browser_sends_by_itself_says_that_the_caller_means_it(authorization: str, shows: bool):
    """Browsers remember passwords for Basic, and send them along whoever's page asks."""
    assert shows_a_token(request(Authorization=authorization)) is shows
