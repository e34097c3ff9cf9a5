"""
Whoever is disabled has nothing made for them any more.

`stop_all` is part of the transaction that disables an account: what waits is cancelled, and what an instance has is to
be. Whoever leads then takes the latter out of ComfyUI, as soon as it hears of the change. What it could not tell
ComfyUI is found when it reconciles, as any cancellation is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.accounts.people import Stopped
from sidecar.database import Database
from sidecar.errors import Away
from sidecar.generations.models import Generation, is_in_flight, move, touch
from sidecar.generations.states import OPEN, GenerationState
from sidecar.identity import now

REASON = "the account of its owner was disabled"

log = structlog.get_logger(__name__)


async def stop_all(session: AsyncSession, owner_id: UUID) -> Stopped:
    """End everything of theirs that has not ended, in the caller's transaction; for good, whatever comes later."""
    is_open = Generation.state.in_([state.value for state in OPEN])
    found = (await session.scalars(select(Generation).where(Generation.owner_id == owner_id, is_open))).all()
    at, cancelled = now(), 0
    for generation in found:
        generation.cancel_requested, generation.cancel_reason = True, REASON
        if generation.state == GenerationState.PENDING.value:
            move(session, generation, GenerationState.CANCELLED, at=at)
            cancelled += 1
        else:
            touch(generation)
    return Stopped(cancelled, interrupted=len(found) - cancelled)


class Interruptions:
    """
    Takes out of every ComfyUI what was stopped. One a process.

    Args:
        take_out: Have ComfyUI let go of one, and write down how it ended.
    """

    def __init__(self, database: Database, take_out: Callable[[Generation], Awaitable[None]]) -> None:
        self._database = database
        self._take_out = take_out
        self._whose: set[UUID] = set()
        self._awake = asyncio.Event()

    def callers_changed(self, user_id: UUID) -> None:
        """Something about this person is different: perhaps they are disabled."""
        self._whose.add(user_id)
        self._awake.set()

    async def run(self) -> None:
        """For whoever leads, until cancelled."""
        while True:
            await self._awake.wait()
            self._awake.clear()
            whose, self._whose = self._whose, set()
            try:
                await self._interrupt(whose)
            except Away as exc:
                log.warning("not_interrupted", reason=exc.message)
            except Exception:
                # A fault of ours, told in full; reconciling comes to it.
                log.exception("not_interrupted")

    async def _interrupt(self, whose: set[UUID]) -> None:
        stopped = select(Generation).where(
            is_in_flight(), Generation.owner_id.in_(whose), Generation.cancel_reason == REASON
        )
        async with self._database.reading() as session:
            found = (await session.scalars(stopped)).all()
        await asyncio.gather(*map(self._take_out, found))
