"""
Tokens that say: there is work. Which work, the database says.

A token that gets lost (the broker was away, the process died between a commit and the token) is made again by the
sweeper; one that comes twice finds nothing to do.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from saq import Job, Queue, Status

from sidecar.errors import QueueUnavailable
from sidecar.identity import now
from sidecar.queues.embedded import job_options

DISPATCH = "dispatch_generation"
DISPATCH_WITHIN_S = 30
RELEASE = "release_held"
RELEASE_WITHIN_S = 30
RELEASED_EARLY_S = 2  # a queue looks every second for what is due; whoever takes it waits for the rest
KEEP_IMAGES = "keep_images"
KEEP_IMAGES_WITHIN_S = 1800  # a generation may have hundreds of images, on a disk that is slow

log = structlog.get_logger(__name__)


class Queueing:
    """
    Puts tokens into the SAQ queues. One a process.

    There are two, so that however many images wait, nobody's turn waits for them.
    """

    def __init__(self, *, turns: Queue, images: Queue) -> None:
        self._turns = turns
        self._images = images
        self.wake_leader: Callable[[], bool] = lambda: False
        """Wakes whoever leads if that is this process; tells whether it is."""
        self._next_release: datetime | None = None
        """The earliest of those that this process has made a token for."""
        # Part of every key. A token that a killed process had in its hands stays there until the queue is sure of its
        # death; meanwhile it must not swallow those of the process that took its place.
        self._process = secrets.token_hex(4)

    async def dispatch(self, generation_id: UUID, *, reason: str, not_before: datetime | None = None) -> None:
        """
        Somebody's turn may have come, now or then. Only now, and only whoever leads in this process, needs no token.

        `reason` is part of the token's key: a token that is just being worked off must not swallow a later one.
        """
        if not_before is not None:
            # An earlier one that this process has made makes the later ones.
            if self._next_release is None or not now() < self._next_release <= not_before:
                await self.release(not_before)
        elif not self.wake_leader():
            options = job_options(timeout_s=DISPATCH_WITHIN_S)
            await self._enqueue(self._turns, DISPATCH, generation_id, reason, **options)

    async def release(self, moment: datetime) -> None:
        """Something is held until this moment. All processes share these tokens: each would say the same."""
        scheduled = max(math.floor(moment.timestamp()) - RELEASED_EARLY_S, 1)
        options = {**job_options(timeout_s=RELEASE_WITHIN_S), "scheduled": scheduled, "moment": moment.isoformat()}
        try:
            await self._turns.enqueue(RELEASE, key=f"{RELEASE}:{moment.isoformat()}", **options)
        except QueueUnavailable:
            log.warning("token_not_enqueued", function=RELEASE, moment=moment.isoformat(), exc_info=True)
        else:
            self._next_release = moment

    async def keep_images(self, generation_id: UUID) -> None:
        """A generation has outputs that are not in our store yet."""
        options = job_options(timeout_s=KEEP_IMAGES_WITHIN_S)
        await self._enqueue(self._images, KEEP_IMAGES, generation_id, "recorded", **options)

    async def waiting(self) -> list[tuple[Job, UUID]]:
        """Every token that waits, with the generation that it names."""
        return [
            (job, UUID(job.kwargs["generation_id"]))
            for queue in (self._turns, self._images)
            async for job in queue.iter_jobs([Status.QUEUED])
            if job.kwargs and "generation_id" in job.kwargs
        ]

    async def drop(self, token: Job) -> None:
        """Take a token out of its queue."""
        await token.abort("its generation is gone")
        if token.scheduled:  # SAQ leaves one on Redis half aborted for ever that waits for its moment
            await token.finish(Status.ABORTED, error=token.error)

    async def _enqueue(self, queue: Queue, function: str, generation_id: UUID, reason: str, **options: Any) -> None:
        try:
            await queue.enqueue(
                function,
                key=f"{function}:{generation_id}:{reason}:{self._process}",
                generation_id=str(generation_id),
                **options,
            )
        except QueueUnavailable:
            log.warning("token_not_enqueued", function=function, generation_id=str(generation_id), exc_info=True)
