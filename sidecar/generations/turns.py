"""
Whose turn is it, with what, and where? As the database tells it to `line`, for `choice` to decide.

Between people turns are shared (`fair_shares`); among their own, those with a higher priority go first, and of the same
priority those that were submitted first. Whatever somebody does with their own ones makes nobody else wait longer.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, and_, bindparam, desc, exists, false, func, null, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from sidecar.catalog.snapshot import Snapshot
from sidecar.generations.choice import Choice, Seat, Seating, Wish
from sidecar.generations.line import NEAR_AT_MOST, Look, Person
from sidecar.generations.models import Generation, Workflow, is_in_flight, is_pending
from sidecar.generations.pausing import QueuePause
from sidecar.generations.shares import LINE_ORDER, Crowd, Share, due_since, who_rests
from sidecar.generations.states import GenerationState
from sidecar.generations.waiting_reasons import what_it_lacks
from sidecar.instances import registry
from sidecar.instances.models import Instance
from sidecar.instances.standing import is_met, is_sound
from sidecar.limits.estimate import Lines, lines_of
from sidecar.limits.paces import Line
from sidecar.limits.plans import Plans
from sidecar.limits.reasons import Reason, running_at_once

IN_FLIGHT_AT_MOST = 2  # the one that runs, and one fed ahead so that the GPU never waits
REASONS_AT_ONCE = 200
AWAITED_AT_MOST_S = 120.0  # twice as long as it takes until somebody looks what an instance has (`following.py`)

LONG_AGO = datetime(2000, 1, 1, tzinfo=timezone.utc)

# These are asked after everything that happens. Made once, since that takes longer than to run them.
MET = select(
    Instance.id,
    Instance.checkpoint,
    Instance.failures,
    Instance.rests_until,
    Instance.virtual_time,
    is_sound().label("is_sound"),
    exists().where(QueuePause.since.is_not(None)).label("is_paused"),
    exists().where(Share.is_waiting).label("anybody_waits"),
).where(is_met())
ALL_IN_FLIGHT = select(
    Generation.instance_id,
    Generation.person_id,
    Generation.checkpoint,
    Generation.work,
    Generation.state,
    Generation.started_at,
).where(is_in_flight())
# May one of these instances have it? If so, it is seen there before long, since somebody looks every minute.
IS_AWAITED = and_(
    func.coalesce(Generation.instance_id.in_(bindparam("unasked", expanding=True)), false()),
    func.coalesce(Generation.not_before > bindparam("not_awaited_before"), false()),
)
MAY_GO = and_(is_pending(), or_(Generation.not_before.is_(None), Generation.not_before <= bindparam("at")), ~IS_AWAITED)
OWN_ORDER: tuple[Any, ...] = (desc(Generation.priority), Generation.turn)
LINE = (
    select(
        Share.person_id,
        Share.tag,
        Share.turn_since,
        Share.passed_s,
        (Share.waiting_since == Share.turn_since).label("waits_for_the_first"),
        select(Generation.id)
        .where(Generation.person_id == Share.person_id, MAY_GO)
        .order_by(*OWN_ORDER)
        .limit(1)
        .correlate(Share)
        .scalar_subquery()
        .label("first_id"),
    )
    .where(Share.is_waiting)
    .order_by(*LINE_ORDER)
    .limit(bindparam("at_most"))
    .offset(bindparam("skip"))
    .subquery()
)
FIRST = aliased(Generation)
WANTED = ("id", "checkpoint", "work", "loras", "instance_id", "waiting_reason")
PEOPLE = (
    select(LINE, *(getattr(FIRST, name) for name in WANTED))
    .outerjoin(FIRST, FIRST.id == LINE.c.first_id)
    .order_by(LINE.c.tag, LINE.c.turn_since, LINE.c.person_id)
)
OF_ONE = (
    select(*(getattr(Generation, name) for name in WANTED))
    .where(Generation.person_id == bindparam("person"), MAY_GO)
    .order_by(*OWN_ORDER)
    .limit(bindparam("at_most"))
    .offset(bindparam("skip"))
)


def with_nodes(query: Select[Any], of: Any) -> Select[Any]:
    """With the node classes that each needs."""
    return query.add_columns(Workflow.node_classes).outerjoin(Workflow, Workflow.hash == of.workflow_hash)


# Mostly all instances know the same nodes, and nobody need ask.
QUERIES = {
    False: (PEOPLE.add_columns(null().label("node_classes")), OF_ONE.add_columns(null().label("node_classes"))),
    True: (with_nodes(PEOPLE, FIRST), with_nodes(OF_ONE, Generation)),
}


@dataclass(frozen=True)
class Outlook:
    """What may go where now, and what has to wait though a place is free."""

    choices: tuple[Choice, ...] = ()
    """In the order of turns."""
    reasons: Mapping[UUID, Reason | None] = field(default_factory=dict)
    """Why some have to wait (no sound instance has their models), where that is not what is written down of them."""
    rest_s: float | None = None
    """How long it takes until one of the instances that rest may have work again; None when none does."""
    looked_at: int = 0
    """How many generations were looked at."""
    is_whole: bool = True
    """False: a place is free, and somebody may wait for it of whom nothing was read."""
    beginning: tuple[UUID, ...] = ()
    """Whose held ones may go by now. They are not in the line yet."""
    due_until: datetime | None = None
    """Until when nobody else's moment has come; None: that was not looked at."""
    resting: tuple[UUID, ...] = ()
    """Who is in the line and has nothing that may go."""
    has_places: bool = False
    """May a place be free, also when all of these have gone? Where nobody waits for one that is not looked at."""

    @property
    def was_far(self) -> bool:
        return self.looked_at > NEAR_AT_MOST


