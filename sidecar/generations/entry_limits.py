"""
What limits who enters: windows and budgets, room for what waits, room for pictures.

Looked at inside the transaction that writes a generation down, so that of any number that come at once, to any number
of processes, exactly as many enter as there is room for.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.errors import LimitReached, WaitingRoomFull
from sidecar.gallery.stored import Stored
from sidecar.generations.models import Generation, is_pending
from sidecar.limits import sentences
from sidecar.limits.budgets import Budgets, Entry
from sidecar.limits.estimate import Estimates, Lines, to_ms
from sidecar.limits.ledger import Reservation
from sidecar.limits.models import GroupMember
from sidecar.limits.persons import Person, Salts, is_here, person_seen
from sidecar.limits.plans import Plans, Standing
from sidecar.limits.windows import Amount
from sidecar.settings import Access, Settings

COUNTED_AGAIN_AFTER_S = 2.0
TRY_AGAIN_AFTER_S = 30.0

ALL_WAITING = select(func.count()).select_from(Generation).where(is_pending())
WAITING_OF = (
    select(Generation.person_id, func.count())
    .where(is_pending(), Generation.person_id.in_(bindparam("people", expanding=True)))
    .group_by(Generation.person_id)
)
MEMBERS = select(GroupMember.user_id).where(GroupMember.group_id == bindparam("group"))


class Asking(NamedTuple):
    """Somebody who wants to enter, as far as that decides whether they may."""

    owner_id: UUID
    address: str | None
    """Where they are, as far as anybody said."""
    checkpoint: str
    work: float


class Permit(NamedTuple):
    """Somebody may enter."""

    person_id: UUID
    entry: Entry
    gpu_ms: int
    """Reserved for it."""

    def reservation(self, generation_id: UUID) -> Reservation:
        return Reservation(generation_id, self.entry.account_ids, self.gpu_ms, self.entry.counted_at)


Whence = tuple[UUID, str | None]
"""Whose it is, and from where they asked."""


class WaitingRoom:
    """How many wait in all: counted every few seconds, and meanwhile with those that enter here. One a process."""

    def __init__(self, at_most: int) -> None:
        self.at_most = at_most
        self._count = 0
        self._until = 0.0

    async def look(self, session: AsyncSession) -> None:
        if time.monotonic() >= self._until:
            self._count = await session.scalar(ALL_WAITING) or 0
            self._until = time.monotonic() + COUNTED_AGAIN_AFTER_S

    def require_place(self) -> None:
        """
        Raises:
            WaitingRoomFull: As many wait as can.
        """
        if self._count >= self.at_most:
            raise WaitingRoomFull(
                sentences.house_full(self.at_most),
                used=self.at_most,
                allowed=self.at_most,
                retry_after_s=TRY_AGAIN_AFTER_S,
            )

    def enter(self) -> None:
        self._count += 1


class EntryLimits:
    """Says who may enter, and when. One a process."""

    def __init__(self, settings: Settings, plans: Plans) -> None:
        self._is_open = settings.access is Access.OPEN
        self._plans = plans
        self._estimates = Estimates()
        self._stored = Stored()
        self._waiting_room = WaitingRoom(settings.waiting_at_most)

    async def of_party(
        self, session: AsyncSession, party: Sequence[Asking], at: datetime, *, looks_only: bool = False
    ) -> PartyLimits:
        """
        What limits those who come together, looked up with as few questions as can be.

        Args:
            looks_only: Nobody enters, and nothing is written down.
        """
        people = await self._people(session, party, at, looks_only=looks_only)
        standings = await self._plans.of_all(session, {person.id for person in people.values()})
        known = await self._estimates.of(session, {each.checkpoint for each in party})
        budgets = Budgets(session, at)
        await budgets.look_up((person, standings[person.id]) for person in people.values())
        await self._waiting_room.look(session)
        limited = [person for person in people.values() if standings[person.id].limits.waiting_at_most is not None]
        waiting = await waiting_of(session, limited)
        return PartyLimits(session, people, standings, known, budgets, waiting, self._waiting_room, self._stored)

    async def _people(
        self, session: AsyncSession, party: Sequence[Asking], at: datetime, *, looks_only: bool
    ) -> dict[Whence, Person]:
        """Whom each of them is: where nobody logs in, whoever asks from elsewhere is somebody else."""
        salts = Salts(session)
        found: dict[Whence, Person] = {}
        for owner_id, address, *_ in party:
            if (owner_id, address) not in found:
                is_elsewhere = self._is_open and address is not None and not is_here(address)
                if not is_elsewhere:
                    found[owner_id, address] = Person(owner_id)
                elif looks_only:
                    found[owner_id, address] = await person_seen(session, address or "", at)
                else:
                    found[owner_id, address] = await salts.person_at(address or "", at)
        return found


@dataclass
class PartyLimits:
    """What limits those who come in one transaction; each that enters takes its part."""

    session: AsyncSession
    people: dict[Whence, Person]
    standings: dict[UUID, Standing]
    known: dict[str, Lines]
    budgets: Budgets
    waiting: Counter[UUID]
    waiting_room: WaitingRoom
    stored: Stored

    async def enter(self, asking: Asking) -> Permit:
        """
        Raises:
            LimitReached: Not now.
            WaitingRoomFull: Too much waits already.
        """
        permit = await self.permit(asking)
        self.budgets.take(permit.entry, Amount(1, permit.gpu_ms))
        self.waiting[permit.person_id] += 1
        self.waiting_room.enter()
        return permit

    async def permit(self, asking: Asking) -> Permit:
        """
        When they may enter. Nothing is taken of anything yet.

        Raises:
            LimitReached: Not now.
            WaitingRoomFull: Too much waits already.
        """
        person = self.people[asking.owner_id, asking.address]
        standing = self.standings[person.id]
        amount = Amount(1, to_ms(self.known[asking.checkpoint].usual.seconds(asking.work)))
        await self._require_storage(asking.owner_id, standing)
        entry = await self.budgets.look(person, standing, amount)
        self._require_place(person, standing)
        self.waiting_room.require_place()
        return Permit(person.id, entry, amount.gpu_ms)

    def _require_place(self, person: Person, standing: Standing) -> None:
        allowed = standing.limits.waiting_at_most
        if allowed is not None and self.waiting[person.id] >= allowed:
            used = self.waiting[person.id]
            raise WaitingRoomFull(
                sentences.room_full(used, allowed),
                limit="waiting_at_most",
                used=used,
                allowed=allowed,
                retry_after_s=TRY_AGAIN_AFTER_S,
            )

    async def _require_storage(self, owner_id: UUID, standing: Standing) -> None:
        allowed = standing.limits.storage_bytes
        if allowed is not None:
            used = await self.stored.bytes_of(self.session, owner_id, [owner_id])
            require_room(used, allowed, group=None)
        for group in standing.groups:
            if group.limits.storage_bytes is not None:
                members = (await self.session.scalars(MEMBERS, {"group": group.id})).all()
                used = await self.stored.bytes_of(self.session, group.id, members)
                require_room(used, group.limits.storage_bytes, group=group.name)


def require_room(used: int, allowed: int, *, group: str | None) -> None:
    """
    Raises:
        LimitReached: There is none for more pictures.
    """
    if used >= allowed:
        message = sentences.storage_full(used, allowed, group=group)
        raise LimitReached(message, limit="storage_bytes", used=used, allowed=allowed, group=group)


async def waiting_of(session: AsyncSession, people: Collection[Person]) -> Counter[UUID]:
    """How many of each person's wait already; an address is the same as it was yesterday."""
    if not people:
        return Counter()
    asked = {each: person.id for person in people for each in person.ids}
    counts: Counter[UUID] = Counter()
    for person_id, count in await session.execute(WAITING_OF, {"people": list(asked)}):
        counts[asked[person_id]] += count
    return counts
