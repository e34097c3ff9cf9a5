"""How long generations take on each instance, by their checkpoint."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.instances.models import Pace

REMEMBERED = 20  # a mean of the latest ones: a new graphics card shall be believed soon


async def learn(session: AsyncSession, instance_id: UUID, checkpoint: str, seconds: float) -> None:
    """Take in how long one generation took, in the transaction that records it."""
    pace = await session.get(Pace, (instance_id, checkpoint))
    if pace is None:
        session.add(Pace(instance_id=instance_id, checkpoint=checkpoint, count=1, mean_s=seconds))
        await session.flush()  # whatever else this transaction records must find it
        return
    pace.count = min(pace.count + 1, REMEMBERED)
    pace.mean_s += (seconds - pace.mean_s) / pace.count


async def paces(session: AsyncSession, checkpoints: Collection[str]) -> dict[UUID, dict[str, float]]:
    """Instance -> checkpoint -> seconds, for some of the checkpoints."""
    found: dict[UUID, dict[str, float]] = defaultdict(dict)
    for pace in await session.scalars(select(Pace).where(Pace.checkpoint.in_(checkpoints))):
        found[pace.instance_id][pace.checkpoint] = pace.mean_s
    return found
