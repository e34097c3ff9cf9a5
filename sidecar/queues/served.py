"""
What SAQ's own queues, which live on a server, lack: they ask again at once when the server is away, and say nothing.

    redis, postgresql    the two of them, each with what is its own
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from saq.job import Job, Status
from saq.queue import Queue

from sidecar.errors import QueueUnavailable

PAUSE_WHEN_UNAVAILABLE_S = 1.0

logger = logging.getLogger("saq")


class ServedQueue(Queue):
    """Stands before one of SAQ's queues in the order of its bases, so that `super()` is that queue."""

    trouble: ClassVar[tuple[type[Exception], ...]]
    """What its driver raises when the server is away."""

    polled_every_s: ClassVar[float] = 0.0
    """How late at most a job is seen; 0: at once, whoever waits is told."""

    _available = True

    async def dequeue(self, timeout: float = 0.0, poll_interval: float = 0.0) -> Job | None:
        """
        Take the next job.

        Raises:
            QueueUnavailable: After a pause: SAQ's worker would ask again at once, with all of a processor's time.
        """
        try:
            with self._translated():
                job: Job | None = await super().dequeue(timeout, poll_interval)  # type: ignore[safe-super]
        except QueueUnavailable:
            if self._available:
                logger.exception("The queue cannot be used")
            self._available = False
            await asyncio.sleep(PAUSE_WHEN_UNAVAILABLE_S)
            raise
        self._available = True
        return job

    async def count(self, kind: Any) -> int:
        with self._translated():
            return await super().count(kind)  # type: ignore[safe-super]

    async def release(self, worker_id: str) -> None:
        """A worker of this process has stopped: queue again whatever it still has."""
        with self._translated():
            held = [job async for job in self.iter_jobs([Status.ACTIVE]) if job.worker_id == worker_id]
            for job in held:
                await self.retry(job, "cancelled")

    async def _enqueue(self, job: Job) -> Job | None:
        with self._translated():
            return await super()._enqueue(job)  # type: ignore[safe-super]

    async def _update(self, job: Job, status: Status | None = None, **kwargs: Any) -> None:
        with self._translated():
            await super()._update(job, status, **kwargs)  # type: ignore[safe-super]

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self.trouble as exc:
            raise QueueUnavailable(
                "The server with the queue does not answer. What waits goes on when it does."
            ) from exc
