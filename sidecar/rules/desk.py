"""What administrators do with rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, structs
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.accounts.audit import Action as Audited
from sidecar.accounts.audit import Actor, note
from sidecar.counters import LIMITS, count_up
from sidecar.cursors import decode_cursor, encode_cursor
from sidecar.database import Database
from sidecar.errors import InvalidRequest, NotFound, PlanUnknown
from sidecar.field_faults import FieldFault, all_faults, explain
from sidecar.identity import now, uuid7
from sidecar.limits.plans import Limits, Standing, read_plans
from sidecar.rules.book import Kind, RuleBook, compiled
from sidecar.rules.content import ContentDefinition, content_faults
from sidecar.rules.graph import GraphDefinition
from sidecar.rules.inspection import Findings, inspect
from sidecar.rules.models import Rule, RuleHit
from sidecar.rules.schemas import Found, NewRule, RuleHitView, RulePatch, RuleView, Trial, TrialResult

DEFINITIONS: dict[Kind, type[ContentDefinition] | type[GraphDefinition]] = {
    "content": ContentDefinition,
    "graph": GraphDefinition,
}


class Position(msgspec.Struct):
    """Where a page of hits ended."""

    id: UUID


class RuleDesk:
    """One a process."""

    def __init__(
        self,
        database: Database,
        book: RuleBook,
        changed: Callable[[], None],
    ) -> None:
        """
        Args:
            changed: Tells everybody that a rule has changed.
        """
        self._database = database
        self._book = book
        self._changed = changed

    async def all(self) -> list[RuleView]:
        async with self._database.reading() as session:
            return [to_view(rule) for rule in await session.scalars(select(Rule).order_by(Rule.id))]

    async def make(self, wanted: NewRule, actor: Actor) -> RuleView:
        """
        Raises:
            InvalidRequest: The definition has faults, all told together.
            PlanUnknown: There is no such plan.
        """
        rule = await self._checked(to_rule(wanted))
        async with self._database.writing() as session:
            session.add(rule)
            await note_change(session, actor, rule, "made")
        self._changed()
        return to_view(rule)

    async def change(self, rule_id: UUID, wanted: RulePatch, actor: Actor) -> RuleView:
        """
        Raises:
            NotFound: There is no such rule.
            InvalidRequest, PlanUnknown: As with `make`.
        """
        different = {name: value for name, value in structs.asdict(wanted).items() if value is not UNSET}
        async with self._database.reading() as session:
            before = await rule_with(session, rule_id)
        await self._checked(to_rule(structs.replace(to_new(before), **different)))
        async with self._database.writing() as session:
            rule = await rule_with(session, rule_id)
            for name, value in different.items():
                setattr(rule, name, value)
            rule.updated_at = now()
            await note_change(session, actor, rule, "changed")
        self._changed()
        return to_view(rule)

    async def remove(self, rule_id: UUID, actor: Actor) -> None:
        """
        Raises:
            NotFound: There is no such rule.
        """
        async with self._database.writing() as session:
            rule = await rule_with(session, rule_id)
            await session.delete(rule)
            await note_change(session, actor, rule, "removed")
        self._changed()

    async def try_out(self, trial: Trial) -> TrialResult:
        """
        What would become of a submission. Nothing is written down.

        Raises:
            PlanUnknown: There is no such plan.
            InvalidRequest: The rule to be tried has faults.
        """
        rules = list(await self._book.rules())
        if trial.rule is not None:
            rules.append(compiled(await self._checked(to_rule(trial.rule))))
        limits = await self._limits_of(trial.plan)
        if trial.sensitivity is not UNSET:
            limits = structs.replace(limits, sensitivity=trial.sensitivity)
        return to_result(inspect(trial.workflow, trial.text, rules, Standing(limits, trial.plan)))

    async def hits(
        self, *, rule_id: UUID | None, user_id: UUID | None, limit: int, cursor: str | None
    ) -> tuple[list[RuleHitView], str | None]:
        """Newest first; with the cursor of the next page, if there is one."""
        query = select(RuleHit).order_by(RuleHit.id.desc()).limit(limit + 1)
        if rule_id is not None:
            query = query.where(RuleHit.rule_id == rule_id)
        if user_id is not None:
            query = query.where(RuleHit.user_id == user_id)
        if cursor is not None:
            query = query.where(RuleHit.id < decode_cursor(cursor, Position).id)
        async with self._database.reading() as session:
            found = list(await session.scalars(query))
        next_cursor = encode_cursor(Position(found[limit - 1].id)) if len(found) > limit else None
        return [to_hit_view(hit) for hit in found[:limit]], next_cursor

    async def _checked(self, rule: Rule) -> Rule:
        faults = faults_of(rule)
        if faults:
            raise InvalidRequest(
                "The definition of this rule cannot be used; each fault is listed.", errors=tuple(faults)
            )
        if rule.plan is not None:
            await self._limits_of(rule.plan)
        return rule

    async def _limits_of(self, plan: str) -> Limits:
        async with self._database.reading() as session:
            found = await read_plans(session, [plan])
        if plan not in found:
            raise PlanUnknown
        return found[plan]


def faults_of(rule: Rule) -> list[dict[str, Any]]:
    kind = DEFINITIONS["content" if rule.kind == "content" else "graph"]
    wrong = [as_error(field, explain(message)) for field, message in all_faults(rule.definition, kind)]
    if wrong or kind is not ContentDefinition:
        return wrong
    definition = msgspec.convert(rule.definition, ContentDefinition)
    return [{"field": f"definition.{fault.field}", "message": fault.message} for fault in content_faults(definition)]


def as_error(path: str, fault: FieldFault) -> dict[str, Any]:
    field = ".".join(filter(None, ("definition", path, fault.member)))
    return {"field": field, "message": fault.sentence, "code": fault.code}


async def rule_with(session: AsyncSession, rule_id: UUID) -> Rule:
    rule = await session.get(Rule, rule_id)
    if rule is None:
        raise NotFound
    return rule


async def note_change(session: AsyncSession, actor: Actor, rule: Rule, change: str) -> None:
    """Every process notices it, and the audit has it."""
    await count_up(session, LIMITS)
    note(session, Audited.RULES_CHANGED, actor, change=change, rule_id=str(rule.id), name=rule.name, kind=rule.kind)


def to_rule(wanted: NewRule) -> Rule:
    at = now()
    return Rule(id=uuid7(), **structs.asdict(wanted), created_at=at, updated_at=at)


def to_new(rule: Rule) -> NewRule:
    known = {name: getattr(rule, name) for name in NewRule.__struct_fields__}
    return msgspec.convert(known, NewRule)


def to_view(rule: Rule) -> RuleView:
    return RuleView(**{name: getattr(rule, name) for name in RuleView.__struct_fields__})


def to_hit_view(hit: RuleHit) -> RuleHitView:
    known = {name: getattr(hit, name) for name in RuleHitView.__struct_fields__ if name != "text_hash"}
    return RuleHitView(**known, text_hash=hit.text_hash.hex() if hit.text_hash is not None else None)


def to_result(findings: Findings) -> TrialResult:
    found = [Found(hit.code, hit.message, hit.action, hit.field, hit.rule_id, hit.rule_name) for hit in findings.hits]
    if findings.refusals:
        return TrialResult("refused", found)
    return TrialResult("flagged" if findings.is_flagged else "allowed", found)
