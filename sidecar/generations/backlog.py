"""How much waits, and how long it will take."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.generations.models import Generation, is_pending
from sidecar.instances.models import Instance, Pace
from sidecar.instances.standing import is_sound


@dataclass(frozen=True)
class Backlog:
    """What waits. `estimated_s` is None where nothing is known of how long anything takes."""

    generations: int
    estimated_s: float | None


async def backlog(session: AsyncSession) -> Backlog:
    """As if all that work now shared it; as if one did where none can."""
    query = select(Generation.checkpoint, func.count()).where(is_pending())
    waiting = {row[0]: row[1] for row in await session.execute(query.group_by(Generation.checkpoint))}
    known = await usual_seconds(session)
    if not known or not waiting:
        return Backlog(sum(waiting.values()), None if waiting else 0.0)
    # Of a checkpoint that was never used nobody knows more than that it is one.
    unknown_s = sum(known.values()) / len(known)
    work_s = sum(count * known.get(checkpoint, unknown_s) for checkpoint, count in waiting.items())
    sound = await session.scalar(select(func.count()).select_from(Instance).where(is_sound())) or 1
    return Backlog(sum(waiting.values()), round(work_s / sound, 1))


async def usual_seconds(session: AsyncSession) -> dict[str, float]:
    """Checkpoint -> how long a generation takes, on the mean of the instances."""
    found: dict[str, list[float]] = defaultdict(list)
    for checkpoint, mean_s in await session.execute(select(Pace.checkpoint, Pace.mean_s)):
        found[checkpoint].append(mean_s)
    return {checkpoint: sum(seconds) / len(seconds) for checkpoint, seconds in found.items()}
