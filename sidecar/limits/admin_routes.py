"""HTTP for administrators: plans, what holds for one person instead, and groups."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from litestar import Router, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.status_codes import HTTP_204_NO_CONTENT

from sidecar.accounts.audit import Actor
from sidecar.accounts.guards import requires_admin
from sidecar.limits.groups import Groups
from sidecar.limits.models import PlanOverride
from sidecar.limits.overrides import Overrides
from sidecar.limits.plan_book import PlanBook
from sidecar.limits.schemas import (
    GroupPage,
    GroupPatch,
    GroupView,
    MemberPage,
    NewGroup,
    NewOverride,
    NewPlan,
    OverrideList,
    OverrideView,
    PlanList,
    PlanPatch,
    PlanView,
)

PAGE_AT_MOST = 200

AllPlans = NamedDependency[PlanBook]
AllOverrides = NamedDependency[Overrides]
AllGroups = NamedDependency[Groups]
Doing = NamedDependency[Actor]
Id = FromPath[UUID]
Limit = Annotated[int, QueryParameter(ge=1, le=PAGE_AT_MOST, description="How many at most.")]
Cursor = Annotated[str | None, QueryParameter(max_length=3000, description="`next_cursor` of the page before.")]


@get("/plans")
async def list_plans(plan_book: AllPlans) -> PlanList:
    """Every plan, with its limits and how many people have it."""
    return PlanList(await plan_book.list())


@post("/plans")
async def make_plan(data: JSONBody[NewPlan], plan_book: AllPlans, actor: Doing) -> PlanView:
    """
    Make a plan.

    It begins with the limits of another one (`like`), or with none; `limits` says which are different.
    """
    return await plan_book.make(data, actor)


@get("/plans/{plan_name:str}")
async def show_plan(plan_book: AllPlans, plan_name: FromPath[str]) -> PlanView:
    """One plan as it is now."""
    return await plan_book.show(plan_name)


@patch("/plans/{plan_name:str}")
async def change_plan(
    data: JSONBody[PlanPatch], plan_book: AllPlans, plan_name: FromPath[str], actor: Doing
) -> PlanView:
    """
    Change the limits of a plan.

    Those that are named alone; null: there is no such limit any more. They hold at once for everybody who has the plan.
    """
    return await plan_book.change(plan_name, data, actor)


@delete("/plans/{plan_name:str}")
async def delete_plan(plan_book: AllPlans, plan_name: FromPath[str], actor: Doing) -> None:
    """Delete a plan that nobody has."""
    await plan_book.delete(plan_name, actor)


@get("/users/{user_id:uuid}/overrides")
async def list_overrides(overrides: AllOverrides, user_id: Id) -> OverrideList:
    """What holds for somebody instead of what their plan says."""
    return OverrideList([to_view(each) for each in await overrides.list(user_id)])


@post("/users/{user_id:uuid}/overrides")
async def make_override(
    data: JSONBody[NewOverride], overrides: AllOverrides, user_id: Id, actor: Doing
) -> OverrideView:
    """
    Give somebody other limits than their plan's, at once.

    Until a moment (`expires_at`), or until they are taken back. Where two name the same limit, the later one holds.
    """
    return to_view(await overrides.make(user_id, data, actor))


@delete("/users/{user_id:uuid}/overrides")
async def take_back_overrides(overrides: AllOverrides, user_id: Id, actor: Doing) -> None:
    """From here on somebody's plan alone says what holds for them."""
    await overrides.take_back_all(user_id, actor)


@delete("/users/{user_id:uuid}/overrides/{override_id:uuid}")
async def take_back_override(overrides: AllOverrides, user_id: Id, override_id: Id, actor: Doing) -> None:
    """Take back one thing that holds for somebody instead of what their plan says."""
    await overrides.take_back(user_id, override_id, actor)


@get("/groups")
async def list_groups(groups: AllGroups, limit: Limit = 100, cursor: Cursor = None) -> GroupPage:
    """Every group with its budget, by name."""
    return await groups.page(limit=limit, cursor=cursor)


@post("/groups")
async def make_group(data: JSONBody[NewGroup], groups: AllGroups, actor: Doing) -> GroupView:
    """Make a group, whose members share a budget beside what each of them has."""
    return await groups.make(data, actor)


@get("/groups/{group_id:uuid}")
async def show_group(groups: AllGroups, group_id: Id) -> GroupView:
    """One group as it is now."""
    return await groups.show(group_id)


@patch("/groups/{group_id:uuid}")
async def change_group(data: JSONBody[GroupPatch], groups: AllGroups, group_id: Id, actor: Doing) -> GroupView:
    """
    Rename a group, or change its budget.

    The limits that are named alone; null: there is no such limit any more. They hold at once for all of its members.
    """
    return await groups.change(group_id, data, actor)


@delete("/groups/{group_id:uuid}")
async def delete_group(groups: AllGroups, group_id: Id, actor: Doing) -> None:
    """Delete a group. Its members stay who they are."""
    await groups.delete(group_id, actor)


@get("/groups/{group_id:uuid}/members")
async def list_members(groups: AllGroups, group_id: Id, limit: Limit = 100, cursor: Cursor = None) -> MemberPage:
    """Who is in a group, by name."""
    return await groups.members(group_id, limit=limit, cursor=cursor)


@put("/groups/{group_id:uuid}/members/{user_id:uuid}", status_code=HTTP_204_NO_CONTENT)
async def add_member(groups: AllGroups, group_id: Id, user_id: Id, actor: Doing) -> None:
    """Have somebody in a group. What they make from now on counts for its budget, too."""
    await groups.add(group_id, user_id, actor)


@delete("/groups/{group_id:uuid}/members/{user_id:uuid}")
async def remove_member(groups: AllGroups, group_id: Id, user_id: Id, actor: Doing) -> None:
    """Have somebody in a group no longer."""
    await groups.remove(group_id, user_id, actor)


def to_view(override: PlanOverride) -> OverrideView:
    return OverrideView(**{name: getattr(override, name) for name in OverrideView.__struct_fields__})


ROUTES: list[Any] = [
    Router(
        "/admin",
        route_handlers=[
            list_plans,
            make_plan,
            show_plan,
            change_plan,
            delete_plan,
            list_overrides,
            make_override,
            take_back_overrides,
            take_back_override,
            list_groups,
            make_group,
            show_group,
            change_group,
            delete_group,
            list_members,
            add_member,
            remove_member,
        ],
        guards=[requires_admin],
    )
]
