"""How plans, overrides and groups look to an administrator (sidecar/README.md, "Limits")."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, TypeAlias
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from sidecar.limits.models import PLAN_CHARACTERS, REASON_CHARACTERS, TITLE_CHARACTERS
from sidecar.limits.plans import Budget, Limits, OverLimit, Sensitivity

COUNT_AT_MOST = 2**31 - 1  # what a column takes
BYTES_AT_MOST = 2**53 - 1  # what JavaScript counts to

Count: TypeAlias = Annotated[int, Meta(ge=1, le=COUNT_AT_MOST)] | UnsetType | None
Bytes: TypeAlias = Annotated[int, Meta(ge=1, le=BYTES_AT_MOST)] | UnsetType | None
Weight: TypeAlias = Annotated[float, Meta(ge=0.01, le=100)] | UnsetType
PlanName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=PLAN_CHARACTERS,
        pattern="^[a-z0-9][a-z0-9_-]*$",
        description="Small letters, digits, - and _.",
    ),
]
Title = Annotated[str, Meta(max_length=TITLE_CHARACTERS, description="What people read.")]
GroupName = Annotated[str, Meta(min_length=1, max_length=TITLE_CHARACTERS)]
Reason = Annotated[str, Meta(max_length=REASON_CHARACTERS, description="Why, for other administrators.")]


class BudgetPatch(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which limits shall be different; null: there shall be none. What is left out stays as it is."""

    generations_per_hour: Count = UNSET
    generations_per_day: Count = UNSET
    gpu_seconds_per_day: Count = UNSET
    storage_bytes: Bytes = UNSET


class LimitsPatch(BudgetPatch, kw_only=True, forbid_unknown_fields=True):
    """Which limits shall be different; null: there shall be none. What is left out stays as it is."""

    running_at_once: Count = UNSET
    waiting_at_most: Count = UNSET
    pixels_at_most: Count = UNSET
    batch_at_most: Count = UNSET
    steps_at_most: Count = UNSET
    frames_at_most: Count = UNSET
    weight: Weight = UNSET
    over_limit: OverLimit | UnsetType = UNSET
    sensitivity: Sensitivity | UnsetType = UNSET


def named(patch: BudgetPatch | UnsetType) -> dict[str, Any]:
    """The limits of which it says something."""
    if isinstance(patch, UnsetType):
        return {}
    return {name: value for name in patch.__struct_fields__ if (value := getattr(patch, name)) is not UNSET}


class PlanView(Struct):
    """A plan, and how many people have it."""

    name: str
    title: str
    limits: Limits
    people: int
    updated_at: datetime


class PlanList(Struct):
    """By name."""

    items: list[PlanView]


class NewPlan(Struct, kw_only=True, forbid_unknown_fields=True):
    """A plan that shall be there: the limits of another one, with those that are different."""

    name: PlanName
    title: Title = ""
    like: PlanName | None = None
    """None: nothing is limited but what `limits` names."""
    limits: LimitsPatch | UnsetType = UNSET


class PlanPatch(Struct, forbid_unknown_fields=True):
    """What shall be different of a plan; what is left out stays as it is."""

    title: Title | UnsetType = UNSET
    limits: LimitsPatch | UnsetType = UNSET


class OverrideView(Struct):
    """Limits that somebody has instead of their plan's."""

    id: UUID
    limits: dict[str, Any]
    expires_at: datetime | None
    reason: str
    created_by: UUID | None
    """None: at the command line."""
    created_at: datetime


class OverrideList(Struct):
    """Those that hold, the earliest first: where two name the same limit, the later one holds."""

    items: list[OverrideView]


class NewOverride(Struct, forbid_unknown_fields=True):
    """What shall hold for somebody instead of what their plan says."""

    limits: LimitsPatch
    expires_at: datetime | None = None
    """None: until it is taken back."""
    reason: Reason = ""


class GroupView(Struct):
    """People who share a budget."""

    id: UUID
    name: str
    limits: Budget
    members: int
    created_at: datetime
    updated_at: datetime


class GroupPage(Struct):
    """By name."""

    items: list[GroupView]
    next_cursor: str | None


class NewGroup(Struct, forbid_unknown_fields=True):
    """A group that shall be there."""

    name: GroupName
    limits: BudgetPatch | UnsetType = UNSET


class GroupPatch(Struct, forbid_unknown_fields=True):
    """What shall be different of a group; what is left out stays as it is."""

    name: GroupName | UnsetType = UNSET
    limits: BudgetPatch | UnsetType = UNSET


class MemberView(Struct):
    """Somebody in a group."""

    id: UUID
    name: str


class MemberPage(Struct):
    """By name."""

    items: list[MemberView]
    next_cursor: str | None
