"""
A SAQ worker inside our own process.

SAQ's own defaults lose work: a job may run for ten seconds, once, and nobody notices that its worker died.
`job_options` are the ones that do not.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Callable, Collection, Coroutine
from typing import Any

from saq import CronJob, Job, Worker
from saq.types import TimersDict
from structlog.contextvars import bind_contextvars, clear_contextvars

from sidecar.errors import QueueUnavailable
from sidecar.queues.choose import WorkQueue
from sidecar.tasks import end

HEARTBEAT_S = 30  # whoever is silent for this long is thought dead, and somebody else takes the job
BEAT_EVERY_S = 5.0
TRIES = 5
RETRY_DELAY_S = 1.0
RETRY_DELAY_MOST_S = 30.0
CANCELLATION_S = 5

TIMERS: TimersDict = {"schedule": 1, "worker_info": 10, "sweep": 10, "abort": 1}
"""SAQ's clockwork, in seconds. Swept more often than by default: the jobs of a dead worker shall not wait a minute."""

CLOCKWORK_EVERY_S = 3.0  # nothing of ours happens more often than every ten seconds

Function = Callable[..., Coroutine[Any, Any, Any]]

logger = logging.getLogger("saq")


def job_options(*, timeout_s: int, tries: int = TRIES) -> dict[str, Any]:
    """
    What a job is enqueued with: `queue.enqueue("name", key=..., **job_options(timeout_s=60))`.

    It is stopped when it takes longer than `timeout_s`, and tried again when it fails, is stopped or its worker dies.
    Its body must therefore be safe to run twice.
    """
    return {
        "timeout": timeout_s,
        "heartbeat": HEARTBEAT_S,
        "retries": tries,
        "retry_delay": RETRY_DELAY_S,
        "retry_backoff": RETRY_DELAY_MOST_S,
    }


def cron_job(function: Function, cron: str, *, timeout_s: int) -> CronJob[Any]:
    """What the clockwork enqueues. It is not tried again when it fails: its next moment comes anyway."""
    return CronJob(beating(function), cron=cron, timeout=timeout_s, heartbeat=HEARTBEAT_S, retries=1)


class EmbeddedWorker:
    """
    Works off a queue beside whatever else the process does. One a queue; it opens and closes the queue.

    Args:
        functions: What jobs may ask for: coroutine functions `(ctx, **kwargs)`, by the names they go by.
        cron_jobs: Made by `cron_job`.
    """

    def __init__(
        self,
        queue: WorkQueue,
        functions: Collection[tuple[str, Function]],
        *,
        cron_jobs: Collection[CronJob[Any]] = (),
        concurrency: int = 10,
    ) -> None:
        self.queue = queue
        self._functions = [(name, beating(function)) for name, function in functions]
        self._cron_jobs = cron_jobs
        self._concurrency = concurrency
        self._worker: DrainingWorker | None = None
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to take jobs. The queue is open already."""
        self._worker = DrainingWorker(
            self.queue,
            self._functions,
            cron_jobs=self._cron_jobs,
            concurrency=self._concurrency,
            before_process=begin_job,
            after_process=end_job,
            timers=TIMERS,
            shutdown_grace_period_s=CANCELLATION_S,
            cancellation_hard_deadline_s=CANCELLATION_S,
            poll_interval=self.queue.polled_every_s,
        )
        self._running = asyncio.create_task(self._worker.start())

    async def stop(self, grace_s: float) -> None:
        """
        Take no more jobs, let the running ones end, return to the queue what has not ended after the grace.

        Returns at once when nothing runs.
        """
        if self._worker is None or self._running is None:
            return
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._worker.drain(), grace_s)
        # In this order and without a pause between: SAQ replaces a task that ends before its event is set, and waits
        # for all of them (its clockwork sleeps for a minute) when they do not end by themselves.
        self._worker.event.set()
        at_work, others = self._worker.tasks_at_work_and_others()
        for task in at_work:  # once: what a job does to end may take its time
            task.cancel()
        await end(*others)
        await self._running
        try:
            await self.queue.release(self._worker.id)
        except QueueUnavailable:
            logger.warning("What this worker had is taken over when the queue is back", exc_info=True)
        self._worker = self._running = None


class DrainingWorker(Worker[Any]):
    """Can be told to take no more jobs. Leaves the signals to the server in whose process it runs."""

    SIGNALS = []  # noqa: RUF012 - declared so by SAQ

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._taking = asyncio.Event()
        self._taking.set()
        self._at_work: set[asyncio.Task[Any]] = set()
        self._idle = asyncio.Event()
        self._clockwork_again = 0.0

    async def schedule(self, lock: int = 1) -> None:
        """
        Let those jobs go whose moment has come, and now and then make the clockwork's next ones.

        SAQ does both every second. Reckoning a dozen next moments and putting in a dozen jobs that are there already
        was half of what a sidecar did that had nothing to do.
        """
        began = time.monotonic()
        if began < self._clockwork_again:
            await self.queue.schedule(lock)
            return
        await super().schedule(lock)
        self._clockwork_again = began + CLOCKWORK_EVERY_S

    async def process(self) -> bool:
        await self._taking.wait()
        return await super().process()

    async def drain(self) -> None:
        """Take no more jobs, and return when those that run have ended."""
        self._taking.clear()
        for task in self.tasks:
            if task.get_name() == "process" and task not in self._at_work:
                task.cancel()
        while self._at_work:
            self._idle.clear()
            await self._idle.wait()

    def tasks_at_work_and_others(self) -> tuple[set[asyncio.Task[Any]], set[asyncio.Task[Any]]]:
        tasks = set(self.tasks)
        return tasks & self._at_work, tasks - self._at_work

    def note_begin(self) -> None:
        self._at_work.add(this_task())

    def note_end(self) -> None:
        self._at_work.discard(this_task())
        if not self._at_work:
            self._idle.set()


def this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - for the type checker: a coroutine that runs has one
    return task


async def begin_job(context: dict[str, Any]) -> None:
    """From here on each log line of this job, SAQ's own too, carries what the job was asked for."""
    context["worker"].note_begin()
    bind_contextvars(**context["job"].kwargs or {})


async def end_job(context: dict[str, Any]) -> None:
    context["worker"].note_end()
    clear_contextvars()


def beating(function: Function) -> Function:
    """Let a function say, for as long as it runs, that its worker is alive."""

    @functools.wraps(function)
    async def run(context: dict[str, Any], **kwargs: Any) -> Any:
        working = asyncio.ensure_future(function(context, **kwargs))
        try:
            while not working.done():
                await asyncio.wait({working}, timeout=BEAT_EVERY_S)
                if not working.done():
                    await beat(context["job"])
        finally:
            # Stopped from outside, or the job belongs to somebody else by now: so ends what it does.
            if not working.done():
                working.cancel()
                await asyncio.wait({working})
        return working.result()

    return run


async def beat(job: Job) -> None:
    try:
        await job.update()
    except QueueUnavailable:
        logger.warning("The queue cannot be told that %s is alive", job.id, exc_info=True)
