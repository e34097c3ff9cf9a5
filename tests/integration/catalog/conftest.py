"""A whole sidecar behind its HTTP API, and a ComfyUI in the test's hands that has models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from fakes.comfyui import PAIRING_SECRET, ScriptedComfyUI
from fakes.paired import AsPack
from httpx import ASGITransport, AsyncClient
from integration.generations.conftest import settings_of, until

from sidecar.app import create_app
from sidecar.catalog import discovery

StartApi = Callable[..., AbstractAsyncContextManager[AsyncClient]]

MODELS = {
    "checkpoints": ["sd15.safetensors", "SDXL/base.safetensors"],
    "loras": ["pencil.safetensors"],
    "vae": ["soft.pt"],
}


@pytest.fixture
async def comfyui() -> AsyncIterator[ScriptedComfyUI]:
    scripted = ScriptedComfyUI()
    scripted.models = {folder: list(names) for folder, names in MODELS.items()}
    async with scripted.served():
        yield scripted


@pytest.fixture
def start_api(tmp_path: Path, backend: dict[str, str]) -> StartApi:
    """Start a sidecar on this test's data folder; starting it again is a restart."""

    @asynccontextmanager
    async def start(*instances: ScriptedComfyUI) -> AsyncIterator[AsyncClient]:
        app = create_app(settings_of(tmp_path, backend, *(instance.url for instance in instances)))
        # In the loop of the test, where its ComfyUI lives too; Litestar's own client has one in another thread.
        transport = ASGITransport(cast("Any", app), raise_app_exceptions=False)
        async with app.lifespan(), AsyncClient(transport=transport, base_url="http://127.0.0.1:8190") as client:
            yield client

    return start


@pytest.fixture
def paired() -> AsPack:
    """Ask as who has our secret."""
    return AsPack(PAIRING_SECRET)


@pytest.fixture
def look_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever names an unknown model need not wait until the last look is some seconds old."""
    monkeypatch.setattr(discovery, "LOOK_AGAIN_AFTER_S", 0.0)


@pytest.fixture
async def client(start_api: StartApi, comfyui: ScriptedComfyUI) -> AsyncIterator[AsyncClient]:
    """A sidecar that has met its ComfyUI and knows what it has."""
    started: asyncio.Future[AsyncClient] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def live() -> None:
        async with start_api(comfyui) as client:
            await until(lambda: models(client))
            started.set_result(client)
            await over.wait()

    # In a task of its own: pytest begins and ends a fixture in two different ones, and the app must be one's.
    living = asyncio.create_task(live())
    doings: list[asyncio.Future[Any]] = [started, living]
    await asyncio.wait(doings, return_when=asyncio.FIRST_COMPLETED)
    if living.done():
        living.result()
    yield started.result()
    over.set()
    await living


async def refresh(client: AsyncClient) -> list[dict[str, Any]]:
    answer = await client.post("/api/v1/models/refresh")
    assert answer.status_code == 200, answer.text
    instances: list[dict[str, Any]] = answer.json()["instances"]
    return instances


async def models(client: AsyncClient, **wanted: Any) -> list[dict[str, Any]]:
    answer = await client.get("/api/v1/models", params=wanted)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def switch(client: AsyncClient, name: str, *, active: bool) -> dict[str, Any]:
    (found,) = await models(client, q=name)
    answer = await client.patch(f"/api/v1/models/{found['id']}", json={"active": active})
    assert answer.status_code == 200, answer.text
    changed: dict[str, Any] = answer.json()
    return changed
