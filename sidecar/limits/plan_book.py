"""The plans themselves: read, made, changed and deleted by administrators."""

from __future__ import annotations

from typing import Any

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.accounts.audit import Action, Actor, note
from sidecar.accounts.invites import is_valid
from sidecar.accounts.models import Invite, User
from sidecar.database import Database
from sidecar.errors import NotFound, PlanInUse, PlanKnown, PlanNeeded
from sidecar.identity import now
from sidecar.limits.models import Plan
from sidecar.limits.plans import UNLIMITED, Limits, Plans, changed, limits_of
from sidecar.limits.schemas import NewPlan, PlanPatch, PlanView, named
from sidecar.settings import Settings

log = structlog.get_logger(__name__)


class PlanBook:
    """One a process."""

    def __init__(self, database: Database, plans: Plans, settings: Settings) -> None:
        self._database = database
        self._plans = plans
        self._needed = {
            UNLIMITED: "it is what holds where nothing is limited",
            settings.open_plan: "GENONAUT_OPEN_PLAN names it",
            settings.default_plan: "GENONAUT_DEFAULT_PLAN names it",
        }

    async def list(self) -> list[PlanView]:
        """By name."""
        async with self._database.reading() as session:
            having = await people_by_plan(session)
            found = await session.scalars(select(Plan).order_by(Plan.name))
            return [to_view(plan, having.get(plan.name, 0)) for plan in found]

    async def show(self, name: str) -> PlanView:
        """
        Raises:
            NotFound: There is none of this name.
        """
        async with self._database.reading() as session:
            return to_view(await plan_of(session, name), (await people_by_plan(session)).get(name, 0))

    async def make(self, wanted: NewPlan, actor: Actor) -> PlanView:
        """
        Raises:
            PlanKnown: There is one of this name.
            NotFound: It shall be like one that there is not.
        """
        async with self._database.writing() as session:
            if await session.get(Plan, wanted.name) is not None:
                raise PlanKnown
            begins_as = limits_of(await plan_of(session, wanted.like)) if wanted.like else Limits()
            plan = Plan(name=wanted.name, title=wanted.title.strip() or wanted.name)
            write(plan, {name: getattr(begins_as, name) for name in Limits.__struct_fields__} | named(wanted.limits))
            session.add(plan)
            note(session, Action.PLAN_MADE, actor, plan=plan.name, limits=limits_of(plan))
            await changed(session)
        log.info("plan_made", plan=plan.name)
        self._plans.tell()
        return to_view(plan, 0)

    async def change(self, name: str, patch: PlanPatch, actor: Actor) -> PlanView:
        """
        It holds at once for everybody who has this plan.

        Raises:
            NotFound: There is none of this name.
        """
        different = named(patch.limits)
        async with self._database.writing() as session:
            plan = await plan_of(session, name)
            if isinstance(patch.title, str):
                plan.title = patch.title.strip() or plan.name
            write(plan, different)
            note(session, Action.PLAN_CHANGED, actor, plan=name, title=plan.title, limits=different)
            await changed(session)
            people = (await people_by_plan(session)).get(name, 0)
        log.info("plan_changed", plan=name, limits=different)
        self._plans.tell()
        return to_view(plan, people)

    async def delete(self, name: str, actor: Actor) -> None:
        """
        Raises:
            NotFound: There is none of this name.
            PlanNeeded: A setting names it, or it must always be there.
            PlanInUse: Somebody has it, or would have with an invite.
        """
        async with self._database.writing() as session:
            plan = await plan_of(session, name)
            if name in self._needed:
                raise PlanNeeded(f"The plan {name!r} has to stay: {self._needed[name]}.")
            await require_unused(session, name)
            note(session, Action.PLAN_DELETED, actor, plan=name, limits=limits_of(plan))
            await session.delete(plan)
            await changed(session)
        log.info("plan_deleted", plan=name)
        self._plans.tell()


async def plan_of(session: AsyncSession, name: str) -> Plan:
    found = await session.get(Plan, name)
    if found is None:
        names = await session.scalars(select(Plan.name).order_by(Plan.name))
        raise NotFound(f"There is no plan {name!r}. These are there: {', '.join(names)}.")
    return found


async def people_by_plan(session: AsyncSession) -> dict[str, int]:
    counted = await session.execute(select(User.plan, func.count().label("people")).group_by(User.plan))
    return {row.plan: row.people for row in counted}


async def require_unused(session: AsyncSession, name: str) -> None:
    people = (await people_by_plan(session)).get(name, 0)
    invites = await session.scalar(select(func.count()).select_from(Invite).where(Invite.plan == name, is_valid())) or 0
    if people:
        whose = "1 person has" if people == 1 else f"{people} people have"
        raise PlanInUse(f"{whose} this plan. Give them another one first.")
    if invites:
        which, them = ("1 invite names", "it") if invites == 1 else (f"{invites} invites name", "them")
        raise PlanInUse(f"{which} this plan. Take {them} back first.")


def write(plan: Plan, limits: dict[str, Any]) -> None:
    for name, value in limits.items():
        setattr(plan, name, value)
    plan.updated_at = now()


def to_view(plan: Plan, people: int) -> PlanView:
    return PlanView(plan.name, plan.title, limits_of(plan), people, plan.updated_at)
