"""Several processes on one file, and processes that are killed."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

from integration.backends import only_embedded
from saq import Worker
from saq.job import Status
from saq.types import TimersDict

pytestmark = only_embedded("it is about the queue in a file")

JOBS = 1500


def lines_of(*records: Path) -> list[str]:
    return [line for record in records if record.exists() for line in record.read_text(encoding="utf-8").splitlines()]


async def until(condition, *, within_s: float) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "It did not happen in time."
        await asyncio.sleep(0.05)


async def test_two_producers_and_two_workers_lose_nothing_and_do_nothing_twice(queue, file, tmp_path, start_process):
    """
    Thousands of jobs through one file: each runs exactly once.
    """
    records = [tmp_path / "first", tmp_path / "second"]
    for record in records:
        start_process("work", file, record)
    producers = [start_process("produce", file, name, JOBS) for name in ("a", "b")]

    await until(lambda: len(lines_of(*records)) >= 2 * JOBS, within_s=90)
    await until(lambda: all(producer.poll() == 0 for producer in producers), within_s=10)
    await asyncio.sleep(0.5)

    runs = Counter(lines_of(*records))
    assert runs == Counter(f"{name}-{number}" for name in ("a", "b") for number in range(JOBS))
    assert all(lines_of(record) for record in records), "Both workers took part."
    assert await queue.count("incomplete") == 0


async def test_the_job_of_a_killed_worker_runs_again(queue, file, tmp_path, start_process, monkeypatch):
    """
    kill -9 while a job runs: another worker notices and runs it, with neither timeout nor heartbeat set.
    """
    monkeypatch.setattr("sidecar.queues.sqlite_jobs.DEAD_AFTER_S", 0.5)
    await queue.enqueue("never_end", key="a", timeout=0, heartbeat=0, retries=2)
    record = tmp_path / "record"
    process = start_process("work", file, record)
    await until(lambda: lines_of(record) == ["a"], within_s=20)
    process.kill()
    process.wait()

    async def never_end(_ctx: object) -> str:
        return "ran again"

    timers: TimersDict = {"schedule": 1, "worker_info": 1, "sweep": 1, "abort": 1}
    worker = Worker(queue, functions=[("never_end", never_end)], timers=timers)
    running = asyncio.create_task(worker.start())
    job = await queue.job("a")
    await job.refresh(until_complete=20)
    await worker.stop()
    await running

    assert (job.status, job.result, job.attempts) == (Status.COMPLETE, "ran again", 2)


async def test_processes_that_open_a_new_file_together_all_get_it(file, start_process, new_queue):
    """
    Nobody dies of "database is locked" because somebody else is making the file.
    """
    moment = time.time() + 2
    processes = [start_process("open", file, moment) for _ in range(6)]

    await until(lambda: all(process.poll() is not None for process in processes), within_s=30)

    assert [process.returncode for process in processes] == [0] * 6
    assert await (await new_queue()).count("queued") == 6
