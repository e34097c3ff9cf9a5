"""
What everybody got of the instances, and who waits for their turn: the rows on which `fair_shares` reckons.

Each function is part of the caller's transaction. `is_waiting` is a fact of the generations, kept where it can be read
off an index: whoever dies in between leaves nothing behind that `mark_whoever_waits` does not find.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from time import monotonic
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Float,
    bindparam,
    case,
    cast,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column

from sidecar.database import GUID, Base, DateTimeUTC, table_of
from sidecar.generations import fair_shares
from sidecar.generations.choice import Choice
from sidecar.generations.models import Generation, is_pending, partial_index
from sidecar.generations.states import IN_FLIGHT, GenerationState
from sidecar.identity import now
from sidecar.instances.models import Instance, Wanted
from sidecar.instances.standing import is_sound

SETTLED_AT_ONCE = 200
COUNTED_SELDOM_FROM = 1000
COUNTED_AGAIN_AFTER_S = 2.0


class Share(Base):
    """One person's. Whoever never had a turn has none, or one that says nothing."""

    __tablename__ = "shares"

    person_id: Mapped[UUID] = mapped_column(GUID, primary_key=True)
    tag: Mapped[int] = mapped_column(BigInteger)
    weight: Mapped[float] = mapped_column(Float, default=1.0)
    """That of their latest turn: what is settled later counts by it."""
    is_waiting: Mapped[bool] = mapped_column(Boolean)
    """They have something that might go now, as far as limits and moments are concerned."""
    waiting_since: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))
    turn_since: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))
    """Since when they wait for this turn: since they had one, or since they began to wait."""
    passed_s: Mapped[float] = mapped_column(Float, default=0.0)
    """How much of this turn they have let others pass."""

    __table_args__ = (
        partial_index(
            "ix_shares_waiting",
            *("tag", "turn_since", "person_id"),
            where="is_waiting = 1",
            postgresql_where="is_waiting",
        ),
    )


LINE_ORDER: tuple[InstrumentedAttribute[Any], ...] = (Share.tag, Share.turn_since, Share.person_id)
"""In which people have their turns."""


SHARES = table_of(Share)
INSTANCES = table_of(Instance)
TIME = select(
    func.coalesce(func.min(case((is_sound(), Instance.virtual_time))), func.min(Instance.virtual_time), 0)
).where(Instance.wanted != Wanted.REMOVED.value)
"""That of whichever instance is the furthest behind: whoever begins to wait may go there."""
KNOWN = select(SHARES.c.person_id, SHARES.c.tag, SHARES.c.is_waiting).where(
    SHARES.c.person_id.in_(bindparam("people", expanding=True))
)
BEGIN_AGAIN = update(SHARES).where(SHARES.c.person_id == bindparam("person"))
PEOPLE_WAITING = select(func.count()).select_from(Share).where(Share.is_waiting)
TAG = select(SHARES.c.tag).where(SHARES.c.person_id == bindparam("person"))


def is_ready(at: datetime | ColumnElement[datetime]) -> ColumnElement[bool]:
    """Which of those that are held might go now, as far as limits and moments are concerned."""
    return or_(Generation.not_before.is_(None), Generation.not_before <= at)


def has_ready(
    person: UUID | ColumnElement[UUID] | InstrumentedAttribute[UUID],
    *,
    at: datetime | ColumnElement[datetime],
    besides: ColumnElement[UUID] | None = None,
) -> ColumnElement[bool]:
    """Has somebody anything that might go now?"""
    found = exists().where(Generation.person_id == person, is_pending(), is_ready(at))
    return found if besides is None else found.where(Generation.id != besides)


def waits() -> ColumnElement[bool]:
    return exists().where(Share.person_id == Generation.person_id, Share.is_waiting)


# Part of every turn. Made once, since that takes longer than to run them.
AT = bindparam("at", type_=DateTimeUTC(timezone=True))
LET_GO = (
    update(SHARES)
    .where(SHARES.c.person_id == bindparam("person"))
    .values(
        tag=bindparam("tag"),
        weight=bindparam("weight"),
        turn_since=AT,
        passed_s=0.0,
        is_waiting=has_ready(SHARES.c.person_id, at=AT, besides=bindparam("besides", type_=GUID)),
    )
)
SETTLE = (
    update(SHARES)
    .where(SHARES.c.person_id == bindparam("person"))
    .values(tag=cast(SHARES.c.tag + bindparam("more", type_=Float) / SHARES.c.weight, BigInteger))
)
# Each person as often as theirs are due: to be told of each once, SQLite would look through everything that waits.
DUE = select(Generation.person_id).where(
    is_pending(),
    Generation.not_before.is_not(None),
    Generation.not_before > bindparam("since"),
    Generation.not_before <= AT,
    ~waits(),
)


async def begin_waiting(session: AsyncSession, people: Iterable[UUID], *, at: datetime) -> None:
    """These have something that may go now. Whoever waits already goes on to do so."""
    wanted = set(people)
    known = {row.person_id: row for row in await session.execute(KNOWN, {"people": list(wanted)})} if wanted else {}
    beginning = [person for person in wanted if person not in known or not known[person].is_waiting]
    if not beginning:
        return
    time = await session.scalar(TIME) or 0
    since = {"is_waiting": True, "waiting_since": at, "turn_since": at, "passed_s": 0.0}
    new = [{"person_id": person, "tag": time, "weight": 1.0, **since} for person in beginning if person not in known]
    again = [
        {"person": person, "tag": fair_shares.begin(known[person].tag, time), **since}
        for person in beginning
        if person in known
    ]
    if new:
        await session.execute(insert(SHARES), new)
    if again:
        await session.execute(BEGIN_AGAIN, again)


