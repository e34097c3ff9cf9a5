"""Who is at the other end, and whose word is taken for it."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any, cast

import pytest

from sidecar.clients import Client, TrustedProxies

PROXIES = TrustedProxies(map(ip_network, ("127.0.0.0/8", "::1", "10.0.0.2")))
PACK = {"X-Forwarded-Prefix": "/genonaut"}


def asked(peer: str | None, headers: dict[str, str]) -> Client:
    raw = [(name.lower().encode(), value.encode()) for name, value in {"Host": "127.0.0.1:8190", **headers}.items()]
    scope: Any = {"type": "http", "client": (peer, 1) if peer else None, "scheme": "http", "headers": raw, "state": {}}
    return PROXIES.client_of(cast(Any, scope))


@pytest.mark.parametrize("peer", ["192.168.1.5", "10.0.0.3", "2001:db8::1", "not an address", None])
def test_a_stranger_is_not_believed_whatever_they_write(peer: str | None):
    """Not who they are, nor that they speak TLS, nor what they called us."""
    forged = {
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Prefix": "/genonaut",
    }

    assert asked(peer, forged) == Client(peer or "", "http", "127.0.0.1:8190", is_vouched_for=False)


def test_what_a_trusted_proxy_says_is_believed():
    """As nginx says it in front of the sidecar."""
    headers = {"X-Forwarded-For": "192.168.1.5", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "comfy.example"}

    assert asked("10.0.0.2", headers) == Client("192.168.1.5", "https", "comfy.example", is_vouched_for=True)


def test_each_proxy_is_believed_as_far_as_the_one_behind_it_is_trusted():
    """A proxy with TLS, then the pack: the pack heard http under a name of its own, and only the first knows better."""
    headers = {
        "X-Forwarded-For": "192.168.1.5, 10.0.0.2",
        "X-Forwarded-Proto": "https, http",
        "X-Forwarded-Host": "comfy.example, 127.0.0.1:8188",
        **PACK,
    }

    assert asked("127.0.0.1", headers) == Client("192.168.1.5", "https", "comfy.example", is_vouched_for=True)


def test_what_somebody_writes_to_the_pack_themselves_is_not_believed():
    """The pack adds from whom it has heard it, and that is nobody who is trusted."""
    headers = {
        "X-Forwarded-For": "127.0.0.1, 192.168.1.66",
        "X-Forwarded-Proto": "https, http",
        "X-Forwarded-Host": "evil.example, 192.168.1.7:8188",
        **PACK,
    }

    assert asked("127.0.0.1", headers) == Client("192.168.1.66", "http", "192.168.1.7:8188", is_vouched_for=False)


@pytest.mark.parametrize("text", ["evil.example/path", "a b", "a\tb", "host:port", "<script>", "x" * 300, ""])
def test_what_is_no_host_is_not_taken_for_one(text: str):
    """It is compared, and it must never be able to write a header or a line of log."""
    assert asked("127.0.0.1", {"X-Forwarded-Host": text}).host == "127.0.0.1:8190"


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("192.168.1.5:4711", "192.168.1.5"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:192.168.1.5", "192.168.1.5"),
        ("unknown", "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
def test_addresses_are_understood_however_a_proxy_writes_them(written: str, address: str):
    """What is none leaves the last one that was."""
    assert asked("127.0.0.1", {"X-Forwarded-For": written}).address == address


def test_loopback_is_trusted_however_it_came_in():
    """A socket for both families tells IPv4 addresses as IPv6."""
    assert asked("::ffff:127.0.0.1", {"X-Forwarded-For": "192.168.1.5"}).address == "192.168.1.5"
