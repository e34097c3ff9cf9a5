"""How many GPU seconds a generation will probably take: what those with its checkpoint took lately."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.instances.models import Pace

UNKNOWN_S = 10.0
REMEMBERED_FOR_S = 10.0
REMEMBERED_AT_MOST = 1000

PACES = select(Pace.checkpoint, Pace.mean_s).where(Pace.checkpoint.in_(bindparam("checkpoints", expanding=True)))


class Estimates:
    """Remembers for seconds what it found. One a process."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, float]] = {}

    async def seconds_of(self, session: AsyncSession, checkpoints: Collection[str]) -> dict[str, float]:
        """What is to be expected of each checkpoint, on the mean of the instances."""
        at = time.monotonic()
        unknown = {each for each in checkpoints if self._known.get(each, (0.0, 0.0))[1] <= at}
        if unknown:
            if len(self._known) > REMEMBERED_AT_MOST:
                self._known.clear()
            until = at + REMEMBERED_FOR_S
            self._known.update(
                (each, (seconds, until)) for each, seconds in (await usual_seconds(session, unknown)).items()
            )
        return {each: self._known[each][0] for each in checkpoints}


async def usual_seconds(session: AsyncSession, checkpoints: Collection[str]) -> dict[str, float]:
    found: dict[str, list[float]] = defaultdict(list)
    for checkpoint, mean_s in await session.execute(PACES, {"checkpoints": list(checkpoints)}):
        found[checkpoint].append(mean_s)
    return {each: sum(found[each]) / len(found[each]) if each in found else UNKNOWN_S for each in checkpoints}


def to_ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
