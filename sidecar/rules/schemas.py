"""How rules and what they found look from outside."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from sidecar.limits.plans import Sensitivity
from sidecar.rules.book import Action, Kind
from sidecar.rules.content import Level
from sidecar.rules.models import PLAN_CHARACTERS, RULE_CHARACTERS

RuleName = Annotated[str, Meta(min_length=1, max_length=RULE_CHARACTERS, description="What people are told.")]
PlanName = Annotated[str, Meta(min_length=1, max_length=PLAN_CHARACTERS)]
Text = Annotated[str, Meta(max_length=200_000)]
Verdict = Literal["allowed", "flagged", "refused"]


class RuleView(Struct):
    """One rule."""

    id: UUID
    kind: Kind
    name: str
    plan: str | None
    """Whom it is for; null: everybody."""
    definition: dict[str, Any]
    """As it was made."""
    action: Action
    """`refuse`: it does not come in. `flag`: its images are looked at before anybody sees them. `log`: it is noted."""
    level: Level
    """It concerns whoever's plan is at least as sensitive; of content rules alone."""
    is_active: bool
    created_at: datetime
    updated_at: datetime


class RuleList(Struct):
    """All rules, the oldest first."""

    items: list[RuleView]


class NewRule(Struct, forbid_unknown_fields=True):
    """A rule to make."""

    kind: Kind
    name: RuleName
    definition: dict[str, Any]
    """Of a content rule `words`, `patterns`, `where`; of a graph rule what `GraphDefinition` names."""
    plan: PlanName | None = None
    action: Action = "refuse"
    level: Level = "low"
    is_active: bool = True


class RulePatch(Struct, forbid_unknown_fields=True):
    """What shall be different; what is left out stays as it is."""

    name: RuleName | UnsetType = UNSET
    definition: dict[str, Any] | UnsetType = UNSET
    """The whole of it anew."""
    plan: PlanName | UnsetType | None = UNSET
    action: Action | UnsetType = UNSET
    level: Level | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET


class Trial(Struct, forbid_unknown_fields=True):
    """What to look at without submitting it: a workflow in ComfyUI's API format, a text, or both."""

    workflow: dict[str, Any] = {}
    text: Text = ""
    plan: PlanName = "standard"
    """As somebody who has this plan."""
    sensitivity: Sensitivity | UnsetType = UNSET
    """As if that plan were as sensitive as this."""
    rule: NewRule | None = None
    """A rule that is not there yet, to be tried beside the others."""


class Found(Struct):
    """What goes against a rule, or against the bounds of the plan."""

    code: str
    message: str
    action: Action
    field: str
    rule_id: UUID | None
    rule_name: str


class TrialResult(Struct):
    """What would become of it, and why."""

    verdict: Verdict
    found: list[Found]


class RuleHitView(Struct):
    """A rule concerned a submission."""

    id: UUID
    rule_id: UUID | None
    """Null: it was the moderation service, which has no level either."""
    rule_name: str
    user_id: UUID
    generation_id: UUID | None
    """Null where it was refused."""
    action: Action
    level: Level | None
    code: str
    field: str
    text_hash: str | None
    """SHA-256 in hexadecimal."""
    text: str | None
    at: datetime


class RuleHitPage(Struct):
    """Newest first."""

    items: list[RuleHitView]
    next_cursor: str | None
