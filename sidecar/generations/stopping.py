"""
Whoever is disabled has nothing made for them any more.

`stop_all` is part of the transaction that disables an account: what an instance has is to be cancelled, and what waits
is, as far as that takes no long time. Of the rest it is written down that it is to be (`Stop`): nothing of it goes from
then on, and whoever leads cancels it, some at a time, with everybody else's writes in between. What is in a ComfyUI is
taken out of it as soon as whoever leads hears of the change; what could not be told is found when it reconciles, as any
cancellation is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import structlog
from sqlalchemy import Integer, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from sidecar.accounts.people import Stopped
from sidecar.cluster.leadership import Leadership
from sidecar.database import GUID, Base, Database
from sidecar.errors import Away, LeadershipLost
from sidecar.generations.models import Generation, ask_to_cancel, is_in_flight, is_pending
from sidecar.generations.shares import Share

REASON = "the account of its owner was disabled"
STOPPED_AT_ONCE = 200  # a twentieth of a second in which nobody else writes
TRIED_AGAIN_AFTER_S = 5.0

log = structlog.get_logger(__name__)


class Stop(Base):
    """Somebody has more waiting than was cancelled at once. Gone when nothing of it is left."""

    __tablename__ = "stops"

    owner_id: Mapped[UUID] = mapped_column(GUID, primary_key=True)
    through: Mapped[int] = mapped_column(Integer)
    """Up to which number: what they submit when they are enabled again is not meant."""


async def stop_all(session: AsyncSession, owner_id: UUID) -> Stopped:
    """Have nothing made of what somebody has submitted, from the end of the caller's transaction on, and for good."""
    there = (await session.scalars(select(Generation).where(Generation.owner_id == owner_id, is_in_flight()))).all()
    for generation in there:
        ask_to_cancel(session, generation, reason=REASON)
    waiting = is_pending(), Generation.owner_id == owner_id
    query = select(func.count(), func.max(Generation.number)).where(*waiting)
    count, last = (await session.execute(query)).one()
    cancelled = await cancel_some(session, owner_id, through=last or 0)
    if count > len(cancelled):
        await session.merge(Stop(owner_id=owner_id, through=last))
        people = select(Generation.person_id).where(*waiting)
        await session.execute(update(Share).where(Share.person_id.in_(people)).values(is_waiting=False))
    return Stopped(count, interrupted=len(there))


async def cancel_some(session: AsyncSession, owner_id: UUID, *, through: int) -> Sequence[Generation]:
    """Cancel as many as may be at once, in the caller's transaction."""
    query = select(Generation).where(is_pending(), Generation.owner_id == owner_id, Generation.number <= through)
    found = (await session.scalars(query.limit(STOPPED_AT_ONCE))).all()
    for generation in found:
        ask_to_cancel(session, generation, reason=REASON)
    return found


async def go_on_stopping(session: AsyncSession) -> Sequence[Generation]:
    """Cancel some more of what somebody's stop means, in the caller's transaction; nothing where nothing is left."""
    stop = await session.scalar(select(Stop).limit(1))
    if stop is None:
        return ()
    found = await cancel_some(session, stop.owner_id, through=stop.through)
    if len(found) < STOPPED_AT_ONCE:
        await session.execute(delete(Stop).where(Stop.owner_id == stop.owner_id))
    return found


class Interruptions:
    """
    Takes out of every ComfyUI what was stopped, and cancels what still waits. One a process.

    Args:
        take_out: Have ComfyUI let go of one, and write down how it ended.
    """

    def __init__(
        self,
        database: Database,
        leadership: Leadership,
        take_out: Callable[[Generation], Awaitable[None]],
        announce: Callable[[UUID], Awaitable[None]],
    ) -> None:
        self._database = database
        self._leadership = leadership
        self._take_out = take_out
        self._announce = announce
        self._whose: set[UUID] = set()
        self._awake = asyncio.Event()

    def callers_changed(self, user_id: UUID) -> None:
        """Something about this person is different: perhaps they are disabled."""
        self._whose.add(user_id)
        self._awake.set()

    async def run(self) -> None:
        """For whoever leads, until cancelled."""
        self._awake.set()  # whoever led before may have died in the middle of it
        while True:
            await self._awake.wait()
            self._awake.clear()
            whose, self._whose = self._whose, set()
            try:
                await self._interrupt(whose)
                while await self._stop_some():
                    pass
            except (Away, LeadershipLost) as exc:
                log.warning("not_interrupted", reason=exc.message)
                self._try_again()
            except Exception:
                log.exception("not_interrupted")  # a fault of ours, told in full; reconciling comes to it
                self._try_again()

    def _try_again(self) -> None:
        asyncio.get_running_loop().call_later(TRIED_AGAIN_AFTER_S, self._awake.set)

    async def _stop_some(self) -> bool:
        async with self._leadership.writing() as session:
            found = await go_on_stopping(session)
        for generation in found:
            if generation.tries:  # it may have arrived somewhere, and the answer was lost
                await self._take_out(generation)
        if found:
            await self._announce(found[-1].id)  # one is enough for whoever looks at the line
        return bool(found)

    async def _interrupt(self, whose: set[UUID]) -> None:
        stopped = select(Generation).where(
            is_in_flight(), Generation.owner_id.in_(whose), Generation.cancel_reason == REASON
        )
        async with self._database.reading() as session:
            found = (await session.scalars(stopped)).all()
        await asyncio.gather(*map(self._take_out, found))
