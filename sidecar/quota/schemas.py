"""How quota and usage look from outside (sidecar/README.md, "Limits")."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

from sidecar.limits.reasons import Reason

Unit = Literal["generations", "gpu_seconds", "bytes", "pixels", "images", "steps", "frames"]
By = Literal["day", "checkpoint", "state"]


class QuotaLimit(Struct):
    """One limit that holds now."""

    name: str
    used: float | None
    """None: it is looked at for each generation by itself, and nothing is used up."""
    allowed: float
    unit: Unit
    window_s: int | None
    """Of a window: over how many seconds it is counted, back from now."""
    refills_at: datetime | None
    """Of a window: when all of what is used of it will be free again, if nothing more comes; None: nothing is."""
    next_free_at: datetime | None
    """When there is room for a further generation; None: now, or nobody knows."""
    group: str | None
    """Whose it is; None: one's own."""


class QuotaWaiting(Struct):
    """What waits."""

    count: int
    held_until: datetime | None
    """When a limit lets the first of those go that it holds back; None: it holds back none."""
    reason: Reason | None
    """Why that one is held."""
    why: str | None
    """The reason in a sentence, in English."""


class QuotaView(Struct):
    """What holds for somebody now, and what of it is used. Limits that there are not are left out."""

    plan: str
    over_limit: Literal["reject", "wait"]
    limits: list[QuotaLimit]
    waiting: QuotaWaiting


class QuotaWarning(Struct):
    """A limit is nearly, or quite, used up."""

    limit: str
    group: str | None
    percent: int
    """80 or 100: so much of it at least."""
    used: float
    allowed: float


class UsageRow(Struct):
    """What was used on one day, with one checkpoint, or by what ended in one way."""

    key: str
    """A day (UTC), the name of a checkpoint, or a state; `removed`: of what is in the history no longer."""
    submitted: int
    """How many generations there were."""
    generations: int
    """How many of them count: those that are completed, or not at their end yet."""
    gpu_seconds: float
    """What these took, or will probably take."""


class UsageView(Struct):
    """What somebody used between two moments."""

    begins_at: datetime
    ends_at: datetime
    by: By
    items: list[UsageRow]


class Accuracy(Struct):
    """How right the estimates were for one checkpoint on one instance, lately."""

    checkpoint: str
    instance: str
    count: int
    median_ratio: float
    """What they took, of what they were expected to take: 1.2 says that they took a fifth longer."""
    near: float
    """Which part of them was off by no more than a quarter."""


class AccuracyList(Struct):
    """Those of which most is known first."""

    items: list[Accuracy]
