"""
What those who come in one transaction may still use: each that enters takes its part of it.

Everybody is looked up once, with as many questions as for one. Mostly a sum tells that there is room; only where there
is none, or somebody waits for it, all that was counted is read, to tell when there will be.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.errors import LimitReached
from sidecar.limits import reasons, sentences
from sidecar.limits.ledger import COLUMNS, Held, tally
from sidecar.limits.persons import Person
from sidecar.limits.plans import Standing
from sidecar.limits.reasons import BEHIND_OWN, Reason
from sidecar.limits.windows import (
    HOUR,
    LONGEST,
    Amount,
    Claim,
    Counted,
    Room,
    Tally,
    Window,
    claim_of,
    first_room,
    windows_of,
)

WITHIN_THE_HOUR = COLUMNS.counted_at > bindparam("an_hour_ago")
SUMS = (
    select(
        COLUMNS.account_id,
        func.sum(case((WITHIN_THE_HOUR, COLUMNS.generations), else_=0)),
        func.sum(COLUMNS.generations),
        func.sum(COLUMNS.gpu_ms),
        func.max(COLUMNS.counted_at),
    )
    .where(COLUMNS.account_id.in_(bindparam("accounts", expanding=True)), COLUMNS.counted_at > bindparam("since"))
    .group_by(COLUMNS.account_id)
)
SUM_OF = {"generations_per_hour": 0, "generations_per_day": 1, "gpu_seconds_per_day": 2}
"""Where in a row of sums, after the account, a window's stands."""


class Entry(NamedTuple):
    """Somebody may enter: now, or at a later moment."""

    account_ids: tuple[UUID, ...]
    """For whom it is counted."""
    counted_at: datetime
    waiting_reason: Reason | None = None
    """Why it waits until then; None: it need not."""


class Account:
    """A person or a group, with what may be counted for them; as this transaction finds it and changes it."""

    def __init__(self, ids: tuple[UUID, ...], windows: tuple[Window, ...], group: str | None = None) -> None:
        self.ids = ids
        self.windows = windows
        self.group = group
        self.last: datetime | None = None
        """When the last one is counted, or was to be before it was given back."""
        self._used = [0] * len(windows)
        self._added: list[tuple[datetime, Amount]] = []
        self._tally: Tally | None = None

    def found(self, sums: Sequence[int], last: datetime) -> None:
        """What is counted under one of its ids."""
        self._used = [
            used + int(sums[SUM_OF[window.limit]]) for used, window in zip(self._used, self.windows, strict=True)
        ]
        self.last = last if self.last is None else max(self.last, last)

    def has_room(self, amount: Amount) -> bool:
        """Is there room whenever it is counted, now or later? If not, there may be all the same."""
        return all(
            window.allowed and used + min(getattr(amount, window.unit), window.allowed) <= window.allowed
            for used, window in zip(self._used, self.windows, strict=True)
        )

    def add(self, at: datetime, amount: Amount) -> None:
        self._used = [
            used + getattr(amount, window.unit) for used, window in zip(self._used, self.windows, strict=True)
        ]
        self.last = at if self.last is None else max(self.last, at)
        self._added.append((at, amount))
        if self._tally is not None:
            self._tally.add(at, amount)

    async def tally(self, session: AsyncSession, at: datetime) -> Tally:
        """All that was counted, also what is not written down yet."""
        if self._tally is None:
            self._tally = await tally(session, self.ids, at=at)
            for moment, amount in self._added:
                self._tally.add(moment, amount)
        return self._tally

    async def set_aside(self, session: AsyncSession, held: Iterable[Counted], at: datetime) -> None:
        """Reckon as if this were not counted."""
        self._tally = (await self.tally(session, at)).without(held)
        self._added.clear()
        self._used = [self._tally.used_and_to_come(window, at) for window in self.windows]
        self.last = self._tally.last

    def holds(self, counted: Tally) -> bool:
        """Is it this account's?"""
        return self._tally is counted


