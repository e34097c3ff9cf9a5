"""A worker inside our own process."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from integration.backends import every_backend, only_embedded, with_servers
from real.processes import free_port
from real.redis import start_redis
from saq.job import Job, Status
from saq.queue.redis import RedisQueue
from structlog.contextvars import get_contextvars

from sidecar.errors import QueueUnavailable
from sidecar.queues.choose import WorkQueue, choose_queue
from sidecar.queues.embedded import HEARTBEAT_S, TIMERS, EmbeddedWorker, cron_job, job_options
from sidecar.queues.sqlite import SqliteQueue

pytestmark = every_backend

GRACE_S = 30.0
OPTIONS = job_options(timeout_s=60)


@pytest.fixture
async def own_queue(queue_url: str) -> AsyncIterator[WorkQueue]:
    """A queue of each kind that there is."""
    queue = choose_queue(queue_url, "test")
    await queue.connect()
    yield queue
    await queue.disconnect()


async def sleep_a_while(_ctx, *, seconds):
    await asyncio.sleep(seconds)
    return "slept"


sleeper = ("sleeper", sleep_a_while)


async def until(condition: Callable[[], Awaitable[bool]], *, within_s: float = 30.0) -> None:
    end = time.monotonic() + within_s
    while not await condition():
        assert time.monotonic() < end, "It did not happen in time."
        await asyncio.sleep(0.02)


async def until_status(queue: WorkQueue, key: str, status: Status) -> Job:
    found: list[Job] = []

    async def has_it() -> bool:
        job = await queue.job(key)
        found[:] = [job] if job else []
        return job is not None and job.status is status

    await until(has_it)
    return found[0]


async def test_jobs_run_beside_whatever_else_the_process_does(own_queue):
    """
    Put in, run, answered: with the defaults that every job gets.
    """
    worker = EmbeddedWorker(own_queue, [sleeper])
    await worker.start()
    job = await own_queue.enqueue("sleeper", seconds=0, **OPTIONS)

    await job.refresh(until_complete=20)
    await worker.stop(grace_s=5)

    assert job.result == "slept"
    assert (job.timeout, job.heartbeat) == (60, HEARTBEAT_S)
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


async def test_a_running_job_ends_inside_the_grace_and_no_other_begins(own_queue):
    """
    Stopping ends as soon as the last job in hand has ended; what waits goes on waiting.
    """
    begun = asyncio.Event()

    async def run(_ctx):
        begun.set()
        await asyncio.sleep(0.6)

    worker = EmbeddedWorker(own_queue, [("run", run)], concurrency=1)
    await worker.start()
    await own_queue.enqueue("run", key="runs", **OPTIONS)
    await begun.wait()
    await own_queue.enqueue("run", key="waits", **OPTIONS)

    began = time.monotonic()
    await worker.stop(grace_s=GRACE_S)

    assert time.monotonic() - began < GRACE_S / 2
    assert (await own_queue.job("runs")).status is Status.COMPLETE
    assert (await own_queue.job("waits")).status is Status.QUEUED


async def test_a_job_that_outlives_the_grace_goes_back_to_the_queue(own_queue):
    """
    The next process runs it again, whatever its number of tries.
    """
    begun = asyncio.Event()

    async def run(_ctx):
        begun.set()
        await asyncio.sleep(3600)

    worker = EmbeddedWorker(own_queue, [("run", run)])
    await worker.start()
    await own_queue.enqueue("run", key="long", **{**OPTIONS, "retries": 1})
    await begun.wait()

    began = time.monotonic()
    await worker.stop(grace_s=0.3)

    assert time.monotonic() - began < GRACE_S / 2
    assert (await own_queue.job("long")).status is Status.QUEUED


async def test_the_worker_can_be_started_again(own_queue):
    """
    Stopping leaves nothing behind that would keep a later start from taking jobs.
    """
    worker = EmbeddedWorker(own_queue, [sleeper])
    for _ in range(2):
        await worker.start()
        job = await own_queue.enqueue("sleeper", seconds=0, **OPTIONS)
        await job.refresh(until_complete=20)
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
    A cron job with six fields runs at its seconds, with the limit of time and the heartbeat of its own.
    """
    seen: list[Job] = []

    async def tick(ctx):
        seen.append(ctx["job"])

    async def seen_twice() -> bool:
        return len({job.scheduled for job in seen}) >= 2

    worker = EmbeddedWorker(own_queue, [], cron_jobs=[cron_job(tick, "* * * * * *", timeout_s=45)])
    await worker.start()
    await until(seen_twice)
    await worker.stop(grace_s=5)

    assert {(job.timeout, job.heartbeat) for job in seen} == {(45, HEARTBEAT_S)}


