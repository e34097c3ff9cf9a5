"""
Heals what is left when a process died between two steps: rows without a token get theirs, tokens without a row go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from sqlalchemy import select

from sidecar.database import Database
from sidecar.gallery.expected import unfinished
from sidecar.generations import shares
from sidecar.generations.models import Generation
from sidecar.generations.queueing import Queueing
from sidecar.generations.releasing import Releasing
from sidecar.identity import now

LOOKED_UP_AT_ONCE = 500

log = structlog.get_logger(__name__)


class Sweeper:
    """Runs on a clock. One a process."""

    def __init__(self, database: Database, wake: Callable[[], None], queueing: Queueing, releasing: Releasing) -> None:
        self._database = database
        self._wake = wake
        self._queueing = queueing
        self._releasing = releasing

    async def sweep_generations(self, _context: Any) -> None:
        """SAQ cron job."""
        await self._square_shares()
        self._wake()
        await self._releasing.make_sure()
        async with self._database.reading() as session:
            left = await unfinished(session)
        for generation_id in left:
            log.info("images_not_kept_yet", generation_id=str(generation_id))
            await self._queueing.keep_images(generation_id)

    async def _square_shares(self) -> None:
        """Who waits is a fact of the generations, and so is what their turns came to."""
        at = now()
        async with self._database.reading() as session:
            unmarked = await shares.who_waits_unmarked(session, at=at)
            unsettled = await shares.is_unsettled(session)
        if unmarked or unsettled:
            log.info("shares_squared", people_waiting=len(unmarked))
            async with self._database.writing() as session:
                await shares.begin_waiting(session, unmarked, at=at)
                await shares.settle_what_ended(session)

    async def forget_shares(self, _context: Any) -> None:
        """SAQ cron job: of most who do not wait there is nothing to be remembered."""
        async with self._database.writing() as session:
            await shares.forget_what_says_nothing(session)

    async def sweep_tokens(self, _context: Any) -> None:
        """SAQ cron job: what was purged has no turn and no images any more."""
        waiting = await self._queueing.waiting()
        for first in range(0, len(waiting), LOOKED_UP_AT_ONCE):
            some = waiting[first : first + LOOKED_UP_AT_ONCE]
            async with self._database.reading() as session:
                query = select(Generation.id).where(Generation.id.in_([generation_id for _, generation_id in some]))
                there = set(await session.scalars(query))
            for token, generation_id in some:
                if generation_id not in there:
                    log.info("token_without_generation", generation_id=str(generation_id), function=token.function)
                    await self._queueing.drop(token)
