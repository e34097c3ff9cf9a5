"""What holds for one person instead of what their plan says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.accounts import people
from sidecar.accounts.audit import Action, Actor, note
from sidecar.database import Database
from sidecar.errors import InvalidRequest, NotFound
from sidecar.identity import now, uuid7
from sidecar.limits.models import PlanOverride
from sidecar.limits.plans import Plans, changed, holds
from sidecar.limits.schemas import NewOverride, named

KEPT_FOR = timedelta(hours=1)  # so that everybody has seen that it is over (`Plans.look`)

log = structlog.get_logger(__name__)


class Overrides:
    """One a process."""

    def __init__(self, database: Database, plans: Plans) -> None:
        self._database = database
        self._plans = plans

    async def list(self, user_id: UUID) -> list[PlanOverride]:
        """
        Those that hold now, the earliest first.

        Raises:
            NotFound: There is nobody with this id.
        """
        async with self._database.reading() as session:
            await people.by_id(session, user_id)
            return list(await session.scalars(of_person(user_id)))

    async def make(self, user_id: UUID, wanted: NewOverride, actor: Actor) -> PlanOverride:
        """
        It holds at once.

        Raises:
            NotFound: There is nobody with this id.
            InvalidRequest: It would change nothing, or be over already.
        """
        limits = named(wanted.limits)
        check(limits, wanted)
        at = now()
        made = PlanOverride(id=uuid7(), user_id=user_id, limits=limits, reason=wanted.reason, created_at=at)
        made.expires_at, made.created_by = wanted.expires_at, actor.user_id
        async with self._database.writing() as session:
            await people.by_id(session, user_id)
            session.add(made)
            told = {"limits": limits, "expires_at": wanted.expires_at, "reason": wanted.reason}
            note(session, Action.OVERRIDE_MADE, actor, user_id, **told)
            await changed(session)
        log.info("override_made", user_id=str(user_id), limits=limits, expires_at=wanted.expires_at)
        self._plans.tell(user_id)
        return made

    async def take_back(self, user_id: UUID, override_id: UUID, actor: Actor) -> None:
        """
        Raises:
            NotFound: This person has none with this id.
        """
        async with self._database.writing() as session:
            found = await session.get(PlanOverride, override_id)
            if found is None or found.user_id != user_id:
                raise NotFound("This person has no such override.")
            await take_back(session, found, actor)
        self._plans.tell(user_id)

    async def take_back_all(self, user_id: UUID, actor: Actor) -> int:
        """
        From here on their plan alone says what holds; how many there were.

        Raises:
            NotFound: There is nobody with this id.
        """
        async with self._database.writing() as session:
            await people.by_id(session, user_id)
            found = list(await session.scalars(of_person(user_id)))
            for each in found:
                await take_back(session, each, actor)
        self._plans.tell(user_id)
        return len(found)

    async def forget_old(self, _context: Any) -> None:
        """A job on a clock: what is over holds for nobody, and the audit has it."""
        async with self._database.writing() as session:
            await session.execute(delete(PlanOverride).where(PlanOverride.expires_at <= now() - KEPT_FOR))


def check(limits: dict[str, Any], wanted: NewOverride) -> None:
    if not limits:
        raise refused("limits", "required", "Name at least one limit that shall be different.")
    if wanted.expires_at is not None and wanted.expires_at <= now():
        raise refused("expires_at", "out_of_range", "Must be in the future.")


def refused(field: str, code: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, errors=({"field": field, "code": code, "message": message},))


def of_person(user_id: UUID) -> Any:
    return select(PlanOverride).where(PlanOverride.user_id == user_id, holds(now())).order_by(PlanOverride.id)


async def take_back(session: AsyncSession, override: PlanOverride, actor: Actor) -> None:
    note(session, Action.OVERRIDE_TAKEN_BACK, actor, override.user_id, limits=override.limits)
    await session.delete(override)
    await changed(session)
    log.info("override_taken_back", user_id=str(override.user_id), limits=override.limits)
