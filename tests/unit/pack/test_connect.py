"""All hooks or none."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from comfy_nodes.closed_doors import closed_on_failure
from comfy_nodes.connect import connect


async def answer_well(request: web.Request) -> web.Response:
    return web.Response(text="well")


class FailedInstallation:
    """An application whose hooks could not be installed. (Here ComfyUI itself is not there.)"""

    def __init__(self) -> None:
        self.app = web.Application()
        self.app.router.add_get("/", answer_well)
        self.app.router.add_post("/prompt", answer_well)
        connect(SimpleNamespace(app=self.app))

    async def ask(self) -> tuple[int, int, dict[str, Any]]:
        async with TestClient(TestServer(self.app)) as browser:
            looked = await browser.get("/")
            posted = await browser.post("/prompt", json={})
            return looked.status, posted.status, await posted.json()


@pytest.fixture
def listens_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def listen(address: str) -> None:
        module = ModuleType("comfy.cli_args")
        module.args = SimpleNamespace(listen=address)  # type: ignore[attr-defined] # all that is used of it
        monkeypatch.setitem(sys.modules, "comfy", ModuleType("comfy"))
        monkeypatch.setitem(sys.modules, "comfy.cli_args", module)

    monkeypatch.delenv("GENONAUT_ACCESS", raising=False)
    return listen


async def test_where_a_hook_cannot_be_installed_nothing_is_accepted_and_the_reason_is_said(
    caplog: pytest.LogCaptureFixture, listens_at: Callable[[str], None]
) -> None:
    """People may look; what would change something gets 503 in ComfyUI's shape."""
    listens_at("127.0.0.1")
    looked, posted, told = await FailedInstallation().ask()

    assert (looked, posted) == (200, 503)
    assert told["error"]["type"] == "genonaut_not_installed"
    assert "execution" in told["error"]["details"]
    assert "could not be installed" in caplog.text


@pytest.mark.parametrize(("address", "access"), [("0.0.0.0", ""), ("127.0.0.1", "accounts")])
async def test_where_people_have_accounts_half_a_gate_shows_nothing_either(
    listens_at: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, address: str, access: str
) -> None:
    """Without its hooks ComfyUI would show everybody's things to everybody."""
    listens_at(address)
    monkeypatch.setenv("GENONAUT_ACCESS", access)

    assert (await FailedInstallation().ask())[:2] == (503, 503)


@pytest.mark.parametrize(("access", "expected"), [("accounts", (503, 503)), ("open", (200, 200))])
async def test_where_the_rest_of_the_pack_cannot_be_loaded_people_with_accounts_are_not_left_alone(
    listens_at: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, access: str, expected: tuple[int, int]
) -> None:
    """ComfyUI goes on without a pack that fails; in open access it is what it would be without us."""
    listens_at("127.0.0.1")
    monkeypatch.setenv("GENONAUT_ACCESS", access)
    app = web.Application()
    app.router.add_get("/", answer_well)
    app.router.add_post("/prompt", answer_well)
    with pytest.raises(ImportError), closed_on_failure(SimpleNamespace(app=app)):
        raise ImportError("this ComfyUI has no comfy_api")

    async with TestClient(TestServer(app)) as browser:
        assert ((await browser.get("/")).status, (await browser.post("/prompt")).status) == expected
