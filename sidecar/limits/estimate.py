"""
How many GPU seconds a generation will probably take: as its like took lately.

Its like are those with its checkpoint on the same instance; else those with its checkpoint on the others; else all that
were made here; else nothing is known (`paces.UNKNOWN`). How seconds follow from work is `paces`' part.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Row, bindparam, desc, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.instances.models import Pace
from sidecar.limits.paces import REMEMBERED, UNKNOWN, Line, Sample, line_through, pooled

REMEMBERED_FOR_S = 10.0
REMEMBERED_AT_MOST = 1000
POOLED_AT_MOST = 100

Basis = Literal["checkpoint", "others", "nothing"]

ALL_LINES = select(
    Pace.instance_id,
    Pace.checkpoint,
    Pace.base_s,
    Pace.s_per_work,
    Pace.low,
    Pace.high,
    Pace.least,
    Pace.most,
    Pace.count.label("learned_from"),
).order_by(Pace.checkpoint, Pace.instance_id)
LINES_OF = ALL_LINES.where(Pace.checkpoint.in_(bindparam("checkpoints", expanding=True)))
BEST_KNOWN = ALL_LINES.order_by(None).order_by(desc(Pace.count), Pace.checkpoint, Pace.instance_id)


@dataclass(frozen=True)
class Lines:
    """What is known of generations with one checkpoint."""

    usual: Line = UNKNOWN
    """Wherever one goes."""
    basis: Basis = "nothing"
    """What that is learned from: those with the same checkpoint, or those with others."""
    by_instance: Mapping[UUID, Line] = field(default_factory=dict)

    def on(self, instance_id: UUID) -> Line:
        """There; as on the others where nothing is known of it."""
        return self.by_instance.get(instance_id, self.usual)


NOTHING_KNOWN = Lines()


class Estimates:
    """Remembers for seconds what it found. One a process."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Lines, float]] = {}

    async def of(self, session: AsyncSession, checkpoints: Collection[str]) -> dict[str, Lines]:
        """What is known of each checkpoint."""
        at = time.monotonic()
        unknown = {each for each in checkpoints if each not in self._known or self._known[each][1] <= at}
        if unknown:
            if len(self._known) > REMEMBERED_AT_MOST:
                self._known.clear()
                unknown = set(checkpoints)
            until = at + REMEMBERED_FOR_S
            found = await lines_of(session, unknown)
            self._known.update((each, (lines, until)) for each, lines in found.items())
        return {each: self._known[each][0] for each in checkpoints}


async def lines_of(session: AsyncSession, checkpoints: Collection[str]) -> dict[str, Lines]:
    """What is known of each of these."""
    found = grouped(await session.execute(LINES_OF, {"checkpoints": list(checkpoints)})) if checkpoints else {}
    if len(found) < len(set(checkpoints)):
        rows = (await session.execute(BEST_KNOWN.limit(POOLED_AT_MOST))).all()
        others = Lines(pooled([to_line(row) for row in rows]), "others") if rows else NOTHING_KNOWN
        found.update((each, others) for each in set(checkpoints) - found.keys())
    return found


async def learn(session: AsyncSession, instance_id: UUID, checkpoint: str, sample: Sample) -> None:
    """Take in how long one generation took, in the transaction that records it."""
    found = await session.get(Pace, (instance_id, checkpoint))
    pace = found or Pace(instance_id=instance_id, checkpoint=checkpoint, samples=[])
    samples = [Sample(*each) for each in pace.samples[1 - REMEMBERED :]] + [sample]
    line = line_through(samples)
    pace.samples = [list(each) for each in samples]
    pace.base_s, pace.s_per_work, pace.low, pace.high = line.base_s, line.s_per_work, line.low, line.high
    pace.count, pace.least, pace.most = line.count, line.least, line.most
    if found is None:
        session.add(pace)
        await session.flush()  # whatever else this transaction records must find it


def grouped(rows: Iterable[Row[Any]]) -> dict[str, Lines]:
    found: dict[str, dict[UUID, Line]] = defaultdict(dict)
    for row in rows:
        found[row.checkpoint][row.instance_id] = to_line(row)
    return {each: Lines(pooled([*lines.values()]), "checkpoint", lines) for each, lines in found.items()}


def to_line(row: Row[Any]) -> Line:
    return Line(row.base_s, row.s_per_work, row.low, row.high, row.learned_from, row.least, row.most)


def to_ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
