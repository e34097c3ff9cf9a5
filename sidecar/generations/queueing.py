"""
Tokens that say: there is work. Which work, the database says.

A token that gets lost (the broker was away, the process died between a commit and the token) is made again by the
sweeper; one that comes twice finds nothing to do.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from saq import Queue

from sidecar.errors import QueueUnavailable
from sidecar.queues.embedded import job_defaults

DISPATCH = "dispatch_generation"
KEEP_IMAGES = "keep_images"

LATER = 10
"""The priority of what nobody's turn depends on; everything else has SAQ's own 0, which goes first."""

KEPT_AT_ONCE = 2

log = structlog.get_logger(__name__)


class Queueing:
    """Puts tokens into the SAQ queue. One a process."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        # Part of every key. A token that a killed process had in its hands stays there until the queue is sure of its
        # death; meanwhile it must not swallow those of the process that took its place.
        self._process = secrets.token_hex(4)

    async def dispatch(self, generation_id: UUID, *, reason: str, not_before: datetime | None = None) -> None:
        """
        Somebody's turn may have come.

        `reason` is part of the token's key: a token that is just being worked off must not swallow a later one.
        """
        scheduled = int(not_before.timestamp()) + 1 if not_before else 0
        await self._enqueue(DISPATCH, generation_id, reason, scheduled=scheduled)

    async def keep_images(self, generation_id: UUID) -> None:
        """A generation has outputs that are not in our store yet."""
        # Of each group one runs at a time, so images never take more than half of the worker's places.
        group = f"{KEEP_IMAGES}:{generation_id.int % KEPT_AT_ONCE}:{self._process}"
        await self._enqueue(KEEP_IMAGES, generation_id, "recorded", priority=LATER, group_key=group)

    async def _enqueue(self, function: str, generation_id: UUID, reason: str, **options: Any) -> None:
        try:
            await self._queue.enqueue(
                function,
                key=f"{function}:{generation_id}:{reason}:{self._process}",
                generation_id=str(generation_id),
                **options,
                **job_defaults(),
            )
        except QueueUnavailable:
            log.warning("token_not_enqueued", function=function, generation_id=str(generation_id), exc_info=True)
