"""By which names a ComfyUI on this computer may be called."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from comfy_nodes.own_names import listens_on_loopback_only, refuse_other_names


async def answer_well(request: web.Request) -> web.Response:
    return web.Response(text="well")


def comfyui() -> web.Application:
    app = web.Application(middlewares=[refuse_other_names])
    for start in ("", "/api"):
        app.router.add_get(start + "/prompt", answer_well)
        app.router.add_post(start + "/prompt", answer_well)
        app.router.add_get(start + "/genonaut/outcomes", answer_well)
        app.router.add_route("*", start + "/genonaut/{path:.*}", answer_well)
    return app


async def status_of(request: str, host: str) -> int:
    method, path = request.split()
    async with (
        TestClient(TestServer(comfyui())) as browser,
        browser.request(method, path, headers={"Host": host}) as answer,
    ):
        return int(answer.status)


OURS = ["POST /prompt", "POST /api/prompt", "GET /genonaut/api/v1/generations", "GET /api/genonaut/outcomes"]


@pytest.mark.parametrize("request_line", OURS)
@pytest.mark.parametrize("host", ["evil.example:8188", "127.0.0.1.evil.example", "[::1", "192.168.0.7:8188", ""])
async def test_a_website_that_has_taken_our_address_gets_nothing(request_line: str, host: str) -> None:
    """Its script runs in a browser on this computer; the name that the browser was given is still its own."""
    assert await status_of(request_line, host) == 403


@pytest.mark.parametrize("request_line", OURS)
@pytest.mark.parametrize("host", ["127.0.0.1:8188", "localhost:8188", "LOCALHOST", "[::1]:8188", "127.1.2.3"])
async def test_every_name_of_this_computer_is_good(request_line: str, host: str) -> None:
    """With a port and without."""
    assert await status_of(request_line, host) == 200


async def test_what_is_comfyuis_own_is_left_to_it() -> None:
    """We guard what we answer."""
    assert await status_of("GET /prompt", "evil.example") == 200


async def test_each_refusal_has_the_shape_that_its_reader_knows() -> None:
    """ComfyUI's page reads ComfyUI's errors, the panels read problems."""
    async with TestClient(TestServer(comfyui())) as browser:
        posted = await browser.post("/prompt", headers={"Host": "evil.example"})
        listed = await browser.get("/genonaut/api/v1/generations", headers={"Host": "evil.example"})
        error, problem = (await posted.json())["error"], await listed.json(content_type="application/problem+json")

    assert error["type"] == problem["code"] == "not_this_computer"
    assert error["message"] == problem["detail"]


@pytest.mark.parametrize(
    ("listen", "alone"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1,::1", True),
        ("localhost", True),
        ("0.0.0.0,::", False),
        ("127.0.0.1,192.168.0.7", False),
        ("", False),
    ],
)
def test_who_listens_for_others_has_other_names(listen: str, alone: bool) -> None:
    """One address beyond loopback is enough. Nothing said means every address."""
    assert listens_on_loopback_only(listen) is alone
