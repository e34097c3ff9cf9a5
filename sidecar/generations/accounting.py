"""Does the ledger say of every generation what has become of it? Asked by whoever doubts it, and by tests."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import case, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.generations.models import Generation, measured_ms
from sidecar.generations.states import OPEN, GenerationState
from sidecar.limits.ledger import NOTHING, Kind, UsageEntry
from sidecar.limits.windows import Amount


class Discrepancy(NamedTuple):
    """What is counted of a generation, and what should be; None: nothing at all is written down."""

    generation_id: UUID
    account_id: UUID
    counted: Amount | None
    due: Amount


RESERVED_MS = func.sum(case((UsageEntry.kind == Kind.RESERVE.value, UsageEntry.gpu_ms), else_=0))
SUMS = (
    select(
        UsageEntry.account_id,
        func.sum(UsageEntry.generations).label("generations"),
        func.sum(UsageEntry.gpu_ms).label("gpu_ms"),
        RESERVED_MS.label("reserved_ms"),
        func.count(UsageEntry.counted_at.distinct()).label("moments"),
        Generation,
    )
    .join(Generation, Generation.id == UsageEntry.generation_id)
    .group_by(UsageEntry.account_id, Generation.id)
)
UNCOUNTED = select(Generation).where(
    ~exists().where(UsageEntry.generation_id == Generation.id, UsageEntry.account_id == Generation.person_id)
)


async def discrepancies(session: AsyncSession) -> list[Discrepancy]:
    """Everything in which the ledger and the generations differ. It reads all of both."""
    found = [
        Discrepancy(generation.id, generation.person_id, None, due_of(generation, 0))
        for generation in await session.scalars(UNCOUNTED)
    ]
    for row in await session.execute(SUMS):
        counted = Amount(int(row.generations), int(row.gpu_ms))
        due = due_of(row.Generation, int(row.reserved_ms))
        if counted != due or row.moments != 1:
            found.append(Discrepancy(row.Generation.id, row.account_id, counted, due))
    return found


def due_of(generation: Generation, reserved_ms: int) -> Amount:
    if GenerationState(generation.state) in OPEN:
        return Amount(1, reserved_ms)
    took_ms = measured_ms(generation)
    return NOTHING if took_ms is None else Amount(1, took_ms)