async def look_ahead(
    session: AsyncSession,
    snapshot: Snapshot,
    plans: Plans,
    *,
    at: datetime,
    due_from: datetime | None = LONG_AGO,
    far: bool = True,
    crowd: Crowd | None = None,
) -> Outlook:
    """
    Asked after everything that happens, so it reads no more than it takes to fill every free place.

    Where one stays free it looks at everything that waits: however many only a busy instance can do, or none at all, an
    idle one gets what it can do behind them. Not `far` is for who has just done that.

    Args:
        due_from: Since when nobody has looked whose moment has come; None: somebody else looks for that.
        crowd: What whoever looks again and again knows of it.
    """
    met = (await session.execute(MET)).all()
    sound = [instance for instance in met if instance.is_sound]
    resting = [instance.rests_until for instance in sound if instance.rests_until and instance.rests_until > at]
    rest_s = (min(resting) - at).total_seconds() if resting else None
    rested = [instance for instance in sound if instance.rests_until is None or instance.rests_until <= at]
    if any(instance.is_paused for instance in met):
        return Outlook()
    if rested and not any(instance.anybody_waits for instance in met):
        beginning = await who_begins(session, since=due_from, at=at)
        return Outlook(rest_s=rest_s, beginning=beginning, due_until=due_from and at, has_places=True)
    busy = await in_flight(session) if rested else {}
    if all(len(busy[instance.id]) >= IN_FLIGHT_AT_MOST for instance in rested):
        return Outlook(rest_s=rest_s)
    beginning = await who_begins(session, since=due_from, at=at)
    unasked = {instance.id for instance in met} - {instance.id for instance in rested}
    there = frozenset(instance.id for instance in sound)
    seconds = Seconds(session, [instance.id for instance in rested])
    await seconds.look_up({row.checkpoint for rows in busy.values() for row in rows})
    seating = Seating(to_seat(instance, busy[instance.id], seconds.of(instance.id), at=at) for instance in rested)
    waiting = WhoWaits(session, snapshot, plans, seconds, busy, there, crowd or Crowd(), unasked=unasked, at=at)
    found = await Look(seating, waiting, at=at, far=far).fill()
    reasons = Reasons(session, snapshot, there)
    await reasons.look_at((waiting.rows[wish.generation_id], wish) for wish in found.looked_at)
    reasons.at_limit((waiting.rows[wish.generation_id], allowed) for wish, allowed in found.at_limit)
    return Outlook(
        tuple(found.choices),
        reasons.found,
        rest_s,
        looked_at=len(found.looked_at),
        is_whole=found.is_whole,
        beginning=beginning,
        due_until=due_from and at,
        resting=tuple(await who_rests(session, found.idle, at=at)) if found.idle else (),
        has_places=seating.has_places(),
    )


