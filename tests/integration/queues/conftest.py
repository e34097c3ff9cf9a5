"""Queues on a file of the test's own, closed when it ends."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from sidecar.queues.sqlite import SqliteQueue

CHECKOUT = Path(__file__).parents[3]
QueueMaker = Callable[[], Awaitable[SqliteQueue]]
Starter = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "queue.sqlite3"


@pytest.fixture
async def new_queue(file: Path) -> AsyncIterator[QueueMaker]:
    """Opens queues on the same file, as several processes would."""
    opened: list[SqliteQueue] = []

    async def open_queue() -> SqliteQueue:
        queue = SqliteQueue(file)
        await queue.connect()
        opened.append(queue)
        return queue

    yield open_queue
    await asyncio.gather(*(queue.disconnect() for queue in opened))


@pytest.fixture
async def queue(new_queue: QueueMaker) -> SqliteQueue:
    return await new_queue()


@pytest.fixture
def start_process() -> Iterator[Starter]:
    """Starts `queue_process.py` with these arguments; whatever still runs is killed at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: object) -> subprocess.Popen[bytes]:
        program = [sys.executable, str(Path(__file__).with_name("queue_process.py")), *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
        started.append(subprocess.Popen(program, env=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
