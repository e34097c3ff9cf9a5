"""
A process of its own on a queue's file.

    python queue_process.py produce FILE NAME COUNT    puts COUNT jobs in
    python queue_process.py work FILE RECORD           runs jobs until killed, and writes down each key it ran
    python queue_process.py open FILE MOMENT           opens the file at a moment (unix seconds)
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from saq import Worker
from saq.types import TimersDict

from sidecar.queues.sqlite import SqliteQueue

TIMERS: TimersDict = {"schedule": 1, "worker_info": 1, "sweep": 1, "abort": 1}


async def produce(file: str, name: str, count: str) -> None:
    queue = SqliteQueue(Path(file))
    for number in range(int(count)):
        await queue.enqueue("write_down", key=f"{name}-{number}", timeout=0, heartbeat=60, retries=5)
    await queue.disconnect()


async def work(file: str, record: str) -> None:
    with Path(record).open("a", encoding="utf-8", buffering=1) as lines:

        async def write_down(ctx: Any) -> None:
            lines.write(ctx["job"].key + "\n")

        async def never_end(ctx: Any) -> None:
            lines.write(ctx["job"].key + "\n")
            await asyncio.sleep(3600)

        queue = SqliteQueue(Path(file))
        await queue.connect()
        functions = [("write_down", write_down), ("never_end", never_end)]
        await Worker(queue, functions=functions, timers=TIMERS, concurrency=4).start()


async def open_file(file: str, moment: str) -> None:
    time.sleep(max(0.0, float(moment) - time.time()))
    queue = SqliteQueue(Path(file))
    await queue.enqueue("anything")
    await queue.disconnect()


if __name__ == "__main__":
    deeds: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {"produce": produce, "work": work, "open": open_file}
    asyncio.run(deeds[sys.argv[1]](*sys.argv[2:]))
