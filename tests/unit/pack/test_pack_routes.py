"""What the sidecar tells the pack over the observer's socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, web
from aiohttp.test_utils import TestClient, TestServer
from fakes.paired import as_sidecar

from comfy_nodes.event_tap import EventTap
from comfy_nodes.held_prompts import HeldPrompts
from comfy_nodes.pack_routes import PackRoutes


class Told:
    """Remembers what whoever listens to the sidecar was told."""

    def __init__(self) -> None:
        self.access: list[str | None] = []
        self.changed: list[str | None] = []
        self.held = HeldPrompts()

    async def until(self, *, access: int = 0, changed: int = 0) -> None:
        while len(self.access) < access or len(self.changed) < changed:
            await asyncio.sleep(0.005)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def observer(told: Told) -> AsyncIterator[ClientWebSocketResponse[Any]]:
    server = SimpleNamespace(queue_updated=lambda: None, mutex=threading.RLock())
    nothing: Any = None
    routes = PackRoutes(server, EventTap(), nothing, told.held, nothing, pairing_secret="paired", introduction=dict)
    routes.on_access_told.append(told.access.append)
    routes.on_callers_changed.append(told.changed.append)
    table = web.RouteTableDef()
    routes.add_to(table)
    app = web.Application()
    app.add_routes(table)
    proof = as_sidecar("GET", "/genonaut/observer")
    async with (
        TestClient(TestServer(app)) as sidecar,
        sidecar.ws_connect("/genonaut/observer", headers=proof) as socket,
    ):
        await socket.receive()
        yield socket


async def test_the_sidecar_says_who_is_let_in_and_of_whom_that_has_changed(
    told: Told, observer: ClientWebSocketResponse[Any]
) -> None:
    """When it has gone, another one may come; what the pack does not understand it passes over."""
    await observer.send_json({"type": "access", "data": {"access": "accounts"}})
    await observer.send_json({"type": "callers_changed", "data": {}})
    await observer.send_json({"type": "of a later version", "data": {}})
    await observer.send_json({"type": "callers_changed", "data": {"user_id": "0193"}})
    await observer.send_json({"type": "callers_changed", "data": {"user_id": None}})
    await asyncio.wait_for(told.until(access=1, changed=2), 10)
    await observer.close()
    await asyncio.wait_for(told.until(access=2), 10)

    assert told.access == ["accounts", None]
    assert told.changed == ["0193", None]


async def test_the_sidecar_says_whose_each_held_prompt_is(told: Told, observer: ClientWebSocketResponse[Any]) -> None:
    """So that others see in ComfyUI's queue only that it is there."""
    held = [{"id": "a", "number": 7, "owner_id": "0193", "client_id": None, "created_at": 1}]
    await observer.send_json({"type": "held", "data": {"total": 1, "held": held}})
    await observer.send_json({"type": "access", "data": {"access": "accounts"}})
    await asyncio.wait_for(told.until(access=1), 10)

    assert [(prompt.prompt_id, prompt.owner_id) for prompt in told.held.now()] == [("a", "0193")]
