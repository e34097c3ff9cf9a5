"""The sidecar's parts, real, on a real database and queue; the ComfyUI is in the test's hands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fakes.comfyui import PAIRING_SECRET, ScriptedComfyUI
from fakes.paired import AsPack
from fakes.peers import heard_from
from integration.conftest import close, let_lead
from litestar import Litestar
from litestar.testing import AsyncTestClient
from real.waiting import pauses

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.app import create_app
from sidecar.generations import retries
from sidecar.generations.schemas import GenerationView
from sidecar.generations.submissions import Request
from sidecar.identity import now, uuid7
from sidecar.instances.models import Connection, Instance
from sidecar.parts import Parts, put_together
from sidecar.running import running
from sidecar.settings import Settings, read_settings

WORKFLOW: dict[str, Any] = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "test"}},
}

LOOK_AT_LEAST_EVERY_S = 0.05
FIRST, SECOND = UUID(int=1), UUID(int=2)

Client = AsyncTestClient[Litestar]
StartSidecar = Callable[..., AbstractAsyncContextManager[Parts]]
"""Takes the ComfyUIs that it shall know."""


def settings_of(data: Path, backend: Mapping[str, str], *urls: str) -> Settings:
    """Of a sidecar that keeps everything there and knows these ComfyUIs."""
    return read_settings(
        {
            "GENONAUT_DATA": str(data),
            "GENONAUT_COMFYUI_URL": ",".join(urls),
            "GENONAUT_PAIRING_SECRET": PAIRING_SECRET,
            **backend,
        }
    )


@pytest.fixture(autouse=True)
def retries_are_lucky(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is tried at once: the jitter of the backoff is a full one."""
    monkeypatch.setattr(retries, "jitter", lambda: 0.0)


@pytest.fixture
def start_sidecar(tmp_path: Path, backend: dict[str, str]) -> StartSidecar:
    """Start a sidecar on this test's data; starting it again is a restart."""

    @asynccontextmanager
    async def start(*comfyuis: ScriptedComfyUI) -> AsyncIterator[Parts]:
        parts = put_together(settings_of(tmp_path, backend, *(comfyui.url for comfyui in comfyuis)))
        async with running(parts):
            yield parts

    return start


@pytest.fixture
async def idle_parts(tmp_path: Path, backend: dict[str, str]) -> AsyncIterator[Parts]:
    """A sidecar that does nothing by itself, and two instances that are there."""
    parts = put_together(read_settings({"GENONAUT_DATA": str(tmp_path), **backend}))
    await let_lead(parts.leadership)
    async with parts.database.writing() as session:
        for instance_id in (FIRST, SECOND):
            instance = Instance(id=instance_id, name="", url=f"http://127.0.0.1:{instance_id.int}", created_at=now())
            instance.state, instance.since = Connection.CONNECTED.value, now()
            session.add(instance)
    yield parts
    await close(parts)


@pytest.fixture
async def client(tmp_path: Path, backend: dict[str, str]) -> AsyncIterator[Client]:
    """A sidecar whose ComfyUI is away: it goes on accepting."""
    app = heard_from("127.0.0.1", create_app(settings_of(tmp_path, backend, "http://127.0.0.1:9")))
    async with AsyncTestClient(app, base_url="http://127.0.0.1:8190", raise_server_exceptions=False) as client:
        yield client


def loading(checkpoint: str) -> dict[str, Any]:
    """A workflow that is made with this checkpoint."""
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": checkpoint}},
        "2": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "a", "clip": ["1", 1]}},
        "4": {
            "class_type": "KSampler",
            "inputs": {"model": ["1", 0], "positive": ["3", 0], "negative": ["3", 0], "latent_image": ["2", 0]},
        },
        "5": {"class_type": "VAEDecode", "inputs": {"samples": ["4", 0], "vae": ["1", 2]}},
        "6": {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "a"}},
    }


PAIRED = AsPack(PAIRING_SECRET)


async def submit(parts: Parts, workflow: dict[str, Any] | None = None) -> UUID:
    request = Request(id=uuid7(), owner_id=LOCAL_OWNER_ID, source="page", workflow=workflow or WORKFLOW)
    return (await parts.admission.admit(request)).id


async def show(parts: Parts, generation_id: UUID) -> GenerationView:
    return await parts.history.show(LOCAL_OWNER_ID, generation_id)


async def look_again(parts: Parts) -> None:
    """As after each reconnect: bring everything into line with what the instances have."""
    for instance in await parts.instances.all():
        await (await parts.recorders.of(instance.id)).reconcile()


async def until(question: Callable[[], Any], *, within_s: float = 90.0) -> Any:
    """Ask until the answer is true; the answer."""
    deadline = asyncio.get_running_loop().time() + within_s
    pause = pauses(LOOK_AT_LEAST_EVERY_S)
    while True:
        answer = question()
        if isinstance(answer, Awaitable):
            answer = await answer
        if answer:
            return answer
        assert asyncio.get_running_loop().time() < deadline, "it did not come true in time"
        await asyncio.sleep(next(pause))


async def until_connected(parts: Parts, count: int = 2) -> None:
    async def connected() -> bool:
        return [view.state for view in await parts.instance_desk.list()].count("connected") == count

    await until(connected)


async def until_state(parts: Parts, generation_id: UUID, state: str) -> GenerationView:
    async def reached() -> GenerationView | None:
        view = await show(parts, generation_id)
        return view if view.state == state else None

    view: GenerationView = await until(reached)
    return view
