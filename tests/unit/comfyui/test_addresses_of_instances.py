"""Which addresses a ComfyUI can have."""

from __future__ import annotations

import pytest

from sidecar.comfyui.http import is_usable


@pytest.mark.parametrize("url", ["http://127.0.0.1:8188", "https://gpu.example/comfy", "http://[::1]:8188"])
def test_an_address_that_a_browser_takes_is_usable(url):
    """With or without a path."""
    assert is_usable(url)


@pytest.mark.parametrize("url", ["http://", "http://\U0001f300\u202e", "http://host:port", "http://a\x00b"])
def test_an_address_that_names_no_host_is_refused_before_anybody_asks_it(url):
    """Later it would be a fault of ours, in whichever place asks first."""
    assert not is_usable(url)


@pytest.mark.parametrize(
    "url", ["https://user:secret@gpu.example", "http://gpu.example?token=secret", "http://a#secret"]
)
def test_an_address_that_holds_a_secret_is_refused(url):
    """Addresses stand in names, in logs and in what everybody may see."""
    assert not is_usable(url)
