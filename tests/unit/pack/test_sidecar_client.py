"""Calls to a sidecar that is away, silent, or somebody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import ClassVar

import pytest
from aiohttp import web
from fakes.sidecar import PatientSidecar, SilentSidecar, StrictSidecar
from real.processes import free_port

from comfy_nodes.sidecar_client import SidecarAway, SidecarClient, SidecarRefused


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
async def client(port: int) -> AsyncIterator[SidecarClient]:
    client = SidecarClient(f"http://127.0.0.1:{port}", "paired", timeout_s=0.3)
    yield client
    await client.close()


async def test_a_silent_sidecar_is_waited_for_once(client: SidecarClient, port: int) -> None:
    """The first call waits for the whole time; the next ones learn at once that it is silent."""
    async with SilentSidecar(port) as sidecar:
        for _ in range(5):
            with pytest.raises(SidecarAway):
                await client.submit({"id": "x"})

    assert len(sidecar.submissions) == 1


class SlowToCancel(PatientSidecar):
    async def take_back(self, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.5)
        return await super().take_back(request)


async def test_a_cancel_without_an_answer_sends_no_prompt_around_the_sidecar(client: SidecarClient, port: int) -> None:
    """It takes submissions as before; only those decide whether it is away."""
    async with SlowToCancel(port):
        with pytest.raises(SidecarAway):
            await client.cancel("x", owner_id=None)
        accepted = await client.submit({"id": "y"})

    assert accepted["number"] == 1


async def test_a_sidecar_that_comes_back_is_heard_at_once(
    client: SidecarClient, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A refused connection costs nothing, so every call tries; the log says once that it is away."""
    for _ in range(3):
        with pytest.raises(SidecarAway):
            await client.submit({"id": "x"})
    async with PatientSidecar(port):
        accepted = await client.submit({"id": "x"})

    assert accepted["number"] == 1
    assert len([record for record in caplog.records if "is away" in record.message]) == 1


async def test_a_refusal_keeps_its_status_and_sentence(client: SidecarClient, port: int) -> None:
    """What the sidecar says is for people."""
    async with StrictSidecar(port):
        with pytest.raises(SidecarRefused, match=r"You have used today's quota\.") as refused:
            await client.submit({"id": "x"})

    assert (refused.value.status, refused.value.code, refused.value.retry_after_s) == (429, "limit_reached", 60)


@pytest.mark.parametrize(
    "answer", [{"text": "<html>"}, {"text": "{", "content_type": "application/json"}, {"text": "[]"}, {"status": 404}]
)
async def test_somebody_else_at_the_address_is_not_the_sidecar(
    client: SidecarClient, port: int, answer: dict[str, object]
) -> None:
    """A program that happens to listen there must not make prompts fail."""
    app = web.Application()

    async def other_program(request: web.Request) -> web.Response:
        return web.Response(**answer)  # type: ignore[arg-type] # whatever another program answers

    app.router.add_post("/{path:.*}", other_program)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        with pytest.raises(SidecarAway):
            await client.submit({"id": "x"})
    finally:
        await runner.cleanup()


class RecordingSidecar(PatientSidecar):
    """Knows whose some outputs are, by their file names."""

    owners: ClassVar = {"ü [x] & b=c.png": "0193-ada"}
    is_broken = False

    async def echo(self, request: web.Request) -> web.StreamResponse:
        asked = request.query
        if (request.path, asked["type"], asked["subfolder"]) != ("/internal/outputs/owner", "temp", "a b/c"):
            return web.json_response({}, status=500)
        owner = self.owners.get(asked["filename"])
        if self.is_broken:
            return web.json_response({"code": "internal_error"}, status=500)
        if owner is None:
            return web.json_response({"code": "not_found"}, status=404)
        return web.json_response({"owner_id": owner})


async def test_whose_an_output_is_is_asked_in_full(client: SidecarClient, port: int) -> None:
    """Whatever a file is called; what the sidecar does not know is nobody's, and what it cannot say is not."""
    sidecar = RecordingSidecar(port)
    async with sidecar:
        assert await client.owner_of_output("temp", "a b/c", "ü [x] & b=c.png") == "0193-ada"
        assert await client.owner_of_output("temp", "a b/c", "not there.png") is None
        sidecar.is_broken = True
        with pytest.raises(SidecarAway):
            await client.owner_of_output("temp", "a b/c", "not there.png")