async def who_begins(session: AsyncSession, *, since: datetime | None, at: datetime) -> tuple[UUID, ...]:
    """Whose held ones may go since then; nobody where that is not asked."""
    return () if since is None else tuple(await due_since(session, since=since, at=at))


async def in_flight(session: AsyncSession) -> Mapping[UUID, list[Row[Any]]]:
    """What each instance has in its hands; nothing where it has nothing."""
    found: dict[UUID, list[Row[Any]]] = defaultdict(list)
    for row in await session.execute(ALL_IN_FLIGHT):
        found[row.instance_id].append(row)
    return found


class WhoWaits:
    """The line as the database knows it (`line.Source`)."""

    def __init__(
        self,
        session: AsyncSession,
        snapshot: Snapshot,
        plans: Plans,
        seconds: Seconds,
        busy: Mapping[UUID, Sequence[Row[Any]]],
        there: Set[UUID],
        crowd: Crowd,
        *,
        unasked: Iterable[UUID],
        at: datetime,
    ) -> None:
        """
        Args:
            unasked: Instances that are there and get nothing now. What one of them may have already waits: it would run
                a second time elsewhere.
        """
        self._session = session
        self._snapshot = snapshot
        self._plans = plans
        self._seconds = seconds
        self._there = there
        self._crowd = crowd
        self._at: dict[UUID, set[UUID]] = defaultdict(set)
        for instance_id, rows in busy.items():
            for row in rows:
                self._at[row.person_id].add(instance_id)
        self._people, self._of_one = QUERIES[snapshot.nodes_differ]
        since = at - timedelta(seconds=AWAITED_AT_MOST_S)
        self._asked = {"at": at, "unasked": list(unasked), "not_awaited_before": since}
        self.rows: dict[UUID, Row[Any]] = {}
        """What was read, by its id."""

    async def people(self, *, skip: int, at_most: int) -> Sequence[Person]:
        asked = {**self._asked, "skip": skip, "at_most": at_most}
        rows = (await self._session.execute(self._people, asked)).all()
        firsts = [row for row in rows if row.id is not None]
        wishes = {row.person_id: wish for row, wish in zip(firsts, await self._wishes(firsts), strict=True)}
        standings = await self._plans.of_all(self._session, [row.person_id for row in rows]) if rows else {}
        people = []
        for row in rows:
            limits, first = standings[row.person_id].limits, wishes.get(row.person_id)
            person = Person(
                row.person_id,
                tag=row.tag,
                turn_since=row.turn_since,
                waits_for_the_first=row.waits_for_the_first,
                weight=limits.weight,
                passed_s=row.passed_s,
                wishes=deque([first] if first else []),
                read=1 if first else 0,
                is_read_out=first is None,
                at=set(self._at[row.person_id]),
                at_once=limits.running_at_once,
            )
            people.append(person)
        return people

    async def wishes(self, person: Person, *, skip: int, at_most: int) -> Sequence[Wish]:
        asked = {**self._asked, "person": person.id, "skip": skip, "at_most": at_most}
        return await self._wishes((await self._session.execute(self._of_one, asked)).all())

    async def count(self) -> int:
        return await self._crowd.count(self._session)

    async def _wishes(self, rows: Sequence[Row[Any]]) -> list[Wish]:
        self.rows.update((row.id, row) for row in rows)
        await self._seconds.look_up({row.checkpoint for row in rows})
        return [
            to_wish(row, self._there, self._snapshot, self._seconds.usual(row.checkpoint).seconds(row.work))
            for row in rows
        ]


