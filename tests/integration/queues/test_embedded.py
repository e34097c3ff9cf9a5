"""A worker inside our own process."""

from __future__ import annotations

import asyncio
import logging
import signal
import time

import pytest
from saq.job import Status
from structlog.contextvars import get_contextvars

from sidecar.queues.embedded import EmbeddedWorker, cron_job, job_defaults
from sidecar.queues.sqlite import SqliteQueue

GRACE_S = 30.0


@pytest.fixture
def own_queue(file):
    """A queue that its worker opens and closes."""
    return SqliteQueue(file)


async def sleeper(_ctx, *, seconds):
    await asyncio.sleep(seconds)
    return "slept"


async def test_jobs_run_beside_whatever_else_the_process_does(own_queue):
    """
    Put in, run, answered: with the defaults that every job gets.
    """
    worker = EmbeddedWorker(own_queue, [sleeper])
    await worker.start()
    job = await own_queue.enqueue("sleeper", seconds=0, **job_defaults())

    await job.refresh(until_complete=5)
    await worker.stop(grace_s=5)

    assert job.result == "slept"
    assert (job.timeout, job.heartbeat) == (0, 60)
    assert job.retries >= 3


async def test_an_idle_worker_stops_at_once(own_queue):
    """
    The grace is for jobs that run; where none runs, nobody waits.
    """
    worker = EmbeddedWorker(own_queue, [sleeper])
    await worker.start()
    await asyncio.sleep(0.2)

    began = time.monotonic()
    await worker.stop(grace_s=GRACE_S)

    assert time.monotonic() - began < GRACE_S / 2


async def test_a_running_job_ends_inside_the_grace_and_no_other_begins(own_queue, new_queue):
    """
    Stopping ends as soon as the last job in hand has ended; what waits goes on waiting.
    """
    worker = EmbeddedWorker(own_queue, [sleeper], concurrency=1)
    await worker.start()
    runs = await own_queue.enqueue("sleeper", key="runs", seconds=0.6, **job_defaults())
    await own_queue.enqueue("sleeper", key="waits", seconds=0.6, **job_defaults())
    await asyncio.sleep(0.2)

    began = time.monotonic()
    await worker.stop(grace_s=GRACE_S)

    assert time.monotonic() - began < GRACE_S / 2
    after = await new_queue()
    assert (await after.job(runs.key)).status is Status.COMPLETE
    assert (await after.job("waits")).status is Status.QUEUED


async def test_a_job_that_outlives_the_grace_goes_back_to_the_queue(own_queue, new_queue):
    """
    The next process runs it again, whatever its number of tries.
    """
    worker = EmbeddedWorker(own_queue, [sleeper])
    await worker.start()
    await own_queue.enqueue("sleeper", key="long", seconds=3600, **{**job_defaults(), "retries": 1})
    await asyncio.sleep(0.2)

    began = time.monotonic()
    await worker.stop(grace_s=0.3)

    assert time.monotonic() - began < GRACE_S / 2
    after = await new_queue()
    assert (await after.job("long")).status is Status.QUEUED
    assert (await after.info())["workers"] == {}


async def test_the_worker_can_be_started_again(own_queue):
    """
    Stopping leaves nothing behind that would keep a later start from taking jobs.
    """
    worker = EmbeddedWorker(own_queue, [sleeper])
    for _ in range(2):
        await worker.start()
        job = await own_queue.enqueue("sleeper", seconds=0, **job_defaults())
        await job.refresh(until_complete=5)
        await worker.stop(grace_s=5)

    assert job.result == "slept"


async def test_signals_are_left_to_the_server(own_queue):
    """
    Ctrl-C belongs to whoever owns the process.
    """
    before = signal.getsignal(signal.SIGINT)
    worker = EmbeddedWorker(own_queue, [sleeper])
    await worker.start()
    await asyncio.sleep(0.1)

    assert signal.getsignal(signal.SIGINT) is before
    await worker.stop(grace_s=1)


async def test_the_clockwork_runs(own_queue):
    """
    A cron job with six fields runs every second, once for each moment.
    """
    moments: list[int] = []

    async def tick(ctx):
        moments.append(ctx["job"].scheduled)

    worker = EmbeddedWorker(own_queue, [], cron_jobs=[cron_job(tick, "* * * * * *")])
    await worker.start()
    await asyncio.sleep(3.2)
    await worker.stop(grace_s=1)

    assert len(moments) >= 2
    assert len(set(moments)) == len(moments)


async def test_what_the_clockwork_runs_may_take_its_time(own_queue):
    """
    SAQ's own default would stop it after ten seconds, and nobody would notice that it hangs.
    """
    limits: list[tuple[int, int]] = []

    async def tick(ctx):
        limits.append((ctx["job"].timeout, ctx["job"].heartbeat))

    worker = EmbeddedWorker(own_queue, [], cron_jobs=[cron_job(tick, "* * * * * *")])
    await worker.start()
    await asyncio.sleep(2.2)
    await worker.stop(grace_s=1)

    assert set(limits) == {(0, 60)}


async def test_a_queue_that_cannot_be_used_is_no_busy_loop(own_queue, monkeypatch):
    """
    SAQ asks again at once when asking fails; here each of its slots pauses for a second.
    """
    worker = EmbeddedWorker(own_queue, [sleeper], concurrency=2)
    await worker.start()
    await own_queue._file.close()
    tries = 0
    own_queue._file.path = own_queue._file.path / "is no folder"
    take = own_queue._try_to_take

    async def counted():
        nonlocal tries
        tries += 1
        return await take()

    monkeypatch.setattr(own_queue, "_try_to_take", counted)
    own_queue._ring(everybody=True)
    await asyncio.sleep(2)
    own_queue._file.path = own_queue._file.path.parent
    await worker.stop(grace_s=1)

    assert 1 <= tries <= 8


class Listening(logging.Handler):
    """Remembers what each line of a log would carry."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)  # whatever else this test run has set up
        self.carried: list[dict[str, object]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.carried.append(get_contextvars())


@pytest.fixture
def listening():
    handler = Listening()
    logging.getLogger("saq").addHandler(handler)
    yield handler
    logging.getLogger("saq").removeHandler(handler)


async def breaker(_ctx, *, generation_id):
    raise RuntimeError("broken")


async def test_every_log_line_of_a_job_carries_what_it_was_asked_for(own_queue, listening):
    """
    SAQ's own lines too: who searches the log for a generation finds the job that failed on it.
    """
    worker = EmbeddedWorker(own_queue, [breaker], concurrency=1)
    await worker.start()
    for generation_id in ("17", "18"):
        job = await own_queue.enqueue("breaker", generation_id=generation_id)
        await job.refresh(until_complete=5)
    await worker.stop(grace_s=5)

    assert listening.carried == [{"generation_id": "17"}, {"generation_id": "18"}]
