"""How right the estimates were: what was reserved for generations, held against what they took (`limits/ledger.py`)."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from statistics import median

from sqlalchemy import and_, desc, select, text
from sqlalchemy.orm import aliased

from sidecar.database import Database
from sidecar.generations.models import Generation
from sidecar.identity import now
from sidecar.instances.models import Instance
from sidecar.limits.ledger import Kind, UsageEntry
from sidecar.quota.schemas import Accuracy, AccuracyList

LOOKED_BACK = timedelta(days=7)
READ_AT_MOST = 2000  # the latest ones: ten times as many say the same, and nobody is answered for a tenth of a second
NEAR = 0.25

RESERVED, SETTLED = aliased(UsageEntry), aliased(UsageEntry, name="settled")
PAIRS = (
    select(Generation.checkpoint, Instance.name, RESERVED.gpu_ms, SETTLED.gpu_ms)
    .join(RESERVED, and_(RESERVED.generation_id == SETTLED.generation_id, RESERVED.account_id == SETTLED.account_id))
    .join(Generation, and_(Generation.id == SETTLED.generation_id, Generation.person_id == SETTLED.account_id))
    .join(Instance, Instance.id == Generation.instance_id)
    .where(text("settled.kind <> 'reserve'"), SETTLED.kind == Kind.SETTLE.value, RESERVED.kind == Kind.RESERVE.value)
    .order_by(desc(SETTLED.at))
    .limit(READ_AT_MOST)
)
"""Once for each generation, not for each group of its person's."""


async def accuracy(database: Database) -> AccuracyList:
    """Of the latest ones of seven days, by checkpoint and instance; those of which most is known first."""
    async with database.reading() as session:
        rows = (await session.execute(PAIRS.where(SETTLED.at > now() - LOOKED_BACK))).all()
    ratios: dict[tuple[str, str], list[float]] = defaultdict(list)
    for checkpoint, instance, reserved_ms, difference_ms in rows:
        ratios[checkpoint, instance].append((reserved_ms + difference_ms) / reserved_ms)
    items = [
        Accuracy(checkpoint, instance, len(found), round(median(found), 3), round(share_near(found), 3))
        for (checkpoint, instance), found in ratios.items()
    ]
    return AccuracyList(sorted(items, key=lambda item: -item.count))


def share_near(ratios: list[float]) -> float:
    return sum(abs(ratio - 1) <= NEAR for ratio in ratios) / len(ratios)