class Seconds:
    """How long whatever has to be reckoned with takes on each instance, as far as it was looked up."""

    def __init__(self, session: AsyncSession, instance_ids: Iterable[UUID]) -> None:
        self._session = session
        self._on: dict[UUID, dict[str, Line]] = {instance_id: {} for instance_id in instance_ids}
        self._known: dict[str, Lines] = {}

    def of(self, instance_id: UUID) -> Mapping[str, Line]:
        """By checkpoint; whatever is looked up later is in it, too."""
        return self._on[instance_id]

    def usual(self, checkpoint: str) -> Line:
        """Wherever it goes."""
        return self._known[checkpoint].usual

    async def look_up(self, checkpoints: Set[str]) -> None:
        new = checkpoints - self._known.keys()
        if not new:
            return
        found = await lines_of(self._session, new)
        self._known.update(found)
        for instance_id, known in self._on.items():
            known.update((checkpoint, lines.on(instance_id)) for checkpoint, lines in found.items())


class Reasons:
    """Why some of those that wait cannot go anywhere, as far as it is not written down."""

    def __init__(self, session: AsyncSession, snapshot: Snapshot, there: Set[UUID]) -> None:
        self._session = session
        self._snapshot = snapshot
        self._there = there
        self._instances: list[Instance] | None = None
        self.found: dict[UUID, Reason | None] = {}

    async def look_at(self, looked_at: Iterable[tuple[Row[Any], Wish]]) -> None:
        for row, wish in looked_at:
            if len(self.found) >= REASONS_AT_ONCE:
                return  # the next look goes on with the others
            reason = await self._reason(row) if is_nowhere(wish, self._there) else None
            if reason != row.waiting_reason:
                self.found[wish.generation_id] = reason

    def at_limit(self, rows: Iterable[tuple[Row[Any], int]]) -> None:
        for row, allowed in rows:
            reason = running_at_once(allowed)
            if row.waiting_reason != reason:
                self.found[row.id] = reason

    async def _reason(self, row: Row[Any]) -> Reason:
        if self._instances is None:
            self._instances = await registry.instances(self._session)
        nodes = self._snapshot.uncommon_nodes(row.node_classes or ())
        loras = [lora["name"] for lora in row.loras]
        return what_it_lacks(row.checkpoint, loras, nodes, self._instances, self._snapshot)


def to_wish(row: Row[Any], there: Set[UUID], snapshot: Snapshot, seconds: float) -> Wish:
    nodes = snapshot.uncommon_nodes(row.node_classes or ())
    able = snapshot.able(row.checkpoint, [lora["name"] for lora in row.loras], nodes)
    if able is not None:
        able |= there - snapshot.listed  # one that has not said yet what it has may have everything
    return Wish(row.id, row.checkpoint, able, may_be_at=row.instance_id, work=row.work, seconds=seconds)


def is_nowhere(wish: Wish, there: Set[UUID]) -> bool:
    return wish.able is not None and wish.able.isdisjoint(there)


def to_seat(instance: Row[Any], busy: Sequence[Row[Any]], lines: Mapping[str, Line], *, at: datetime) -> Seat:
    return Seat(
        instance_id=instance.id,
        places=max(IN_FLIGHT_AT_MOST - len(busy), 0),
        busy_s=sum(left_s(row, lines[row.checkpoint].seconds(row.work), at=at) for row in busy),
        checkpoint=instance.checkpoint,
        lines=lines,
        failures=instance.failures,
        time=instance.virtual_time,
    )


def left_s(row: Row[Any], takes_s: float, *, at: datetime) -> float:
    """
    How much longer it will take. What takes longer than expected is expected to go on for as long as that again:
    nobody shall wait for ever behind one that hangs.
    """
    if row.state != GenerationState.RUNNING.value or row.started_at is None:
        return takes_s
    runs_s: float = (at - row.started_at).total_seconds()
    return abs(takes_s - runs_s)


async def go_in_front(session: AsyncSession, generation: Generation) -> None:
    """Let one that was just written be the next of its person's: one before their first, whatever priority that has."""
    own = select(Generation.priority, Generation.turn).where(
        is_pending(), Generation.person_id == generation.person_id, Generation.id != generation.id
    )
    first = (await session.execute(own.order_by(*OWN_ORDER).limit(1))).one_or_none()
    if first is not None and first.priority >= generation.priority:
        generation.priority, generation.turn = first.priority, first.turn - 1
