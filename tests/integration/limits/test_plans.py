"""What holds for a person now."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from integration.backends import with_postgresql

from sidecar.cluster.bus import Bus
from sidecar.cluster.postgresql import PostgresBus
from sidecar.database import Database
from sidecar.errors import SettingsUnusable
from sidecar.identity import now, uuid7
from sidecar.limits import plans as module
from sidecar.limits.models import Group, GroupMember, Plan, PlanOverride
from sidecar.limits.plans import Budget, Plans, Standing, changed
from sidecar.settings import Settings, read_settings
from sidecar.tasks import end

from .conftest import AddSomebody


async def standing(plans: Plans, database: Database, person_id: UUID) -> Standing:
    async with database.reading() as session:
        return await plans.of(session, person_id)


async def write(database: Database, *rows: Any) -> None:
    async with database.writing() as session:
        session.add_all(rows)
        await session.flush()
        await changed(session)


def override(user_id: UUID, limits: dict[str, Any], **said: Any) -> PlanOverride:
    known = {"id": uuid7(), "reason": "", "created_at": now()}
    return PlanOverride(user_id=user_id, limits=limits, **{**known, **said})


async def edit(database: Database, plan: str, **limits: Any) -> None:
    async with database.writing() as session:
        found = await session.get(Plan, plan)
        assert found is not None
        for name, value in limits.items():
            setattr(found, name, value)
        await changed(session)


async def test_four_plans_are_there_from_the_start(plans: Plans, database: Database, add_somebody: AddSomebody):
    """The free one lets people make ten pictures an hour and fifty a day; the unlimited one limits nothing."""
    free, unlimited = [await standing(plans, database, await add_somebody(plan=plan)) for plan in ("free", "unlimited")]

    assert (free.limits.generations_per_hour, free.limits.generations_per_day) == (10, 50)
    assert (free.limits.weight, free.limits.over_limit) == (1, "reject")
    limited = {name: value for name, value in unlimited.limits.__rich_repr__() if value is not None}
    assert limited.keys() == {"weight", "over_limit", "sensitivity"}
    for plan in ("standard", "premium"):
        assert (await standing(plans, database, await add_somebody(plan=plan))).plan == plan


async def test_an_override_replaces_the_plans_limits_until_its_moment(
    plans: Plans, database: Database, add_somebody: AddSomebody, monkeypatch: pytest.MonkeyPatch
):
    """Those that it names; the later one where two name the same; and no longer, though what holds is remembered."""
    ada = await add_somebody(plan="free")
    until = now() + timedelta(seconds=60)
    first = override(ada, {"generations_per_day": 200, "steps_at_most": None})
    await write(database, first, override(ada, {"generations_per_day": 500}, expires_at=until))
    before = (await standing(plans, database, ada)).limits
    monkeypatch.setattr(module, "now", lambda: until)
    plans.hear(ada)
    after = (await standing(plans, database, ada)).limits

    assert (before.generations_per_hour, before.generations_per_day, before.steps_at_most) == (10, 500, None)
    assert after.generations_per_day == 200


async def test_what_holds_is_not_remembered_past_the_end_of_an_override(
    plans: Plans, database: Database, add_somebody: AddSomebody
):
    """To the moment."""
    ada = await add_somebody(plan="free")
    await write(database, override(ada, {"weight": 9.0}, expires_at=now() + timedelta(seconds=1)))
    weight = (await standing(plans, database, ada)).limits.weight
    at = time.monotonic()

    assert weight == 9
    assert plans._remembered[ada].until <= at + 1


async def test_somebody_shares_the_budget_of_their_groups(plans: Plans, database: Database, add_somebody: AddSomebody):
    """Beside their own limits."""
    ada, bob = await add_somebody(), await add_somebody()
    group = Group(id=uuid7(), name="Class 7b", comparable_name="class 7b", limits={"generations_per_day": 500})
    group.created_at = group.updated_at = now()
    await write(database, group)
    await write(database, GroupMember(group_id=group.id, user_id=ada))
    found = (await standing(plans, database, ada)).groups

    assert [(each.id, each.name, each.limits) for each in found] == [
        (group.id, "Class 7b", Budget(generations_per_day=500))
    ]
    assert (await standing(plans, database, bob)).groups == ()


async def test_in_open_access_one_plan_is_everybodys(database: Database, settings: Settings, tmp_path: Any):
    """Also an address's, of which no account knows; which one, the settings say."""
    said = {"GENONAUT_DATA": str(tmp_path), "GENONAUT_DATABASE_URL": settings.database_url}
    for environment, plan in ((said, "unlimited"), ({**said, "GENONAUT_OPEN_PLAN": "free"}, "free")):
        plans = Plans(database, Bus(), read_settings(environment))

        assert (await standing(plans, database, uuid7())).plan == plan


