"""Plans, overrides and groups, as an administrator keeps them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from httpx import AsyncClient, Response
from integration.backends import both_databases
from sqlalchemy import select

from sidecar.accounts.models import LOCAL_OWNER_ID, AuditEntry
from sidecar.database import Database
from sidecar.identity import now, uuid7
from sidecar.limits.models import GroupMember, Plan, PlanOverride
from sidecar.limits.overrides import Overrides
from sidecar.limits.plans import Budget, Limits, Plans
from sidecar.limits.schemas import BudgetPatch, LimitsPatch

from .conftest import AddSomebody
from .test_plans import standing

YESTERDAY = "2020-01-01T00:00:00Z"


def faults(answer: Response) -> dict[str, str]:
    assert answer.status_code == 400, answer.text
    return {fault["field"]: fault["code"] for fault in answer.json()["errors"]}


async def actions(database: Database) -> list[tuple[str, UUID | None]]:
    async with database.reading() as session:
        entries = await session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [(entry.action, entry.subject_id) for entry in entries]


async def test_a_plan_is_changed_by_naming_what_shall_be_different(
    admin: AsyncClient, plans: Plans, database: Database, add_somebody: AddSomebody
):
    """Everything else stays; null takes a limit away. It is in the audit."""
    ada = await add_somebody(plan="free")
    before = (await admin.get("/plans/free")).json()
    changed = await admin.patch("/plans/free", json={"limits": {"generations_per_day": 500, "steps_at_most": None}})

    different = {"generations_per_day": 500, "steps_at_most": None}
    assert changed.json()["limits"] == {**before["limits"], **different}
    assert (before["title"], before["people"], changed.json()["people"]) == ("Free", 1, 1)
    assert (await standing(plans, database, ada)).limits.generations_per_day == 500
    assert await actions(database) == [("plan_changed", None)]


@pytest.mark.parametrize("limits", [{"generations_per_hour": 0}, {"weight": 0}, {"storage_bytes": -1}])
async def test_a_limit_that_cannot_be_is_told_of(admin: AsyncClient, limits: dict[str, Any]):
    """Nothing is below one; who shall do nothing has an account that is switched off."""
    [name] = limits

    assert faults(await admin.patch("/plans/free", json={"limits": limits})) == {f"limits.{name}": "out_of_range"}


def test_every_limit_can_be_named():
    """Whoever adds one to plans and groups lets administrators change it."""
    assert set(LimitsPatch.__struct_fields__) == set(Limits.__struct_fields__)
    assert set(BudgetPatch.__struct_fields__) == set(Budget.__struct_fields__)
    assert set(Limits.__struct_fields__) < set(Plan.__table__.columns.keys())


async def test_every_fault_of_a_plan_is_told_at_once(admin: AsyncClient):
    """Each by its field."""
    wrong = {"generations_per_day": -5, "weight": -1, "over_limit": "explode", "pixels_at_most": "many", "fee": 3}
    answer = await admin.post("/plans", json={"name": "A class", "limits": wrong})

    assert faults(answer) == {
        "name": "malformed",
        "limits.generations_per_day": "out_of_range",
        "limits.weight": "out_of_range",
        "limits.over_limit": "choice_unknown",
        "limits.pixels_at_most": "wrong_type",
        "limits.fee": "unknown_field",
    }


async def test_a_new_plan_begins_like_another_one(admin: AsyncClient):
    """Or without any limit; under a name that no other plan has."""
    like = {"name": "workshop", "title": "Workshop", "like": "free", "limits": {"generations_per_hour": 30}}
    made = await admin.post("/plans", json=like)
    bare = await admin.post("/plans", json={"name": "bare"})
    again = await admin.post("/plans", json={"name": "workshop"})

    free = (await admin.get("/plans/free")).json()["limits"]
    assert made.status_code == bare.status_code == 201
    assert made.json()["limits"] == {**free, "generations_per_hour": 30}
    assert bare.json()["limits"] == {**dict.fromkeys(free), "weight": 1, "over_limit": "reject", "sensitivity": "off"}
    assert (again.status_code, again.json()["code"]) == (409, "plan_known")
    assert (await admin.post("/plans", json={"name": "next", "like": "nothing"})).status_code == 404
    names = [plan["name"] for plan in (await admin.get("/plans")).json()["items"]]
    assert names == ["bare", "free", "premium", "standard", "unlimited", "workshop"]


async def test_a_plan_is_deleted_only_where_nobody_needs_it(admin: AsyncClient, add_somebody: AddSomebody):
    """It says who does: how many people, invites, a setting."""
    await add_somebody(plan="free")
    await add_somebody(plan="free")
    await admin.post("/invites", json={"plan": "premium"})
    await admin.post("/plans", json={"name": "unused"})
    answers = {
        name: await admin.delete(f"/plans/{name}") for name in ("unused", "free", "premium", "standard", "unlimited")
    }

    told = {name: answer.json()["detail"] for name, answer in answers.items() if answer.status_code == 409}
    assert answers["unused"].status_code == 204
    assert told == {
        "free": "2 people have this plan. Give them another one first.",
        "premium": "1 invite names this plan. Take it back first.",
        "standard": "The plan 'standard' has to stay: GENONAUT_DEFAULT_PLAN names it.",
        "unlimited": "The plan 'unlimited' has to stay: GENONAUT_OPEN_PLAN names it.",
    }
    assert (await admin.delete("/plans/unused")).status_code == 404


async def test_somebody_has_other_limits_until_they_are_taken_back(
    admin: AsyncClient, plans: Plans, database: Database, add_somebody: AddSomebody
):
    """One of them, or all; who gave them and why stays known."""
    ada = await add_somebody(plan="free")
    first, second = [
        (await admin.post(f"/users/{ada}/overrides", json={"limits": {name: 500}, "reason": "exhibition"})).json()
        for name in ("generations_per_hour", "generations_per_day")
    ]
    listed = (await admin.get(f"/users/{ada}/overrides")).json()["items"]
    await admin.delete(f"/users/{ada}/overrides/{first['id']}")
    left = (await standing(plans, database, ada)).limits
    gone = await admin.delete(f"/users/{ada}/overrides/{first['id']}")
    await admin.delete(f"/users/{ada}/overrides")
    plans.hear()

    assert listed == [first, second]
    assert (first["created_by"], first["reason"]) == (str(LOCAL_OWNER_ID), "exhibition")
    assert (left.generations_per_hour, left.generations_per_day) == (10, 500)
    assert gone.status_code == 404
    assert (await standing(plans, database, ada)).limits.generations_per_day == 50
    made, taken_back = ("override_made", ada), ("override_taken_back", ada)
    assert await actions(database) == [made, made, taken_back, taken_back]


async def test_an_override_changes_something_and_is_not_over(admin: AsyncClient, add_somebody: AddSomebody):
    """And somebody has it."""
    ada = await add_somebody()
    nothing = await admin.post(f"/users/{ada}/overrides", json={"limits": {}})
    over = await admin.post(f"/users/{ada}/overrides", json={"limits": {"weight": 2}, "expires_at": YESTERDAY})

    assert faults(nothing) == {"limits": "required"}
    assert faults(over) == {"expires_at": "out_of_range"}
    assert (await admin.post(f"/users/{uuid7()}/overrides", json={"limits": {"weight": 2}})).status_code == 404


async def test_overrides_that_are_over_are_removed(plans: Plans, database: Database, add_somebody: AddSomebody):
    """By a job on a clock; they hold and are listed no longer in any case."""
    ada = await add_somebody()
    overrides = Overrides(database, plans)
    known = {"user_id": ada, "limits": {"weight": 2}, "reason": "", "created_at": now()}
    ends = (now() - timedelta(hours=2), now() + timedelta(days=1), None)
    async with database.writing() as session:
        session.add_all(PlanOverride(id=uuid7(), expires_at=end, **known) for end in ends)
    listed = await overrides.list(ada)
    await overrides.forget_old(None)
    async with database.reading() as session:
        kept = list(await session.scalars(select(PlanOverride.expires_at).order_by(PlanOverride.id)))

    assert [each.expires_at for each in listed] == kept == [*ends[1:]]


async def test_people_share_the_budget_of_a_group(
    admin: AsyncClient, plans: Plans, database: Database, add_somebody: AddSomebody
):
    """Whoever is in it, from the moment they are until they are not."""
    ada, bob = [await add_somebody(name=name, comparable_name=name.lower()) for name in ("Ada", "Bob")]
    made = (await admin.post("/groups", json={"name": "Class 7b", "limits": {"generations_per_day": 500}})).json()
    for person in (bob, ada, ada):
        assert (await admin.put(f"/groups/{made['id']}/members/{person}")).status_code == 204
    changed = await admin.patch(f"/groups/{made['id']}", json={"name": "Class 8b", "limits": {"storage_bytes": 10**9}})
    members = (await admin.get(f"/groups/{made['id']}/members")).json()["items"]
    await admin.delete(f"/groups/{made['id']}/members/{bob}")

    [group] = (await standing(plans, database, ada)).groups
    assert (group.name, group.limits.generations_per_day, group.limits.storage_bytes) == ("Class 8b", 500, 10**9)
    assert (made["members"], changed.json()["members"]) == (0, 2)
    assert [member["name"] for member in members] == ["Ada", "Bob"]
    assert (await standing(plans, database, bob)).groups == ()
    assert (await admin.delete(f"/groups/{made['id']}/members/{bob}")).status_code == 404
    assert [action for action, _who in await actions(database)] == [
        "group_made",
        "group_joined",
        "group_joined",
        "group_changed",
        "group_left",
    ]


async def test_groups_have_names_of_their_own_and_come_in_pages(admin: AsyncClient):
    """However somebody writes them."""
    first, second = [(await admin.post("/groups", json={"name": name})).json() for name in ("Chess", "Art")]
    same = await admin.post("/groups", json={"name": "CHESS"})
    renamed = await admin.patch(f"/groups/{second['id']}", json={"name": "chess"})
    page = (await admin.get("/groups", params={"limit": 1})).json()
    rest = (await admin.get("/groups", params={"limit": 1, "cursor": page["next_cursor"]})).json()

    assert {(answer.status_code, answer.json()["code"]) for answer in (same, renamed)} == {(409, "name_taken")}
    assert [group["name"] for group in page["items"] + rest["items"]] == ["Art", "Chess"]
    assert rest["next_cursor"] is None
    assert (await admin.get(f"/groups/{first['id']}")).json() == first


async def test_a_group_that_is_gone_leaves_its_members(
    admin: AsyncClient, plans: Plans, database: Database, add_somebody: AddSomebody
):
    """They only share nothing any more."""
    ada = await add_somebody()
    group = (await admin.post("/groups", json={"name": "Chess"})).json()
    await admin.put(f"/groups/{group['id']}/members/{ada}")
    deleted = await admin.delete(f"/groups/{group['id']}")
    async with database.reading() as session:
        left = list(await session.scalars(select(GroupMember)))

    assert (deleted.status_code, left) == (204, [])
    assert (await standing(plans, database, ada)).groups == ()
    assert (await admin.get(f"/groups/{group['id']}")).status_code == 404


@both_databases
async def test_what_held_for_somebody_goes_with_their_account(
    admin: AsyncClient, database: Database, add_somebody: AddSomebody
):
    """Nobody has to take it back first."""
    ada = await add_somebody(disabled_at=now())
    await admin.post(f"/users/{ada}/overrides", json={"limits": {"weight": 2}})
    group = (await admin.post("/groups", json={"name": "Chess"})).json()
    await admin.put(f"/groups/{group['id']}/members/{ada}")
    deleted = await admin.delete(f"/users/{ada}")
    async with database.reading() as session:
        left = [*await session.scalars(select(PlanOverride)), *await session.scalars(select(GroupMember))]

    assert (deleted.status_code, left) == (204, [])
