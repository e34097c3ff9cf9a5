"""
A SAQ worker inside our own process.

SAQ's own defaults lose work: a job may run for ten seconds, once, and nobody notices that its worker died.
`job_defaults` are the ones that do not.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection
from typing import Any

from saq import CronJob, Worker
from saq.types import TimersDict
from structlog.contextvars import bind_contextvars, clear_contextvars

from sidecar.queues.sqlite import SqliteQueue

HEARTBEAT_S = 60
TRIES = 5
RETRY_DELAY_S = 1.0
RETRY_DELAY_MOST_S = 30.0
CANCELLATION_S = 5

TIMERS: TimersDict = {"schedule": 1, "worker_info": 10, "sweep": 10, "abort": 1}
"""SAQ's clockwork, in seconds. Swept more often than by default: the jobs of a dead worker shall not wait a minute."""

Function = Callable[..., Any]


def job_defaults() -> dict[str, Any]:
    """
    What every job but those of the clockwork is enqueued with: `queue.enqueue("name", key=..., **job_defaults())`.

    It may run for as long as it needs, it must call `await job.update()` at least once a minute, and it is tried again
    when it fails or when its worker dies. Its body must therefore be safe to run twice.
    """
    return {
        "timeout": 0,
        "heartbeat": HEARTBEAT_S,
        "retries": TRIES,
        "retry_delay": RETRY_DELAY_S,
        "retry_backoff": RETRY_DELAY_MOST_S,
    }


def cron_job(function: Function, cron: str) -> CronJob[Any]:
    """
    What the clockwork enqueues: with no limit of time and the heartbeat of every other job.

    SAQ's own would stop it after ten seconds. It is not tried again when it fails: its next moment comes anyway.
    """
    return CronJob(function, cron=cron, timeout=0, heartbeat=HEARTBEAT_S)


class EmbeddedWorker:
    """
    Works off a queue beside whatever else the process does. One a queue; it opens and closes the queue.

    Args:
        functions: What jobs may ask for: coroutine functions `(ctx, **kwargs)`, alone or with the name they go by.
    """

    def __init__(
        self,
        queue: SqliteQueue,
        functions: Collection[Function | tuple[str, Function]],
        *,
        cron_jobs: Collection[CronJob[Any]] = (),
        concurrency: int = 10,
    ) -> None:
        self.queue = queue
        self._functions = functions
        self._cron_jobs = cron_jobs
        self._concurrency = concurrency
        self._worker: Worker[Any] | None = None
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the queue and begin to take jobs."""
        await self.queue.connect()
        self._worker = QuietWorker(
            self.queue,
            self._functions,
            cron_jobs=self._cron_jobs,
            concurrency=self._concurrency,
            before_process=name_in_logs,
            after_process=forget_in_logs,
            timers=TIMERS,
            shutdown_grace_period_s=CANCELLATION_S,
            cancellation_hard_deadline_s=CANCELLATION_S,
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
            await asyncio.wait_for(self.queue.drain(), grace_s)
        # In this order and without a pause between: SAQ replaces a task that ends before its event is set, and waits
        # for all of them (its clockwork sleeps for a minute) when they do not end by themselves.
        self._worker.event.set()
        for task in list(self._worker.tasks):
            task.cancel()
        await self._running
        await self.queue.release(self._worker.id)
        await self.queue.disconnect()
        self._worker = self._running = None


async def name_in_logs(context: dict[str, Any]) -> None:
    """From here on each log line of this job, SAQ's own too, carries what the job was asked for."""
    bind_contextvars(**context["job"].kwargs or {})


async def forget_in_logs(_context: dict[str, Any]) -> None:
    clear_contextvars()


class QuietWorker(Worker[Any]):
    """Leaves the signals to the server in whose process it runs."""

    SIGNALS = []  # noqa: RUF012 - declared so by SAQ
