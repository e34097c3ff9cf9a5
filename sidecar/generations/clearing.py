"""Everything that somebody has waiting, taken back at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.database import Database
from sidecar.generations.dispatcher import Dispatcher
from sidecar.generations.models import Generation, ask_to_cancel, is_in_flight
from sidecar.generations.schemas import Cleared
from sidecar.generations.states import GenerationState

CLEARED_AT_ONCE = 500  # everybody else's writes go on in between

log = structlog.get_logger(__name__)


class Clearing:
    """Takes back what waits, however much it is. One a process."""

    def __init__(self, database: Database, dispatcher: Dispatcher, announce: Callable[[UUID], Awaitable[None]]) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._announce = announce

    async def clear(self, owner_id: UUID, through: int | None = None, shown: Collection[UUID] = ()) -> Cleared:
        """
        Cancel the first of those that wait, for somebody who asks again until none is left.

        Args:
            through: Up to which number. None: up to the latest one that waits now, so that what comes later stays.
            shown: What they saw waiting. What was let go in between is taken back from ComfyUI.
        """
        async with self._database.writing() as session:
            if through is None:
                through = await latest_held(session, owner_id)
            cancelled = await cancel_held(session, owner_id, through=through, at_most=CLEARED_AT_ONCE)
            let_go = await call_back(session, owner_id, shown)
        log.info(
            "held_cleared",
            owner_id=str(owner_id),
            through=through,
            generations=len(cancelled),
            let_go=len(let_go),
        )
        for generation in cancelled:
            await self._dispatcher.after_cancelling(generation)
            await self._announce(generation.id)
        for generation in let_go:
            await self._dispatcher.cancel_in_comfyui(generation)
            await self._announce(generation.id)
        return Cleared(through, more=len(cancelled) == CLEARED_AT_ONCE)


async def latest_held(session: AsyncSession, owner_id: UUID) -> int:
    return await session.scalar(select(func.max(Generation.number)).where(*is_held(owner_id))) or 0


async def cancel_held(session: AsyncSession, owner_id: UUID, *, through: int, at_most: int) -> list[Generation]:
    """Cancel what somebody has waiting, oldest first, in the caller's transaction."""
    query = select(Generation).where(*is_held(owner_id), Generation.number <= through)
    held = list(await session.scalars(query.order_by(Generation.created_at, Generation.id).limit(at_most)))
    for generation in held:
        ask_to_cancel(session, generation)
    return held


async def call_back(session: AsyncSession, owner_id: UUID, shown: Collection[UUID]) -> list[Generation]:
    """Those of them that are on their way to ComfyUI, or there; in the caller's transaction."""
    if not shown:
        return []
    is_meant = Generation.id.in_(shown), Generation.owner_id == owner_id, Generation.cancel_requested.is_(False)
    let_go = list(await session.scalars(select(Generation).where(*is_meant, is_in_flight())))
    for generation in let_go:
        ask_to_cancel(session, generation)
    return let_go


def is_held(owner_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return Generation.owner_id == owner_id, Generation.state == GenerationState.PENDING.value
