"""How much waits, and how long it will take."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.generations.models import Generation, is_pending
from sidecar.instances.models import Instance
from sidecar.instances.standing import is_sound
from sidecar.limits.estimate import lines_of


@dataclass(frozen=True)
class Backlog:
    """What waits. `estimated_s` is None where nothing is known of how long anything takes."""

    generations: int
    estimated_s: float | None


async def backlog(session: AsyncSession) -> Backlog:
    """As if all that work now shared it; as if one did where none can."""
    query = select(Generation.checkpoint, func.count(), func.sum(Generation.work)).where(is_pending())
    waiting = (await session.execute(query.group_by(Generation.checkpoint))).all()
    count = sum(each for _, each, _ in waiting)
    known = await lines_of(session, [checkpoint for checkpoint, *_ in waiting])
    if any(lines.basis == "nothing" for lines in known.values()):
        return Backlog(count, None)
    work_s = sum(known[checkpoint].usual.seconds_of_all(each, work) for checkpoint, each, work in waiting)
    sound = await session.scalar(select(func.count()).select_from(Instance).where(is_sound())) or 1
    return Backlog(count, round(work_s / sound, 1))
