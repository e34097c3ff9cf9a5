"""What a URL says of the machine it names."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit


def hostname(url: str) -> str | None:
    """The host of a URL in lower case; None where there is none, or where the URL is not one."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def place(url: str) -> str | None:
    """Host and port as they stand in a URL, in lower case; None where the URL is not one."""
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return None


def is_plain(url: str) -> bool:
    """Does it say where something is, and nothing else: no name, password, query or fragment?"""
    return not any(sign in url for sign in "@?#")  # programs differ in how they read an address that has them


@lru_cache(1000)  # asked of every request
def is_loopback(url: str) -> bool:
    """Is it this very machine, and nothing that others could reach or give another meaning?"""
    return is_loopback_host(hostname(url) or "")


def is_loopback_host(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