async def let_wait(session: AsyncSession, generations: Iterable[Generation]) -> None:
    """These were written, or put back. What is held until a moment begins to wait for its turn when that has come."""
    at = now()
    held = [generation for generation in generations if generation.state == GenerationState.PENDING.value]
    ready = [each.person_id for each in held if each.not_before is None or each.not_before <= at]
    await begin_waiting(session, ready, at=at)


async def let_go(
    session: AsyncSession, generation: Generation, instance: Instance, choice: Choice, *, weight: float, at: datetime
) -> None:
    """Write down that somebody has their turn, with this generation on this instance."""
    await settle(session, generation)  # an earlier try
    person, costs = generation.person_id, fair_shares.cost(choice.seconds, weight)
    tag = await session.scalar(TAG, {"person": person})
    if tag is None:  # such as one that the sweeper has not made anew yet
        await begin_waiting(session, [person], at=at)
        tag = instance.virtual_time
    turn = fair_shares.take(tag, instance.virtual_time, costs, among=choice.among)
    instance.virtual_time = turn.time
    generation.charged_s = (generation.gpu_seconds or 0.0) + choice.seconds
    gone = {"person": person, "tag": turn.tag, "weight": weight, "at": at, "besides": generation.id}
    await session.execute(LET_GO, gone)
    if choice.passed is not None:
        passed_s = SHARES.c.passed_s + fair_shares.counts_as_passed_s(choice.seconds)
        await session.execute(update(SHARES).where(SHARES.c.person_id == choice.passed).values(passed_s=passed_s))
    if choice.idle:
        # Where nobody waits there is no line to be late for.
        behind = INSTANCES.c.id.in_(choice.idle) & (INSTANCES.c.virtual_time < turn.time)
        await session.execute(update(INSTANCES).where(behind).values(virtual_time=turn.time))


async def settle(session: AsyncSession, generation: Generation) -> None:
    """
    Have what it took count instead of what it was expected to take (`fair_shares.settle`): once for each time that it
    went, since what is squared is not charged any more.
    """
    seconds = (generation.gpu_seconds or 0.0) - (generation.charged_s or 0.0)
    generation.charged_s = None
    if seconds:
        more = seconds * fair_shares.MICROSECONDS
        await session.execute(SETTLE, {"person": generation.person_id, "more": more})


class Crowd:
    """
    How many people wait: where they are many, counted every few seconds. One to whoever looks again and again.

    It says how fast whoever waits for long moves forward (`fair_shares.AGEING`); of a thousand nobody notices one.
    """

    def __init__(self) -> None:
        self._count = 0
        self._until = 0.0

    async def count(self, session: AsyncSession) -> int:
        if monotonic() >= self._until:
            self._count = await session.scalar(PEOPLE_WAITING) or 0
            is_large = self._count >= COUNTED_SELDOM_FROM
            self._until = monotonic() + COUNTED_AGAIN_AFTER_S if is_large else 0.0
        return self._count


UNSETTLED = select(Generation).where(
    Generation.charged_s.is_not(None), Generation.state.not_in([state.value for state in IN_FLIGHT])
)
"""What ended, or waits again, without an outcome of ComfyUI's that says how long it took."""


async def is_unsettled(session: AsyncSession) -> bool:
    return await session.scalar(UNSETTLED.with_only_columns(Generation.id).limit(1)) is not None


async def settle_what_ended(session: AsyncSession) -> None:
    for generation in (await session.scalars(UNSETTLED.limit(SETTLED_AT_ONCE))).all():
        await settle(session, generation)


async def let_rest(session: AsyncSession, people: Collection[UUID], *, at: datetime) -> None:
    """These wait for nothing any more, if that is still so."""
    rest = update(SHARES).where(SHARES.c.person_id.in_(people), ~has_ready(SHARES.c.person_id, at=at))
    await session.execute(rest.values(is_waiting=False))


async def who_rests(session: AsyncSession, people: Collection[UUID], *, at: datetime) -> list[UUID]:
    """Those of them who wait for nothing any more."""
    query = select(Share.person_id).where(Share.person_id.in_(people), ~has_ready(Share.person_id, at=at))
    return list(await session.scalars(query))


async def due_since(session: AsyncSession, *, since: datetime, at: datetime) -> list[UUID]:
    """Whose held ones may go since then, and who is not waiting yet."""
    return list(set(await session.scalars(DUE, {"since": since, "at": at})))


async def who_waits_unmarked(session: AsyncSession, *, at: datetime) -> list[UUID]:
    """Who has something that may go, though it is not written down that they wait."""
    query = select(Generation.person_id).where(is_pending(), is_ready(at), ~waits()).distinct()
    return list(await session.scalars(query))


async def forget_what_says_nothing(session: AsyncSession) -> None:
    """Whoever begins to wait has at least the time of the instances: a tag that is no higher says nothing."""
    nothing = SHARES.c.tag <= TIME.scalar_subquery()
    await session.execute(delete(SHARES).where(~SHARES.c.is_waiting, nothing))
