"""
What holds for a person now: the limits of their plan, with those that are theirs alone, and the groups they share with.

Asked at every submission and at every turn, so it is remembered, for seconds; and forgotten at once, in every process,
when it changes. Each change counts a number up in its transaction (`changed`); whoever has made it tells this process
(`Plans.tell`) and by the bus all others. What neither can reach, such as a change at the command line, or one told
while the bus was interrupted, is found by looking at that number every few seconds, and so are overrides that are over.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
import structlog
from msgspec import Struct
from sqlalchemy import ColumnElement, bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.accounts.models import User
from sidecar.cluster.bus import Bus
from sidecar.counters import LIMITS, count_up, value_of
from sidecar.database import Database
from sidecar.errors import DatabaseUnavailable, SettingsUnusable
from sidecar.identity import now
from sidecar.limits.models import Group, GroupMember, Plan, PlanOverride
from sidecar.settings import Access, Settings
from sidecar.together import Together

PEOPLE_LIMITED = "limits"
"""The topic under which processes tell one another for whom something else holds; None: for everybody."""

UNLIMITED = "unlimited"
"""The plan that is always there."""

REMEMBERED_FOR_S = 5.0
REMEMBERED_AT_MOST = 10_000
LOOK_EVERY_S = 5.0
ASKED_FOR_AT_ONCE = 200

OVER = select(PlanOverride.user_id).where(
    PlanOverride.expires_at > bindparam("since"), PlanOverride.expires_at <= bindparam("at")
)

OverLimit = Literal["reject", "wait"]
Sensitivity = Literal["off", "low", "medium", "high"]

log = structlog.get_logger(__name__)


class Budget(Struct, frozen=True, kw_only=True):
    """What may be used, by one person or by a group together. None: there is no such limit."""

    generations_per_hour: int | None = None
    """In any sixty minutes."""
    generations_per_day: int | None = None
    """In any twenty-four hours."""
    gpu_seconds_per_day: int | None = None
    """In any twenty-four hours."""
    storage_bytes: int | None = None
    """Of all pictures that are kept."""


class Limits(Budget, frozen=True, kw_only=True):
    """What one person may."""

    running_at_once: int | None = None
    waiting_at_most: int | None = None
    pixels_at_most: int | None = None
    """Of one picture: width times height."""
    batch_at_most: int | None = None
    steps_at_most: int | None = None
    frames_at_most: int | None = None
    weight: float = 1.0
    """Of their share of turns."""
    over_limit: OverLimit = "reject"
    sensitivity: Sensitivity = "off"
    """Which content rules concern them."""

    def merged(self, overrides: Iterable[Mapping[str, Any]]) -> Limits:
        """These, with what is different; where two say something of the same limit, the later one holds."""
        different: dict[str, Any] = {}
        for each in overrides:
            different.update(each)
        return msgspec.structs.replace(self, **different) if different else self


class GroupStanding(Struct, frozen=True):
    """A group that somebody shares a budget with."""

    id: UUID
    name: str
    limits: Budget


class Standing(Struct, frozen=True):
    """What holds for a person."""

    limits: Limits
    plan: str
    groups: tuple[GroupStanding, ...] = ()


@dataclass(frozen=True)
class Remembered:
    standing: Standing
    until: float
    """By `time.monotonic`."""


class Plans:
    """One a process."""

    def __init__(self, database: Database, bus: Bus, settings: Settings) -> None:
        self._database = database
        self._bus = bus
        self._is_open = settings.access is Access.OPEN
        self._open_plan = settings.open_plan
        self._default_plan = settings.default_plan
        self._hearers: list[Callable[[UUID | None], None]] = []
        self._remembered: dict[UUID, Remembered] = {}
        self._unsettled: dict[UUID | None, float] = {}
        self._known_version: int | None = None
        self._looked_at = now()
        self._asking = Together(self._standings, at_most=ASKED_FOR_AT_ONCE)
        bus.on(PEOPLE_LIMITED, self._hear_elsewhere)

    async def require_those_of_settings(self) -> None:
        """
        Raises:
            SettingsUnusable: A setting names a plan that there is not.
        """
        async with self._database.reading() as session:
            await self._read_plans(session, {self._open_plan, self._default_plan})

    async def of(self, session: AsyncSession, person_id: UUID) -> Standing:
        """What holds for this person now; for an address in `open` access what holds for everybody there."""
        return (await self.of_all(session, [person_id]))[person_id]

    async def of_all(self, session: AsyncSession, person_ids: Collection[UUID]) -> dict[UUID, Standing]:
        """What holds for each of them, with as many questions as for one."""
        at = time.monotonic()
        known = {each: self._remembered.get(each) for each in person_ids}
        found = {each: held.standing for each, held in known.items() if held is not None and at < held.until}
        unknown = known.keys() - found.keys()
        if unknown:
            for person_id, (standing, lasts_s) in (await self._read(session, unknown)).items():
                found[person_id] = standing
                self._remember(person_id, standing, at + lasts_s)
        return found

    async def standing_of(self, person_id: UUID) -> Standing:
        """What holds for this person now, for whoever has no session; mostly nothing is asked for it."""
        held = self._remembered.get(person_id)
        if held is not None and time.monotonic() < held.until:
            return held.standing
        return await self._asking.ask(person_id)

    async def _standings(self, person_ids: Sequence[UUID]) -> Sequence[Standing]:
        async with self._database.reading() as session:
            found = await self.of_all(session, person_ids)
        return [found[person_id] for person_id in person_ids]

    async def weight_of(self, session: AsyncSession, person_id: UUID) -> float:
        """The weight of this person's share of turns."""
        return (await self.of(session, person_id)).limits.weight

    def on(self, hear: Callable[[UUID | None], None]) -> None:
        """What to do when something else holds for somebody (None: for everybody); perhaps more than once."""
        self._hearers.append(hear)

    def tell(self, person_id: UUID | None = None) -> None:
        """Something else holds from now on for this person, or for everybody, and that is committed (`changed`)."""
        self._bus.tell(PEOPLE_LIMITED, person_id)
        self.hear(person_id)

    def hear(self, person_id: UUID | None = None) -> None:
        """Something else holds for this person, or for everybody, as other processes know already."""
        # Whoever reads at this moment may see what was so before: of that nothing is remembered.
        self._forget_settled()
        self._unsettled[person_id] = time.monotonic() + REMEMBERED_FOR_S
        if person_id is None:
            self._remembered.clear()
        else:
            self._remembered.pop(person_id, None)
        for hear in self._hearers:
            hear(person_id)

    async def stay_true(self) -> None:
        """Look for changes that nobody told, until cancelled."""
        while True:
            try:
                await self.look()
            except DatabaseUnavailable as exc:
                log.warning("limits_not_looked_at", reason=exc.message)
            except Exception:
                log.exception("limits_not_looked_at")  # a fault of ours, told in full, and tried again
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Also for what came to its end by itself: whom an override held back may go on."""
        at = now()
        async with self._database.reading() as session:
            version = await value_of(session, LIMITS)
            over = set(await session.scalars(OVER, {"since": self._looked_at, "at": at}))
        self._looked_at = at
        known, self._known_version = self._known_version, version
        if known not in (None, version):
            self.hear()
        for person_id in over:
            self.hear(person_id)

    async def _hear_elsewhere(self, news: object) -> None:
        self.hear(msgspec.convert(news, UUID | None))

    def _remember(self, person_id: UUID, standing: Standing, until: float) -> None:
        self._forget_settled()
        if person_id in self._unsettled or None in self._unsettled:
            return
        self._remembered.pop(person_id, None)
        self._remembered[person_id] = Remembered(standing, until)
        if len(self._remembered) > REMEMBERED_AT_MOST:
            del self._remembered[next(iter(self._remembered))]

    def _forget_settled(self) -> None:
        at = time.monotonic()
        self._unsettled = {each: settles for each, settles in self._unsettled.items() if settles > at}

    async def _read(self, session: AsyncSession, person_ids: Collection[UUID]) -> dict[UUID, tuple[Standing, float]]:
        """What holds for each of them, and for how many seconds that can be said."""
        at = now()
        plan_of = await self._plans_of(session, person_ids)
        limits_of = await self._read_plans(session, set(plan_of.values()))
        overrides_of, groups_of = await read_overrides(session, person_ids, at), await read_groups(session, person_ids)
        found = {}
        for person_id, plan in plan_of.items():
            overrides = overrides_of.get(person_id, ())
            limits = limits_of[plan].merged(each.limits for each in overrides)
            ends = [(each.expires_at - at).total_seconds() for each in overrides if each.expires_at is not None]
            standing = Standing(limits, plan, tuple(groups_of.get(person_id, ())))
            found[person_id] = standing, min([REMEMBERED_FOR_S, *ends])
        return found

    async def _read_plans(self, session: AsyncSession, names: Collection[str]) -> dict[str, Limits]:
        """
        Raises:
            SettingsUnusable: There is none of a name; what people have, there is, so a setting has it.
        """
        found = await read_plans(session, names)
        for name in set(names) - found.keys():
            setting = "GENONAUT_OPEN_PLAN" if name == self._open_plan else "GENONAUT_DEFAULT_PLAN"
            raise SettingsUnusable(
                f"{setting} names the plan {name!r}, and there is none. genonaut plan list shows all."
            )
        return found

    async def _plans_of(self, session: AsyncSession, person_ids: Collection[UUID]) -> dict[UUID, str]:
        if self._is_open:
            return dict.fromkeys(person_ids, self._open_plan)
        users = await session.execute(select(User.id, User.plan).where(User.id.in_(person_ids)))
        return {**dict.fromkeys(person_ids, self._default_plan), **{row.id: row.plan for row in users}}


async def changed(session: AsyncSession) -> None:
    """Part of every change of plans, overrides and groups, so that every process notices it."""
    await count_up(session, LIMITS)


async def read_plans(session: AsyncSession, names: Collection[str]) -> dict[str, Limits]:
    return {plan.name: limits_of(plan) for plan in await session.scalars(select(Plan).where(Plan.name.in_(names)))}


def limits_of(plan: Plan) -> Limits:
    return Limits(**{name: getattr(plan, name) for name in Limits.__struct_fields__})


async def read_overrides(
    session: AsyncSession, person_ids: Collection[UUID], at: datetime
) -> dict[UUID, list[PlanOverride]]:
    """Those that hold at this moment, the earliest first."""
    found: dict[UUID, list[PlanOverride]] = defaultdict(list)
    query = select(PlanOverride).where(PlanOverride.user_id.in_(person_ids), holds(at))
    for each in await session.scalars(query.order_by(PlanOverride.id)):
        found[each.user_id].append(each)
    return found


def holds(at: datetime) -> ColumnElement[bool]:
    return or_(PlanOverride.expires_at.is_(None), PlanOverride.expires_at > at)


async def read_groups(session: AsyncSession, person_ids: Collection[UUID]) -> dict[UUID, list[GroupStanding]]:
    found: dict[UUID, list[GroupStanding]] = defaultdict(list)
    query = select(GroupMember.user_id, Group.id, Group.name, Group.limits).join(
        Group, Group.id == GroupMember.group_id
    )
    for row in await session.execute(query.where(GroupMember.user_id.in_(person_ids)).order_by(Group.id)):
        found[row.user_id].append(GroupStanding(row.id, row.name, msgspec.convert(row.limits, Budget)))
    return found
