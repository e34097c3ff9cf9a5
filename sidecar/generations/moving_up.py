"""
Those whom a limit holds back come as soon as it lets them.

Each of them waits for the moment that was there when it entered. Something may be given back meanwhile, or other limits
may hold: then all moments of that person are reckoned anew, each in its order, the first one first.

What was given back is found in the ledger, whoever wrote it and whichever process; so nothing has to be told, and
nothing is lost when a process dies in between.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import and_, bindparam, literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.accounts.models import User
from sidecar.cluster.leadership import Leadership
from sidecar.database import Database
from sidecar.errors import Away, LeadershipLost, LimitReached
from sidecar.generations.models import Generation, touch
from sidecar.generations.queueing import Queueing
from sidecar.generations.shares import let_wait
from sidecar.identity import now
from sidecar.limits.budgets import Budgets, Entry
from sidecar.limits.ledger import Held, Kind, UsageEntry, count_anew, count_no_longer, held_by_accounts
from sidecar.limits.persons import Person
from sidecar.limits.plans import Plans

LOOK_EVERY_S = 10.0
LOOK_AT_MOST_EVERY_S = 0.5
OVERLAP = timedelta(seconds=5)  # by which the clocks of two processes may differ
RECKONED_AT_ONCE = 50

GIVEN_BACK = (
    select(UsageEntry.account_id, UsageEntry.at)
    .where(UsageEntry.at >= bindparam("since"), UsageEntry.kind != literal_column("'reserve'"))
    .order_by(UsageEntry.at)
)
"""In the order of its index; to group it by account, SQLite would rather read everything that was ever counted."""

IS_HELD = and_(
    text("state = 'pending'"),  # in the words of the index
    Generation.not_before.is_not(None),
    Generation.not_before > bindparam("at"),
)
HELD_PEOPLE = select(Generation.person_id).where(IS_HELD).distinct()
HELD_OF_ACCOUNTS = HELD_PEOPLE.join(UsageEntry, UsageEntry.generation_id == Generation.id).where(
    UsageEntry.account_id.in_(bindparam("accounts", expanding=True)), UsageEntry.counted_at > bindparam("at")
)
# One that waits for another try was counted when it entered.
HELD_OF_PEOPLE = (
    select(Generation)
    .join(UsageEntry, and_(UsageEntry.generation_id == Generation.id, UsageEntry.account_id == Generation.person_id))
    .where(Generation.person_id.in_(bindparam("people", expanding=True)), IS_HELD)
    .where(UsageEntry.kind == Kind.RESERVE.value, UsageEntry.counted_at > bindparam("at"))
    .order_by(UsageEntry.counted_at, Generation.turn)
)
KNOWN_PEOPLE = select(User.id).where(User.id.in_(bindparam("people", expanding=True)))

log = structlog.get_logger(__name__)


class MovingUp:
    """Looks after those that a limit holds back. One a process; works while it leads."""

    def __init__(
        self,
        leadership: Leadership,
        database: Database,
        plans: Plans,
        queueing: Queueing,
        announce: Callable[[UUID], Awaitable[None]],
    ) -> None:
        self._leadership = leadership
        self._database = database
        self._plans = plans
        self._queueing = queueing
        self._announce = announce
        self._awake = asyncio.Event()
        self._limits_changed: set[UUID | None] = set()
        self._since = now()
        self._heard: dict[UUID, datetime] = {}
        plans.on(self._hear_of_limits)

    def wake(self) -> None:
        """Something may have been given back."""
        self._awake.set()

    def _hear_of_limits(self, person_id: UUID | None) -> None:
        """Other limits hold for this person, or for everybody."""
        self._limits_changed.add(person_id)
        self.wake()

    def begin(self) -> None:
        """This process leads: nobody knows what was given back while none did."""
        self._since, self._heard = now(), {}
        self._limits_changed.add(None)

    async def run(self) -> None:
        """Look whenever there may be something to do, until cancelled."""
        self.begin()
        while True:
            try:
                await self.look()
            except (Away, LeadershipLost) as exc:
                log.warning("held_not_looked_at", reason=exc.message)
            except Exception:
                log.exception("held_not_looked_at")  # a fault of ours, told in full, and tried again
            await asyncio.sleep(LOOK_AT_MOST_EVERY_S)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._awake.wait(), LOOK_EVERY_S)
            self._awake.clear()

    async def look(self) -> None:
        """Reckon anew for everybody for whom something is different now."""
        changed, self._limits_changed = self._limits_changed, set()
        try:
            at, given_back = now(), await self._given_back()
            people = await self._whom_it_concerns(changed, given_back, at)
            for first in range(0, len(people), RECKONED_AT_ONCE):
                await self._reckon_anew(people[first : first + RECKONED_AT_ONCE])
        except BaseException:
            self._limits_changed |= changed
            raise
        self._since, self._heard = at, given_back

    async def _given_back(self) -> dict[UUID, datetime]:
        """Who got something back lately, and when."""
        async with self._database.reading() as session:
            return dict((await session.execute(GIVEN_BACK, {"since": self._since - OVERLAP})).tuples().all())

    async def _whom_it_concerns(
        self, changed: Collection[UUID | None], given_back: Mapping[UUID, datetime], at: datetime
    ) -> list[UUID]:
        """Those who have something held, of all that got something back or have other limits."""
        accounts = [each for each, latest in given_back.items() if self._heard.get(each) != latest]
        async with self._database.reading() as session:
            if None in changed:
                return sorted(await session.scalars(HELD_PEOPLE, {"at": at}))
            asked = {"accounts": [*accounts, *changed], "at": at}
            return sorted(set(await session.scalars(HELD_OF_ACCOUNTS, asked))) if asked["accounts"] else []

    async def _reckon_anew(self, people: Sequence[UUID]) -> None:
        at = now()
        async with self._leadership.writing() as session:
            moved = await reckon_anew(session, self._plans, people, at=at)
        for generation in moved:
            moment = generation.not_before
            log.info("generation_held_anew", generation_id=str(generation.id), not_before=str(moment))
            is_due = moment is None or moment <= at
            await self._queueing.dispatch(generation.id, reason="held-anew", not_before=None if is_due else moment)
            await self._announce(generation.id)


async def reckon_anew(session: AsyncSession, plans: Plans, people: Sequence[UUID], *, at: datetime) -> list[Generation]:
    """
    Give each of these people's held generations the first moment that its limits have for it, those that were to come
    first before the others; tells which have another one now.

    Of an address nobody knows what it was called yesterday, so what it holds keeps its moments.
    """
    known = set(await session.scalars(KNOWN_PEOPLE, {"people": list(people)}))
    held = (await session.scalars(HELD_OF_PEOPLE, {"people": sorted(known), "at": at})).all()
    if not held:
        return []
    standings = await plans.of_all(session, {generation.person_id for generation in held})
    budgets = Budgets(session, at)
    await budgets.look_up((Person(person_id), standing) for person_id, standing in standings.items())
    counted = await held_by_accounts(session, [generation.id for generation in held])
    await budgets.set_aside(counted)
    amounts = {each.generation_id: each.amount for each in counted}
    moved, entered = [], {}
    for generation in held:
        standing, amount = standings[generation.person_id], amounts[generation.id]
        try:
            entry = await budgets.look(Person(generation.person_id), standing, amount, waits=True)
        except LimitReached:  # nothing is allowed any more; what was promised is
            continue
        budgets.take(entry, amount)
        entered[generation.id] = entry
        if entry.counted_at != generation.not_before:
            generation.not_before, generation.waiting_reason = entry.counted_at, entry.waiting_reason
            touch(generation)
            moved.append(generation)
    await count_no_longer(session, [each for each in counted if is_elsewhere(each, entered.get(each.generation_id))])
    await count_anew(session, {generation.id: generation.not_before or at for generation in moved})
    await let_wait(session, moved)
    return moved


def is_elsewhere(held: Held, entry: Entry | None) -> bool:
    """Is it counted for a group that its person has left since?"""
    return entry is not None and held.account_id not in entry.account_ids
