"""What holds for somebody now, and how much of it is used."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.accounts import people
from sidecar.database import Database
from sidecar.gallery.stored import Stored
from sidecar.generations.models import Generation, is_in_flight, is_pending
from sidecar.identity import now
from sidecar.limits import ledger
from sidecar.limits.models import GroupMember
from sidecar.limits.persons import Person, Persons
from sidecar.limits.plans import Budget, Limits, Plans
from sidecar.limits.reasons import sentence
from sidecar.limits.windows import Tally, Window, windows_of
from sidecar.live_events import Whom
from sidecar.quota.schemas import QuotaLimit, QuotaView, QuotaWaiting, Unit

OF_PERSON = Generation.person_id.in_(bindparam("people", expanding=True))
IS_HELD = Generation.not_before > bindparam("at")
WAITING = select(func.count(), func.min(case((IS_HELD, Generation.not_before)))).where(is_pending(), OF_PERSON)
WHY_HELD = (
    select(Generation.waiting_reason)
    .where(is_pending(), OF_PERSON, Generation.not_before == bindparam("moment"))
    .order_by(Generation.turn)
    .limit(1)
)
FLYING = select(func.count()).select_from(Generation).where(is_in_flight(), OF_PERSON)
MEMBERS = select(GroupMember.user_id).where(GroupMember.group_id == bindparam("group"))
FOR_EACH: tuple[tuple[str, Unit], ...] = (
    ("pixels_at_most", "pixels"),
    ("batch_at_most", "images"),
    ("steps_at_most", "steps"),
    ("frames_at_most", "frames"),
)
"""The limits of every single generation."""


class Quotas:
    """One a process."""

    def __init__(self, database: Database, plans: Plans, persons: Persons) -> None:
        self._database = database
        self._plans = plans
        self._persons = persons
        self._stored = Stored()

    async def of_caller(self, owner_id: UUID, address: str) -> QuotaView:
        """That of whoever asks: where nobody logs in, whoever asks from elsewhere is somebody else."""
        async with self._database.reading() as session:
            return await self._look(session, owner_id, await self._persons.asking(session, owner_id, address))

    async def of_listener(self, whom: Whom) -> QuotaView:
        """
        Raises:
            NotFound: There is nobody with this id any more.
        """
        owner_id, address = whom
        return await (self.of_user(owner_id) if address is None else self.of_caller(owner_id, address))

    async def of_user(self, user_id: UUID) -> QuotaView:
        """
        Raises:
            NotFound: There is nobody with this id.
        """
        async with self._database.reading() as session:
            await people.by_id(session, user_id)
            return await self._look(session, user_id, Person(user_id))

    async def sharing_with(self, user_ids: Collection[UUID]) -> set[UUID]:
        """Everybody in a group of one of them."""
        theirs = select(GroupMember.group_id).where(GroupMember.user_id.in_(user_ids))
        async with self._database.reading() as session:
            return set(await session.scalars(select(GroupMember.user_id).where(GroupMember.group_id.in_(theirs))))

    async def _look(self, session: AsyncSession, owner_id: UUID, person: Person) -> QuotaView:
        at = now()
        standing = await self._plans.of(session, person.id)
        waiting = await count_waiting(session, person, at)
        in_flight = await session.scalar(FLYING, {"people": person.ids}) or 0
        limits = [
            *await self._of_budget(session, standing.limits, person.ids, [owner_id], at),
            *of_person(standing.limits, waiting=waiting.count, in_flight=in_flight),
        ]
        for group in standing.groups:
            members = list(await session.scalars(MEMBERS, {"group": group.id}))
            limits += await self._of_budget(session, group.limits, (group.id,), members, at, group=group.name)
        return QuotaView(standing.plan, standing.limits.over_limit, limits, waiting)

    async def _of_budget(
        self,
        session: AsyncSession,
        budget: Budget,
        account_ids: tuple[UUID, ...],
        owner_ids: list[UUID],
        at: datetime,
        *,
        group: str | None = None,
    ) -> list[QuotaLimit]:
        windows, found = windows_of(budget), []
        if windows:
            tally = await ledger.tally(session, account_ids, at=at)
            found = [of_window(window, tally, at, group) for window in windows]
        if budget.storage_bytes is not None:
            used = await self._stored.bytes_of(session, account_ids[0], owner_ids)
            found.append(plain("storage_bytes", used, budget.storage_bytes, "bytes", group=group))
        return found


async def count_waiting(session: AsyncSession, person: Person, at: datetime) -> QuotaWaiting:
    count, held_until = (await session.execute(WAITING, {"people": person.ids, "at": at})).one()
    reason = None
    if held_until is not None:
        reason = await session.scalar(WHY_HELD, {"people": person.ids, "moment": held_until})
    return QuotaWaiting(count, held_until, reason, None if reason is None else sentence(reason))


def of_window(window: Window, tally: Tally, at: datetime, group: str | None) -> QuotaLimit:
    is_time = window.unit == "gpu_ms"
    free_at = tally.room_from(window, 1, at)
    return QuotaLimit(
        name=window.limit,
        used=round(tally.used(window, at) / window.size, 1) if is_time else tally.used(window, at),
        allowed=window.allowed // window.size,
        unit="gpu_seconds" if is_time else "generations",
        window_s=int(window.length.total_seconds()),
        refills_at=tally.refills_at(window, at),
        next_free_at=None if free_at <= at else free_at,
        group=group,
    )


def of_person(limits: Limits, *, waiting: int, in_flight: int) -> Iterator[QuotaLimit]:
    """Those that are no budget, and so nobody shares."""
    if limits.running_at_once is not None:
        yield plain("running_at_once", in_flight, limits.running_at_once, "generations")
    if limits.waiting_at_most is not None:
        yield plain("waiting_at_most", waiting, limits.waiting_at_most, "generations")
    for name, unit in FOR_EACH:
        allowed = getattr(limits, name)
        if allowed is not None:
            yield plain(name, None, allowed, unit)


def plain(name: str, used: int | None, allowed: int, unit: Unit, *, group: str | None = None) -> QuotaLimit:
    """One that is no window."""
    return QuotaLimit(name, used, allowed, unit, None, None, None, group)
