"""What a URL says of the machine it names."""

from __future__ import annotations

import pytest

from sidecar.addresses import is_loopback


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8188", "http://localhost", "http://LOCALHOST:1", "http://[::1]:8188"]
)
def test_this_very_machine(url: str):
    """Names and numbers that nobody else can answer to."""
    assert is_loopback(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://192.168.1.5",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://[oops",
        "http://",
        "",
    ],
)
def test_anything_else(url: str):
    """Also what only looks like it, and what is no address at all."""
    assert not is_loopback(url)
