"""HTTP for administrators: what may be asked for, and who asked for something else."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from litestar import Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK

from sidecar.accounts.audit import Actor
from sidecar.accounts.guards import requires_admin
from sidecar.rules.desk import RuleDesk
from sidecar.rules.schemas import NewRule, RuleHitPage, RuleList, RulePatch, RuleView, Trial, TrialResult

PAGE_AT_MOST = 200
RULE_BYTES = 8 << 20
TRIAL_BYTES = 64 << 20  # a workflow

Desk = NamedDependency[RuleDesk]
Doing = NamedDependency[Actor]
RuleId = FromPath[UUID]
OfRule = Annotated[UUID | None, QueryParameter(name="rule_id", description="Only of this rule.")]
OfUser = Annotated[UUID | None, QueryParameter(name="user_id", description="Only of this person.")]
Limit = Annotated[int, QueryParameter(ge=1, le=PAGE_AT_MOST, description="How many at most.")]
Cursor = Annotated[str | None, QueryParameter(max_length=200, description="`next_cursor` of the page before.")]


@get("/rules", guards=[requires_admin])
async def list_rules(rule_desk: Desk) -> RuleList:
    """Every rule, also those that are switched off."""
    return RuleList(await rule_desk.all())


@post("/rules", guards=[requires_admin], request_max_body_size=RULE_BYTES)
async def make_rule(data: JSONBody[NewRule], rule_desk: Desk, actor: Doing) -> RuleView:
    """Make a rule. It holds at once, in every process."""
    return await rule_desk.make(data, actor)


@patch("/rules/{rule_id:uuid}", guards=[requires_admin], request_max_body_size=RULE_BYTES)
async def change_rule(data: JSONBody[RulePatch], rule_desk: Desk, actor: Doing, rule_id: RuleId) -> RuleView:
    """Change a rule, or switch it on or off. What was admitted before stays admitted."""
    return await rule_desk.change(rule_id, data, actor)


@delete("/rules/{rule_id:uuid}", guards=[requires_admin])
async def remove_rule(rule_desk: Desk, actor: Doing, rule_id: RuleId) -> None:
    """Remove a rule. What it found stays written down."""
    await rule_desk.remove(rule_id, actor)


@post("/rules/dry-run", guards=[requires_admin], status_code=HTTP_200_OK, request_max_body_size=TRIAL_BYTES)
async def try_rules(data: JSONBody[Trial], rule_desk: Desk) -> TrialResult:
    """Which rule would refuse this, and why. Nothing is submitted and nothing is written down."""
    return await rule_desk.try_out(data)


@get("/rule-hits", guards=[requires_admin])
async def list_rule_hits(
    rule_desk: Desk, rule_id: OfRule = None, user_id: OfUser = None, limit: Limit = 50, cursor: Cursor = None
) -> RuleHitPage:
    """What rules found, newest first. The texts themselves only where `GENONAUT_KEEP_RULE_TEXTS` says so."""
    items, next_cursor = await rule_desk.hits(rule_id=rule_id, user_id=user_id, limit=limit, cursor=cursor)
    return RuleHitPage(items, next_cursor)


ROUTES: list[Any] = [
    Router("/admin", route_handlers=[list_rules, make_rule, change_rule, remove_rule, try_rules, list_rule_hits])
]
