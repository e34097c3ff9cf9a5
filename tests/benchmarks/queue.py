"""What SAQ on a SQLite file does in a second, and how long a job waits for an idle worker."""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path

from saq import Worker
from saq.job import Status

from benchmarks.figures import Budget, Row
from sidecar.queues.embedded import job_options
from sidecar.queues.sqlite import SqliteQueue

JOBS = 3200
PRODUCERS = 16
IDLE_JOBS = 200
PAUSE_S = 0.01


def rows(folder: Path) -> list[Row]:
    return asyncio.run(measure(folder))


async def measure(folder: Path) -> list[Row]:
    queue = SqliteQueue(folder / "queue.sqlite3")
    await queue.connect()
    try:
        put_in_s = await put_in(queue)
        drain_s = await drain(queue)
        latencies_ms = sorted(await idle_latencies_ms(queue))
    finally:
        await queue.disconnect()
    return [
        Row("queue: jobs put in", JOBS / put_in_s, "/s"),
        Row("queue: jobs run, 10 at once", JOBS / drain_s, "/s"),
        Row("queue: from put in to begun, idle worker, p50", statistics.median(latencies_ms), "ms", budget=Budget(1.0)),
        Row("queue: from put in to begun, idle worker, p95", latencies_ms[int(len(latencies_ms) * 0.95)], "ms"),
    ]


async def put_in(queue: SqliteQueue) -> float:
    async def some() -> None:
        for _ in range(JOBS // PRODUCERS):
            await queue.enqueue("nothing", **job_options(timeout_s=60))

    began = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(PRODUCERS)))
    return time.perf_counter() - began


async def drain(queue: SqliteQueue) -> float:
    async def nothing(_ctx: object) -> None: ...

    began = time.perf_counter()
    worker = Worker(queue, functions=[("nothing", nothing)], concurrency=10)
    running = asyncio.create_task(worker.start())
    while await queue.count("incomplete"):
        await asyncio.sleep(0.01)
    took = time.perf_counter() - began
    await worker.stop()
    await running
    return took


async def idle_latencies_ms(queue: SqliteQueue) -> list[float]:
    """From the call that puts a job in until somebody who waits holds it."""
    latencies = []
    for _ in range(IDLE_JOBS):
        waiting = asyncio.create_task(queue.dequeue())
        await asyncio.sleep(PAUSE_S)
        began = time.perf_counter()
        await queue.enqueue("nothing", **job_options(timeout_s=60))
        job = await waiting
        latencies.append((time.perf_counter() - began) * 1000)
        if job is not None:
            await job.finish(Status.COMPLETE)
    return latencies
