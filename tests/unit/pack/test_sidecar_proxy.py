"""What the sidecar is told of who asks, when the pack hands a request on."""

from __future__ import annotations

from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from comfy_nodes.sidecar_proxy import headers_to_pass


def passed(**headers: str) -> CIMultiDict[str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = make_mocked_request("GET", "/genonaut/x", headers={"Host": "192.168.1.7:8188", **named})
    return CIMultiDict(headers_to_pass(request.clone(remote="192.168.1.5")))


def test_the_sidecar_hears_who_spoke_to_comfyui_and_how():
    """From which address, by which name, through TLS or not."""
    headers = passed()

    assert headers["X-Forwarded-For"] == "192.168.1.5"
    assert headers["X-Forwarded-Host"] == "192.168.1.7:8188"
    assert headers["X-Forwarded-Proto"] == "http"


def test_what_a_proxy_has_said_before_stays_in_front():
    """The sidecar knows whom to believe, and sees after each claim from whom it came."""
    headers = passed(X_Forwarded_For="10.1.1.1", X_Forwarded_Proto="https", X_Forwarded_Host="comfy.example")

    assert headers.getall("X-Forwarded-For") == ["10.1.1.1, 192.168.1.5"]
    assert headers.getall("X-Forwarded-Proto") == ["https, http"]
    assert headers.getall("X-Forwarded-Host") == ["comfy.example, 192.168.1.7:8188"]


def test_nobody_can_make_the_sidecar_take_the_pack_for_another_proxy():
    """The pack says that it is the pack, whatever else was said."""
    assert passed(X_Forwarded_Prefix="/elsewhere").getall("X-Forwarded-Prefix") == ["/genonaut"]
