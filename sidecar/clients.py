"""
Who is at the other end: from where, through TLS or not, and under which name it was asked for.

`X-Forwarded-For`, `-Proto` and `-Host` say it where a proxy stands in between, the pack for one. Anybody can write such
headers, so they are believed only of proxies that are trusted (`GENONAUT_TRUSTED_PROXIES`). Nothing else in the sidecar
reads them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import zip_longest
from typing import Any

from litestar.connection import ASGIConnection
from litestar.datastructures import Headers
from litestar.types import HTTPScope

from sidecar.settings import Network

CLIENT = "genonaut_client"
"""Where in a connection's state its client stands."""

THE_PACK = "x-forwarded-prefix"  # it says so of itself (`comfy_nodes/sidecar_proxy.py`)
FORWARDED = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")
HOST = re.compile(r"(?P<name>\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(:(?P<port>\d{1,5}))?", re.IGNORECASE)
SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}  # some proxies name the last two
PROXIES_AT_MOST = 20  # in a row


@dataclass(frozen=True)
class Client:
    """Who asks, as far as that can be believed."""

    address: str
    """The IP address; empty where there is none."""
    scheme: str
    """`http` or `https`: what the client speaks, whatever the last proxy speaks."""
    host: str
    """What the client called this server: a name, with the port where it said one."""
    is_vouched_for: bool = False
    """Did a trusted proxy speak to us, or to the pack? In `proxy` access its word on who the person is counts."""


class TrustedProxies:
    """Whose word is taken for where a request comes from."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._networks = tuple(networks)
        self._read = lru_cache(1000)(self._read_anew)  # a page asks for dozens of things with the same headers

    def __contains__(self, address: str) -> bool:
        parsed = read_address(address)
        return parsed is not None and any(parsed in network for network in self._networks)

    def client_of(self, scope: HTTPScope) -> Client:
        """Who asks, from an ASGI scope."""
        headers = Headers.from_scope(scope)
        peer = scope["client"][0] if scope["client"] else ""
        told = tuple(as_list(headers, name) for name in FORWARDED)
        return self._read(peer, scope["scheme"], headers.get("host", ""), told, THE_PACK in headers)

    def _read_anew(self, peer: str, scheme: str, host: str, told: tuple[str, ...], by_the_pack: bool) -> Client:  # noqa: FBT001
        found = Client(peer, scheme, read_host(host))
        if peer not in self:
            return found
        chain, schemes, hosts = map(last_first, told)
        # The pack passes on what any peer of its own says, so it is that peer who must be trusted.
        speaker = chain[0] if by_the_pack else peer
        found = replace(found, is_vouched_for=speaker in self)
        # Each proxy adds what it has heard, and from whom: so from the last one on, up to whom nobody trusts.
        for address, scheme, host in zip_longest(chain, schemes, hosts, fillvalue=""):
            found = replace(
                found,
                address=str(read_address(address) or found.address),
                scheme=SCHEMES.get(scheme, found.scheme),
                host=read_host(host) or found.host,
            )
            if address not in self:
                break
        return found

    def origin_of(self, peer: str, headers: Headers) -> str:
        """Where somebody asks from whom this peer speaks for, if it is trusted; else the peer itself."""
        for address in last_first(as_list(headers, FORWARDED[0])):
            if peer not in self or read_address(address) is None:
                break
            peer = str(read_address(address))
        return peer

    def scheme_through_pack(
        self, pack: ASGIConnection[Any, Any, Any, Any], peer: str, scheme: str, told: str | None
    ) -> str:
        """
        What somebody speaks who asks the pack for something of ComfyUI's: found as for what the pack passes on to us,
        since a browser has one cookie for both.

        Args:
            pack: In whose request that is told.
            peer: Who spoke to ComfyUI; `scheme` and `told` (`X-Forwarded-Proto`) are what it spoke and said.
        """
        chain, schemes = f"{as_list(pack.headers, FORWARDED[0])},{peer}", f"{told or ''},{scheme}"
        address = pack.client.host if pack.client else ""
        return self._read(address, pack.scope["scheme"], "", (chain, schemes, ""), by_the_pack=True).scheme


def client_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Client:
    """Who asks, of a connection that came in through the entrance (`entrance.py`)."""
    client: Client = connection.scope["state"][CLIENT]
    return client


@lru_cache(10_000)
def read_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address as a proxy writes it, perhaps with a port; IPv4 however it came in."""
    text = text.rpartition(":")[0] if text.count(":") == 1 else text
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def read_host(text: str) -> str:
    """A name with its port, or nothing where it is not one: it is compared, logged and shown."""
    return text if HOST.fullmatch(text) else ""


def as_list(headers: Headers, name: str) -> str:
    """In several headers it is the same list as in one (RFC 9110, section 5.3)."""
    return ",".join(headers.getall(name, []))


def last_first(told: str) -> list[str]:
    """A list to which each proxy has added what it heard, and at least nothing."""
    return [part.strip() for part in reversed(told.split(","))][:PROXIES_AT_MOST]
