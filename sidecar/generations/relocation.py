"""
Work that an instance cannot finish goes elsewhere.

An instance that is away may come back with its work done. So it is waited for a moment, and longer where nobody else
could do the work. What it still has when it comes back after that is taken out of it by its recorder. One that was
removed is not waited for.
"""

from __future__ import annotations

import asyncio
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.cluster.leadership import Leadership
from sidecar.database import Database
from sidecar.generations.aftermath import Aftermath
from sidecar.generations.in_flight import believed_in_flight, note_death, take_back
from sidecar.generations.models import Generation, is_in_flight
from sidecar.generations.postings import Postings
from sidecar.generations.shares import let_wait
from sidecar.generations.states import GenerationState
from sidecar.identity import now
from sidecar.instances import standing
from sidecar.instances.models import Instance, Wanted

PATIENCE_S = 5.0

log = structlog.get_logger(__name__)


class Relocation:
    """Takes work back from instances that are away. One a process."""

    def __init__(self, database: Database, leadership: Leadership, postings: Postings, aftermath: Aftermath) -> None:
        self._database = database
        self._leadership = leadership
        self._postings = postings
        self._aftermath = aftermath

    async def wait_for_return_of(self, instance_id: UUID) -> None:
        """Take its work back when it stays away; to be cancelled when it is there again."""
        while True:
            await asyncio.sleep(PATIENCE_S)
            try:
                if await self._take_back_from(instance_id):
                    return
            except Exception:
                # A fault of ours or of the database, told in full; tried again after the next wait.
                log.exception("work_not_taken_back", instance_id=str(instance_id))

    async def _take_back_from(self, instance_id: UUID) -> bool:
        """Tells whether nothing is left to be taken back."""
        async with self._database.reading() as session:
            if not await believed_in_flight(session, instance_id):
                return True
            if not await others_may_work(session, instance_id):
                return False
        await self._take_all_back_from(instance_id, reason="its instance is away")
        return False

    async def take_back_from_removed(self) -> None:
        """What is just on its way there is left to the next look."""
        async with self._database.reading() as session:
            having = await removed_with_work(session)
        for instance_id in having:
            await self._take_all_back_from(instance_id, reason="its instance was removed")

    async def _take_all_back_from(self, instance_id: UUID, *, reason: str) -> None:
        async with self._leadership.writing() as session:
            taken = await take_all_back(session, instance_id, self._postings, reason=reason)
        for generation in taken:
            await self._aftermath.of_taking_back(generation)


async def others_may_work(session: AsyncSession, instance_id: UUID) -> bool:
    query = select(Instance.id).where(standing.may_get_work(now()), Instance.id != instance_id).limit(1)
    return await session.scalar(query) is not None


async def removed_with_work(session: AsyncSession) -> list[UUID]:
    """The instances that are none any more and have something in their hands all the same."""
    having = select(Generation.instance_id).where(is_in_flight())
    query = select(Instance.id).where(Instance.wanted == Wanted.REMOVED.value, Instance.id.in_(having))
    return list(await session.scalars(query))


async def take_all_back(
    session: AsyncSession, instance_id: UUID, postings: Postings, *, reason: str
) -> list[Generation]:
    """Have everything that an instance has in its hands wait for another one, in the caller's transaction."""
    believed = [found for found in await believed_in_flight(session, instance_id) if found not in postings]
    taken = [await session.get_one(Generation, generation_id) for generation_id in believed]
    for generation in taken:
        if generation.state == GenerationState.RUNNING.value:
            await note_death(session, generation)
        take_back(session, generation, reason=reason)
        await let_wait(session, [generation])
    return taken
