"""What would become of a submission: how long it takes, when it begins, or why it may not enter. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.database import Database
from sidecar.errors import Refused
from sidecar.generations.admission import Admission
from sidecar.generations.entry_limits import Asking, EntryLimits, PartyLimits, Permit
from sidecar.generations.party import Entrant
from sidecar.generations.places import Places
from sidecar.generations.schemas import Forecast, ForecastRefusal, Moments, PartOfDay
from sidecar.generations.submissions import Request
from sidecar.generations.waiting_line import Snapshot
from sidecar.identity import now
from sidecar.instances.models import Instance
from sidecar.limits import reasons
from sidecar.limits.estimate import Lines, to_ms
from sidecar.limits.paces import ALIKE, Expected
from sidecar.limits.plans import Standing
from sidecar.limits.reasons import Reason, sentence
from sidecar.limits.windows import DAY, Amount, windows_of
from sidecar.rules.inspector import Inspector


class Forecasts:
    """One a process."""

    def __init__(
        self, database: Database, admission: Admission, entry_limits: EntryLimits, inspector: Inspector, places: Places
    ) -> None:
        self._database = database
        self._admission = admission
        self._entry_limits = entry_limits
        self._inspector = inspector
        self._places = places

    async def of(self, request: Request, *, address: str | None) -> Forecast:
        """As if this were submitted now."""
        asked = Entrant(request, address=address).asking()
        refusal = await self._refusal_of_rules(request)
        await self._places.catch_up()
        async with self._database.reading() as session:
            at = now()
            limits = await self._entry_limits.of_party(session, [asked], at, looks_only=True)
            lines = limits.known[asked.checkpoint]
            takes = lines.usual.at(asked.work)
            person = limits.people[asked.owner_id, address]
            permit = await permitted(limits, asked) if refusal is None else refusal
            reason = permit.entry.waiting_reason if isinstance(permit, Permit) else None
            held_until = permit.entry.counted_at if isinstance(permit, Permit) and reason else None
            ahead, snapshot = await self._places.behind(session, person.id, request.priority)
            may_enter = isinstance(permit, Permit)
            starts_at = snapshot.starts_at(ahead, at=at, held_until=held_until) if may_enter else None
            reason = (standstill(snapshot) if may_enter else None) or reason
            return Forecast(
                seconds=round(takes.seconds, 2),
                low_s=round(takes.low_s, 2),
                high_s=round(takes.high_s, 2),
                basis=await basis_of(session, lines, asked.work),
                of_day=list(parts_of_day(limits.standings[person.id], Amount(1, to_ms(takes.seconds)))),
                outcome="refused" if not may_enter else "enters" if held_until is None else "held",
                held_until=held_until,
                reason=reason,
                why=why(permit, reason),
                refusal=None if isinstance(permit, Permit) else to_refusal(permit),
                own_before=ahead.own,
                others_before=ahead.others,
                people_before=ahead.people,
                starts_at=starts_at,
                ends_at=None if starts_at is None else ends_at(starts_at, takes),
            )

    async def _refusal_of_rules(self, request: Request) -> Refused | None:
        try:
            await self._admission.require_usable_models(request)
            await self._inspector.foresee(request.workflow, request.title, request.owner_id)
        except Refused as exc:
            return exc
        return None


async def permitted(limits: PartyLimits, asked: Asking) -> Permit | Refused:
    try:
        return await limits.permit(asked)
    except Refused as exc:
        return exc


def standstill(snapshot: Snapshot) -> Reason | None:
    """Why nothing begins at present; None while something does."""
    if snapshot.paused is not None:
        return reasons.paused(snapshot.paused)
    return None if snapshot.instances else reasons.NO_INSTANCE


def why(permit: Permit | Refused, reason: Reason | None) -> str | None:
    if isinstance(permit, Refused):
        return permit.message
    return None if reason is None else sentence(reason)


def to_refusal(refused: Refused) -> ForecastRefusal:
    return ForecastRefusal(refused.code, refused.message, refused.retry_after_s, dict(refused.facts))


def parts_of_day(standing: Standing, amount: Amount) -> Iterator[PartOfDay]:
    """How much of each budget of a day it takes, one's own first."""
    budgets = [(standing.limits, None), *((group.limits, group.name) for group in standing.groups)]
    for budget, group in budgets:
        for window in windows_of(budget):
            if window.length == DAY:
                part = getattr(amount, window.unit) / window.allowed if window.allowed else 1.0
                yield PartOfDay(window.limit, round(part, 4), group)


async def basis_of(session: AsyncSession, lines: Lines, work: float) -> str:
    """From what it is known, for people."""
    count = lines.usual.count
    if lines.basis == "nothing":
        return "Nothing was made here yet."
    some = "1 generation" if count == 1 else f"{count} generations"
    if lines.basis == "others":
        return f"{some} with other checkpoints: with this one none was made yet."
    names = (await session.scalars(select(Instance.name).where(Instance.id.in_(lines.by_instance)))).all()
    there = names[0] if len(names) == 1 else f"{len(names)} ComfyUIs"
    if lines.usual.beyond(work) < ALIKE:
        return f"{some} like this on {there}."
    other = "less" if work > lines.usual.most else "more"
    each = "that" if count == 1 else "each of them"
    return f"{some} of its kind on {there}; {each} asked for {other} than this, so it is a guess."


def ends_at(starts_at: Moments, takes: Expected) -> Moments:
    begins = (starts_at.likely, starts_at.earliest, starts_at.latest)
    return Moments(*(at + timedelta(seconds=round(each)) for at, each in zip(begins, takes, strict=True)))