async def test_what_holds_is_remembered_and_forgotten_when_it_is_told(
    plans: Plans, database: Database, add_somebody: AddSomebody
):
    """Seconds without a question; after a change that was told, not a moment of what was."""
    ada = await add_somebody(plan="free")
    await standing(plans, database, ada)
    await edit(database, "free", generations_per_day=7)
    remembered = (await standing(plans, database, ada)).limits.generations_per_day
    plans.tell()

    assert remembered == 50
    assert (await standing(plans, database, ada)).limits.generations_per_day == 7


async def test_what_was_read_before_a_change_is_not_remembered_after_it(
    plans: Plans, database: Database, add_somebody: AddSomebody
):
    """Whoever reads while somebody changes it may have seen the old one."""
    ada = await add_somebody(plan="free")
    plans.tell()
    await standing(plans, database, ada)
    await edit(database, "free", generations_per_day=7)

    assert (await standing(plans, database, ada)).limits.generations_per_day == 7


async def test_a_change_that_nobody_told_is_found(plans: Plans, database: Database, add_somebody: AddSomebody):
    """Such as one at a terminal, or one whose news got lost. It is heard once."""
    ada = await add_somebody(plan="free")
    heard: list[UUID | None] = []
    plans.on(heard.append)
    await plans.look()
    await standing(plans, database, ada)
    await edit(database, "free", generations_per_day=7)
    for _ in range(2):
        await plans.look()

    assert heard == [None]
    assert (await standing(plans, database, ada)).limits.generations_per_day == 7


async def test_many_people_cost_no_more_questions_than_one(plans: Plans, database: Database, add_somebody: AddSomebody):
    """For whoever chooses among all who wait."""
    people = [await add_somebody(plan=plan) for plan in ("free", "premium", "standard")]
    async with database.reading() as session:
        found = await plans.of_all(session, people)
        weight = await plans.weight_of(session, people[1])

    assert [found[person].plan for person in people] == ["free", "premium", "standard"]
    assert weight == found[people[1]].limits.weight


@with_postgresql
async def test_another_process_knows_at_once(database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """By the bus: long before it would have looked, and before what it remembers is too old."""
    monkeypatch.setattr(module, "REMEMBERED_FOR_S", 3600.0)
    here, there = PostgresBus(database), PostgresBus(database)
    editing = Plans(database, here, settings)
    other = Plans(database, there, settings)
    listening: list[asyncio.Event] = []
    for bus in (here, there):
        listening.append(asyncio.Event())
        bus.on_gap(listening[-1].set)
    doings = [asyncio.create_task(bus.run()) for bus in (here, there)]
    heard = asyncio.Event()
    other.on(lambda _who: heard.set())
    for each in listening:
        await asyncio.wait_for(each.wait(), 30)
    ada = uuid7()
    before = (await standing(other, database, ada)).limits.generations_per_day
    await edit(database, settings.default_plan, generations_per_day=7)
    editing.tell()
    await asyncio.wait_for(heard.wait(), 30)
    after = (await standing(other, database, ada)).limits.generations_per_day
    await end(*doings)

    assert (before, after) == (500, 7)


async def test_a_setting_that_names_no_plan_is_told_at_the_start(database: Database, settings: Settings):
    """And not to the first who submits something."""
    wrong = {
        "GENONAUT_DEFAULT_PLAN": replace(settings, default_plan="gold"),
        "GENONAUT_OPEN_PLAN": replace(settings, open_plan="gold"),
    }
    for name, said in wrong.items():
        with pytest.raises(SettingsUnusable, match=f"{name} names the plan 'gold'"):
            await Plans(database, Bus(), said).require_those_of_settings()
