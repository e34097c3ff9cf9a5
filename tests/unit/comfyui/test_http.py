"""ComfyUI's troubles in our words."""

from __future__ import annotations

import httpx
import pytest

from sidecar.comfyui.http import translated
from sidecar.errors import ComfyUIAway, ComfyUIBroken, ComfyUITimeout, ComfyUIUnreachable


@pytest.mark.parametrize(
    ("trouble", "meaning"),
    [
        (httpx.ConnectError(""), ComfyUIUnreachable),
        (httpx.ConnectTimeout(""), ComfyUIUnreachable),
        (httpx.ReadTimeout(""), ComfyUITimeout),
        (httpx.WriteTimeout(""), ComfyUITimeout),
        (httpx.ReadError(""), ComfyUIBroken),
        (httpx.RemoteProtocolError(""), ComfyUIBroken),
    ],
)
def test_only_what_cannot_have_arrived_counts_as_unreachable(trouble: httpx.HTTPError, meaning: type[ComfyUIAway]):
    """A machine that is switched off does not even refuse, and costs no try; whatever was sent may have arrived."""
    with pytest.raises(ComfyUIAway) as told, translated():
        raise trouble

    assert type(told.value) is meaning
