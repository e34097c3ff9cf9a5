"""
Deleting in two steps: into the trash, from where it comes back whole, and after some days for good.

What may be restored and what is purged never overlap: nothing is restored once its days are over, and the purge
begins an hour later. So it may delete files first and rows afterwards, and be killed between any two of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, and_, delete, exists, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.counters import PURGED, raise_to
from sidecar.database import Database
from sidecar.errors import NotCancellable, NotRestorable, StillOpen, StorageUnavailable
from sidecar.gallery.expected import images_of
from sidecar.gallery.retention import delete_files, delete_rows
from sidecar.gallery.storage import ImageStore
from sidecar.generations.dispatcher import Dispatcher
from sidecar.generations.history import owned
from sidecar.generations.models import Generation, GenerationEvent, IdempotencyKey, SearchEntry, Workflow, touch
from sidecar.generations.states import FINAL, GenerationState
from sidecar.identity import now

PURGE_LATER_BY = timedelta(hours=1)  # whatever clocks and slow transactions may differ by
PURGED_AT_ONCE = 500

Place = tuple[datetime, UUID]
"""In the order in which generations came into the trash."""

log = structlog.get_logger(__name__)


class Trash:
    """Takes generations out of sight, brings them back, and removes them for good. One a process."""

    def __init__(
        self,
        database: Database,
        store: ImageStore,
        dispatcher: Dispatcher,
        announce: Callable[[UUID], Awaitable[None]],
        *,
        days: int,
    ) -> None:
        self._database = database
        self._store = store
        self._dispatcher = dispatcher
        self._announce = announce
        self._days = timedelta(days=days)
        self._looked_through: Place | None = None

    async def put_in(self, owner_id: UUID, generation_id: UUID, *, cancel: bool = False) -> None:
        """
        Put a generation into the trash; one that lies there stays there.

        Args:
            cancel: Take it back first if it has not ended. It comes to its end in the trash.

        Raises:
            NotFound: It is not the owner's.
            StillOpen: It has not ended, and nobody said `cancel`.
        """
        if cancel:
            with contextlib.suppress(NotCancellable):  # it has ended already
                await self._dispatcher.cancel(owner_id, generation_id)
        async with self._database.writing() as session:
            generation = await owned(session, owner_id, generation_id)
            if not (generation.cancel_requested or GenerationState(generation.state) in FINAL):
                raise StillOpen
            if generation.trashed_at is not None:
                return
            generation.trashed_at = now()
            touch(generation)
        log.info("generation_trashed", generation_id=str(generation_id))
        await self._announce(generation_id)

    async def take_out(self, owner_id: UUID, generation_id: UUID) -> None:
        """
        Restore a generation; one that is not in the trash stays where it is.

        Raises:
            NotFound: It is not the owner's.
            NotRestorable: Its days are over.
        """
        async with self._database.writing() as session:
            generation = await owned(session, owner_id, generation_id)
            if generation.trashed_at is None:
                return
            if self._days and generation.trashed_at <= now() - self._days:
                raise NotRestorable
            generation.trashed_at = None
            touch(generation)
        log.info("generation_restored", generation_id=str(generation_id))
        await self._announce(generation_id)

    async def purge(self, _context: Any) -> None:
        """Remove for good what has been in the trash for its days. A job on a clock; safe to run at any time."""
        if not self._days:
            return
        due = await self._due(after=self._looked_through)
        for _, generation_id in due:
            await self._remove_or_leave(generation_id)
        # The next run goes on from here, and begins anew at the end: those that stay must not keep the rest waiting.
        self._looked_through = due[-1] if len(due) == PURGED_AT_ONCE else None

    async def _remove_or_leave(self, generation_id: UUID) -> None:
        """One that cannot be removed now must not hold up the others."""
        try:
            await self._remove(generation_id)
        except StorageUnavailable:
            log.warning("generation_not_purged_yet", generation_id=str(generation_id), exc_info=True)
        except Exception:
            log.exception("generation_not_purged_yet", generation_id=str(generation_id))  # a fault of ours

    async def _due(self, *, after: Place | None) -> list[Place]:
        query = (
            select(Generation.trashed_at, Generation.id)
            .where(
                Generation.trashed_at < now() - self._days - PURGE_LATER_BY,
                Generation.state.in_([state.value for state in FINAL]),
                lies_there_shorter(after),
            )
            .order_by(Generation.trashed_at, Generation.id)
            .limit(PURGED_AT_ONCE)
        )
        async with self._database.reading() as session:
            return [(at, generation_id) for at, generation_id in await session.execute(query)]

    async def _remove(self, generation_id: UUID) -> None:
        """Files first: as long as the rows are there, the next run finds what is left of them."""
        async with self._database.reading() as session:
            images = (await images_of(session, [generation_id])).get(generation_id, [])
        await delete_files(self._store, images)
        async with self._database.writing() as session:
            await delete_generation(session, generation_id)
        log.info("generation_purged", generation_id=str(generation_id), images=len(images))


def lies_there_shorter(than: Place | None) -> ColumnElement[bool]:
    if than is None:
        return true()
    at, generation_id = than
    return or_(Generation.trashed_at > at, and_(Generation.trashed_at == at, Generation.id > generation_id))


async def delete_generation(session: AsyncSession, generation_id: UUID) -> None:
    """Delete a generation with all that belongs to it alone; another process may have done it already."""
    generation = await session.get(Generation, generation_id)
    if generation is None:
        return
    await delete_rows(session, generation_id)
    await raise_to(session, PURGED, generation.number)
    for table in (GenerationEvent, IdempotencyKey, SearchEntry):
        await session.execute(delete(table).where(table.generation_id == generation_id))
    for child in await session.scalars(select(Generation).where(Generation.parent_id == generation_id)):
        child.parent_id = None
        touch(child)
    await session.execute(delete(Generation).where(Generation.id == generation_id))
    shared = exists().where(Generation.workflow_hash == generation.workflow_hash)
    await session.execute(delete(Workflow).where(Workflow.hash == generation.workflow_hash, ~shared))