async def test_a_job_beats_for_as_long_as_it_runs(own_queue, monkeypatch):
    """
    Whoever writes a job need not think of it: one that takes an hour is not taken over by somebody else.
    """
    monkeypatch.setattr("sidecar.queues.embedded.BEAT_EVERY_S", 0.05)
    worker = EmbeddedWorker(own_queue, [sleeper])
    await worker.start()
    await own_queue.enqueue("sleeper", key="long", seconds=3600, **OPTIONS)
    first = await until_status(own_queue, "long", Status.ACTIVE)

    async def has_beaten() -> bool:
        job = await own_queue.job("long")
        return job is not None and job.touched > first.touched

    await until(has_beaten)
    await worker.stop(grace_s=0)


@with_servers
async def test_what_a_dead_worker_had_is_taken_over(own_queue, monkeypatch):
    """
    Nobody beats for it any more: another worker does it, once. On SQLite: `test_several_processes.py`.
    """
    monkeypatch.setitem(TIMERS, "sweep", 1)
    await own_queue.enqueue("run", key="a", **{**OPTIONS, "heartbeat": 1, "retry_delay": 0.0})
    taken = await own_queue.dequeue(timeout=10, poll_interval=0.1)
    taken.worker_id, taken.attempts = "dead", 1
    await taken.update(status=Status.ACTIVE)
    runs: list[int] = []

    async def run(ctx):
        runs.append(ctx["job"].attempts)

    worker = EmbeddedWorker(own_queue, [("run", run)])
    await worker.start()
    await until_status(own_queue, "a", Status.COMPLETE)
    await worker.stop(grace_s=5)

    assert runs == [2]


async def test_a_job_that_takes_too_long_is_stopped_and_tried_again(own_queue):
    """
    One that hangs must not hold its place for ever.
    """
    tries = 0

    async def hang_once(_ctx):
        nonlocal tries
        tries += 1
        await asyncio.sleep(3600 if tries == 1 else 0)
        return "done"

    worker = EmbeddedWorker(own_queue, [("hang_once", hang_once)])
    await worker.start()
    await own_queue.enqueue("hang_once", key="a", **{**job_options(timeout_s=1), "retry_delay": 0.0})
    job = await until_status(own_queue, "a", Status.COMPLETE)
    await worker.stop(grace_s=5)

    assert (job.result, job.attempts, tries) == ("done", 2, 2)


@only_embedded("it is about the queue in a file")
async def test_a_queue_file_that_cannot_be_used_is_no_busy_loop(sqlite_queue_url, monkeypatch):
    """
    SAQ asks again at once when asking fails; here each of its slots pauses for a second.
    """
    queue = SqliteQueue.from_url(sqlite_queue_url)
    await queue.connect()
    worker = EmbeddedWorker(queue, [sleeper], concurrency=2)
    await worker.start()
    await queue._file.close()
    tries = 0
    queue._file.path = queue._file.path / "is no folder"
    take = queue._try_to_take

    async def counted():
        nonlocal tries
        tries += 1
        return await take()

    monkeypatch.setattr(queue, "_try_to_take", counted)
    queue._ring(everybody=True)
    await asyncio.sleep(2)
    queue._file.path = queue._file.path.parent
    await worker.stop(grace_s=1)
    await queue.disconnect()

    assert 1 <= tries <= 8


async def test_a_redis_that_is_away_is_no_busy_loop_and_work_goes_on_when_it_is_back(tmp_path, monkeypatch):
    """
    SAQ asks again at once when asking fails, with all of a processor's time and without a word.
    """
    port = free_port()
    server = start_redis(tmp_path, port=port)
    queue = choose_queue(server.url, "test")
    await queue.connect()
    worker = EmbeddedWorker(queue, [sleeper], concurrency=2)
    await worker.start()
    tries = 0
    take = RedisQueue.dequeue

    async def counted(self, *arguments):
        nonlocal tries
        tries += 1
        return await take(self, *arguments)

    monkeypatch.setattr(RedisQueue, "dequeue", counted)
    server.kill()
    with pytest.raises(QueueUnavailable):
        await queue.enqueue("sleeper", seconds=0, **OPTIONS)
    await asyncio.sleep(2)
    tries_while_away = tries
    with start_redis(tmp_path, port=port):
        await queue.enqueue("sleeper", key="after", seconds=0, **OPTIONS)
        await until_status(queue, "after", Status.COMPLETE)
        await worker.stop(grace_s=1)
        await queue.disconnect()

    assert 1 <= tries_while_away <= 8


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
    worker = EmbeddedWorker(own_queue, [("breaker", breaker)], concurrency=1)
    await worker.start()
    for generation_id in ("17", "18"):
        job = await own_queue.enqueue("breaker", generation_id=generation_id)
        await job.refresh(until_complete=5)
    await worker.stop(grace_s=5)

    assert listening.carried == [{"generation_id": "17"}, {"generation_id": "18"}]
