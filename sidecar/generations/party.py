"""Submissions that enter in one transaction, each in its own right."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.accounts.models import User
from sidecar.database import table_of
from sidecar.errors import AccountDisabled, InvalidRequest, Refused
from sidecar.generations.entry_limits import Asking, PartyLimits
from sidecar.generations.idempotency import recall, remember, require_same
from sidecar.generations.models import Generation
from sidecar.generations.submissions import Request
from sidecar.generations.writing import to_generation, write_generations
from sidecar.identity import now
from sidecar.limits.ledger import Reservation, reserve
from sidecar.rules.hits import Hits
from sidecar.rules.inspection import NOTHING_FOUND, Findings

USERS = table_of(User)
THESE = select(Generation).where(Generation.id.in_(bindparam("ids", expanding=True)))
DISABLED = select(USERS.c.id).where(USERS.c.id.in_(bindparam("ids", expanding=True)), USERS.c.disabled_at.is_not(None))


class Entrant(NamedTuple):
    """A submission at the door."""

    request: Request
    findings: Findings = NOTHING_FOUND
    """What rules found in it."""
    address: str | None = None
    """From where it came, as far as is known."""

    def asking(self) -> Asking:
        request = self.request
        return Asking(request.owner_id, self.address, request.facts.checkpoint, request.work)


class Admitted(NamedTuple):
    """What a submission came to."""

    generation: Generation
    is_new: bool
    """Else the same request had made it before."""


class Party:
    """Those who come in one transaction. One for each."""

    def __init__(self, session: AsyncSession, limits: PartyLimits, hits: Hits, at: datetime) -> None:
        self._session = session
        self._limits = limits
        self._hits = hits
        self._at = at
        self._known: dict[UUID, Generation] = {}
        self._new: list[tuple[Entrant, Generation]] = []
        self._disabled: frozenset[UUID] = frozenset()
        self._reservations: list[Reservation] = []

    async def look_up(self, ids: Collection[UUID]) -> None:
        """Find those that were written before."""
        if ids:
            known = await self._session.scalars(THESE, {"ids": list(ids)})
            self._known.update((generation.id, generation) for generation in known)

    async def look_for_disabled(self, owner_ids: Iterable[UUID]) -> None:
        """Who was let in a moment ago may be disabled by now, and everything of theirs cancelled."""
        rows = await self._session.execute(DISABLED, {"ids": list(set(owner_ids))})
        self._disabled = frozenset(rows.scalars())

    async def receive(self, entrant: Entrant) -> Admitted | Refused:
        request = entrant.request
        try:
            if request.owner_id in self._disabled:
                raise AccountDisabled
            known = self._known.get(await self._earlier(request) or request.id)
            if known is not None and known.owner_id != request.owner_id:
                raise InvalidRequest("This id cannot be used. Submit again with a new one.")
            if known is not None:
                return Admitted(known, is_new=False)
            permit = await self._limits.enter(entrant.asking())
        except Refused as exc:
            return exc
        generation = self._known[request.id] = to_generation(request, at=now())
        generation.person_id = permit.person_id
        generation.review = "waiting" if entrant.findings.is_flagged else None
        if permit.entry.waiting_reason is not None:
            generation.not_before, generation.waiting_reason = permit.entry.counted_at, permit.entry.waiting_reason
        self._new.append((entrant, generation))
        self._reservations.append(permit.reservation(generation.id))
        return Admitted(generation, is_new=True)

    async def write(self) -> None:
        """Write down those that are new."""
        await write_generations(self._session, [(entrant.request, generation) for entrant, generation in self._new])
        await reserve(self._session, self._reservations, at=self._at)
        for (request, findings, _), generation in self._new:
            self._hits.note(self._session, findings, request.owner_id, generation.id)
            if request.once is not None:
                await remember(self._session, request.owner_id, request.once, generation.id)

    async def _earlier(self, request: Request) -> UUID | None:
        """What the same request has made before, in this transaction or in an earlier one."""
        if request.once is None:
            return None
        for (other, *_), generation in self._new:
            if other.once is not None and (other.owner_id, other.once.key) == (request.owner_id, request.once.key):
                require_same(other.once, request.once)
                return generation.id
        earlier = await recall(self._session, request.owner_id, request.once)
        if earlier is not None:
            await self.look_up([earlier])
        return earlier