class Budgets:
    """Those of everybody who comes in one transaction. It has the database to itself, so what is read stays true."""

    def __init__(self, session: AsyncSession, at: datetime) -> None:
        self._session = session
        self._at = at
        self._accounts: dict[UUID, Account] = {}

    async def look_up(self, parties: Iterable[tuple[Person, Standing]]) -> None:
        """Read what was counted for these people and their groups, as far as anything limits them."""
        limited = [account for person, standing in parties for account in self._limited(person, standing)]
        if not limited:
            return
        of_id = {account_id: account for account in limited for account_id in account.ids}
        asked = {"accounts": list(of_id), "since": self._at - LONGEST, "an_hour_ago": self._at - HOUR}
        for account_id, *sums, last in await self._session.execute(SUMS, asked):
            of_id[account_id].found(sums, last)

    def _limited(self, person: Person, standing: Standing) -> list[Account]:
        """Their accounts, unless they are known already or nothing limits them."""
        accounts = [Account((group.id,), windows_of(group.limits), group.name) for group in standing.groups]
        accounts.insert(0, Account(person.ids, windows_of(standing.limits)))
        if not any(account.windows for account in accounts):
            return []
        new = [account for account in accounts if account.ids[0] not in self._accounts]
        self._accounts.update((account.ids[0], account) for account in new)
        return new

    async def set_aside(self, held: Iterable[Held]) -> None:
        """Reckon as if these were not counted: they are about to be counted anew."""
        amounts: dict[UUID, list[Counted]] = defaultdict(list)
        for each in held:
            amounts[each.account_id].append(Counted(each.counted_at, *each.amount))
        for account in self._accounts.values():
            without = [counted for account_id in account.ids for counted in amounts.get(account_id, ())]
            await account.set_aside(self._session, without, self._at)

    async def look(self, person: Person, standing: Standing, amount: Amount, *, waits: bool | None = None) -> Entry:
        """
        When may this enter? Nothing is taken of any budget yet (`take`).

        Args:
            waits: Whether it waits where there is no room now; as the plan says where nobody says so.

        Raises:
            LimitReached: There is no room now, and the plan lets nobody wait for it; or there will never be any.
        """
        account_ids = (person.id, *(group.id for group in standing.groups))
        accounts = self._of(account_ids)
        waits = standing.limits.over_limit == "wait" if waits is None else waits
        room = await self._room_for(accounts, amount, waits=waits)
        if room.obstacle is not None and not waits:
            raise self._refusal(accounts, room.obstacle, room.at)
        reason = None if room.at <= self._at else self._reason(accounts, room)
        return Entry(account_ids, room.at, reason)

    def take(self, entry: Entry, amount: Amount) -> None:
        """It enters: its part of every budget is used."""
        for account in self._of(entry.account_ids):
            account.add(entry.counted_at, amount)

    def _of(self, account_ids: Iterable[UUID]) -> list[Account]:
        """Those of them that are limited, or go along with one that is; one's own first."""
        return [self._accounts[each] for each in account_ids if each in self._accounts]

    async def _room_for(self, accounts: Sequence[Account], amount: Amount, *, waits: bool) -> Room:
        """
        Args:
            waits: Who waits keeps their order: no room is looked for before that of their last one.
        """
        has_waiting = waits and any(account.last and account.last > self._at for account in accounts[:1])
        if not has_waiting and all(account.has_room(amount) for account in accounts):
            return Room(self._at, None)
        claims, earliest = [], self._at
        for account in accounts:
            counted = await account.tally(self._session, self._at)
            claims += [claim_of(counted, window, amount) for window in account.windows]
            if account is accounts[0] and waits:
                earliest = max(earliest, counted.last or earliest)
        for claim in claims:
            if not claim.window.allowed:
                raise self._refusal(accounts, claim, None)
        return first_room(claims, earliest)

    def _refusal(self, accounts: Sequence[Account], obstacle: Claim, room_at: datetime | None) -> LimitReached:
        used = obstacle.tally.used(obstacle.window, self._at)
        to_come = obstacle.tally.used_and_to_come(obstacle.window, self._at) - used
        room_in = None if room_at is None else room_at - self._at
        group = self._group_of(accounts, obstacle)
        size = obstacle.window.size
        return LimitReached(
            sentences.used_up(obstacle, used, to_come=to_come, group=group, room_in=room_in),
            limit=obstacle.window.limit,
            used=sentences.rounded_up(used, size),
            allowed=obstacle.window.allowed // size,
            group=group,
            retry_after_s=None if room_in is None else math.ceil(room_in.total_seconds()),
        )

    def _reason(self, accounts: Sequence[Account], room: Room) -> Reason:
        if room.obstacle is None:  # there is room for it, but not for the one before it
            return BEHIND_OWN
        window, size = room.obstacle.window, room.obstacle.window.size
        return reasons.limit(
            window.limit,
            used=sentences.rounded_up(room.obstacle.tally.used(window, self._at), size),
            allowed=window.allowed // size,
            group=self._group_of(accounts, room.obstacle),
            free_at=room.at,
        )

    def _group_of(self, accounts: Sequence[Account], claim: Claim) -> str | None:
        return next((each.group for each in accounts if each.holds(claim.tally)), None)
