"""Whose turn is it? For now: first come, first served."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.generations.in_flight import count_in_flight
from sidecar.generations.models import Generation
from sidecar.generations.states import GenerationState

IN_FLIGHT_AT_MOST = 2  # the one that runs, and one fed ahead so that the GPU never waits
HELD_TOLD_AT_MOST = 1000


async def next_turn(session: AsyncSession, *, at: datetime) -> Generation | None:
    """The generation that may go to ComfyUI now; None when every place is taken or nothing waits."""
    if await count_in_flight(session) >= IN_FLIGHT_AT_MOST:
        return None
    result: Generation | None = await session.scalar(
        select(Generation)
        .where(
            Generation.state == GenerationState.PENDING.value,
            or_(Generation.not_before.is_(None), Generation.not_before <= at),
        )
        .order_by(Generation.number)
        .limit(1)
    )
    return result


async def places(session: AsyncSession, numbers: list[int]) -> dict[int, int]:
    """How many held generations run before each of these (given by their numbers)."""
    if not numbers:
        return {}
    pending = select(Generation.number).where(Generation.state == GenerationState.PENDING.value)
    first = min(numbers)
    ahead = await session.scalar(select(func.count()).select_from(pending.where(Generation.number < first).subquery()))
    between = pending.where(Generation.number.between(first, max(numbers))).order_by(Generation.number)
    return {number: place for place, number in enumerate(await session.scalars(between), start=ahead or 0)}


async def held(session: AsyncSession) -> dict[str, Any]:
    """What ComfyUI's own queue panel shall show as pending, in the order of turns."""
    pending = Generation.state == GenerationState.PENDING.value
    rows = await session.execute(
        select(Generation.id, Generation.number, Generation.client_id, Generation.created_at)
        .where(pending)
        .order_by(Generation.number)
        .limit(HELD_TOLD_AT_MOST)
    )
    entries = [
        {
            "id": str(row.id),
            "number": row.number,
            "client_id": row.client_id,
            "created_at": int(row.created_at.timestamp() * 1000),
        }
        for row in rows
    ]
    total = len(entries)
    if total == HELD_TOLD_AT_MOST:
        total = await session.scalar(select(func.count()).where(pending)) or total
    return {"total": total, "held": entries}
