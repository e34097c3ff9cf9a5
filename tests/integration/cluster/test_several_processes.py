"""Two servers and two workers on PostgreSQL, with Redis and without, each a process of its own; one is killed."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import pytest
from fakes.comfyui import PAIRING_SECRET, ScriptedComfyUI
from integration.backends import with_servers
from real.processes import Program, free_port
from sqlalchemy import text

from sidecar.database import Database

CHECKOUT = Path(__file__).resolve().parents[3]
WORKFLOW = {"1": {"class_type": "EmptyImage", "inputs": {}}, "2": {"class_type": "SaveImage", "inputs": {}}}
WITHIN_S = 90.0

pytestmark = with_servers


class BusyComfyUI(ScriptedComfyUI):
    """Works off what it gets, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[str] = []

    async def work(self) -> None:
        while True:
            await asyncio.sleep(0.02)
            if self.pending and not self.running:
                prompt_id = self.pending[0]
                await self.start(prompt_id)
                await asyncio.sleep(0.05)
                self.ran.append(prompt_id)
                await self.finish(prompt_id)


@asynccontextmanager
async def busy_comfyui() -> AsyncIterator[BusyComfyUI]:
    async with BusyComfyUI().served() as comfyui:
        working = asyncio.create_task(comfyui.work())
        yield comfyui
        working.cancel()


class Sidecars:
    """The processes, and what they say."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "GENONAUT_LOG": "json", **environment}
        self.servers: list[str] = []
        self.workers: list[Program] = []

    def start_server(self) -> Program:
        port = free_port()
        self.servers.append(f"http://127.0.0.1:{port}")
        return self._start("serve", GENONAUT_PORT=str(port), GENONAUT_WORKER="none")

    def start_worker(self) -> Program:
        self.workers.append(self._start("worker"))
        return self.workers[-1]

    def _start(self, command: str, **environment: str) -> Program:
        return Program(
            [sys.executable, "-m", "sidecar.cli", command],
            log=self._folder / f"{command}-{free_port()}.log",
            environment={**self._environment, **environment},
            folder=CHECKOUT,
        )

    def leader(self) -> Program | None:
        alive = [worker for worker in self.workers if worker.is_running()]
        leading = [worker for worker in alive if "leadership_begins" in worker.log.read_text(encoding="utf-8")]
        return leading[0] if leading else None


@pytest.fixture
async def sidecars(tmp_path: Path, backend: dict[str, str]) -> AsyncIterator[tuple[Sidecars, BusyComfyUI]]:
    async with busy_comfyui() as comfyui, AsyncExitStack() as stack:
        environment = {
            "GENONAUT_DATA": str(tmp_path),
            "GENONAUT_COMFYUI_URL": comfyui.url,
            "GENONAUT_PAIRING_SECRET": PAIRING_SECRET,
            **backend,
        }
        sidecars = Sidecars(tmp_path, environment)
        for start in (sidecars.start_server, sidecars.start_worker) * 2:
            # In a thread: ComfyUI is in this loop, and those that stop speak with it.
            stack.push_async_callback(asyncio.to_thread, start().stop)
        yield sidecars, comfyui


async def until(condition) -> None:
    async def come_true() -> None:
        while not await condition():
            await asyncio.sleep(0.05)

    await asyncio.wait_for(come_true(), WITHIN_S)


async def answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/health/ready")).status_code == 200
    except httpx.TransportError:
        return False


async def hear_ends(url: str, ended: set[str], events: set[str]) -> None:
    """What a browser hears that listens to one server: what has ended, and the names of all events."""
    async with (
        httpx.AsyncClient(timeout=None) as client,
        client.stream("GET", f"{url}/api/v1/events") as stream,
    ):
        async for line in stream.aiter_lines():
            if line.startswith("event:"):
                events.add(line.removeprefix("event:").strip())
            if line.startswith("data:") and '"completed"' in line:
                ended.add(msgspec.json.decode(line.removeprefix("data:"))["id"])


async def test_everything_is_done_once_whoever_is_killed(
    sidecars: tuple[Sidecars, BusyComfyUI], backend: dict[str, str]
):
    """
    The worker that drives ComfyUI dies with work in its hands: another one goes on, nothing is lost, nothing is done
    twice, and a browser that listens to one server hears what was submitted to the other, and how that stands in line.
    """
    processes, comfyui = sidecars
    first, second = processes.servers
    heard: set[str] = set()
    events: set[str] = set()
    async with httpx.AsyncClient(timeout=30) as client:
        for url in processes.servers:
            await until(lambda url=url: answers(client, url))
        listening = asyncio.create_task(hear_ends(second, heard, events))

        async def submit(url: str) -> str:
            response = await client.post(f"{url}/api/v1/generations", json={"workflow": WORKFLOW})
            assert response.status_code == 202, response.text
            return str(response.json()["id"])

        async def some_ran() -> bool:
            return len(comfyui.ran) >= 3

        async def all_ended() -> bool:
            return len(await final_states(backend["GENONAUT_DATABASE_URL"])) == len(submitted)

        submitted = [await submit(url) for url in (first, second) * 6]
        await until(some_ran)
        leader = processes.leader()
        assert leader is not None
        leader.kill()
        submitted += [await submit(url) for url in (first, second) * 4]
        await until(all_ended)
        last = await submit(first)
        submitted.append(last)

        async def heard_of_the_last() -> bool:
            return last in heard

        await until(heard_of_the_last)
        listening.cancel()

    assert await final_states(backend["GENONAUT_DATABASE_URL"]) == {key: ["completed"] for key in submitted}
    assert Counter(comfyui.ran) == Counter(submitted)
    assert events >= {"generation", "waiting"}


async def final_states(url: str) -> dict[str, list[str]]:
    """How each generation ended, as often as it did."""
    database = Database(url)
    states: dict[str, list[str]] = {}
    async with database.reading() as session:
        rows = await session.execute(
            text("SELECT generation_id, state FROM generation_events WHERE state IN ('completed', 'failed', 'lost')")
        )
        for generation_id, state in rows:
            states.setdefault(str(generation_id), []).append(state)
    await database.close()
    return states
