"""The rules as they are in force, compiled: once a process, and anew as soon as one changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

import msgspec
import structlog
from msgspec import Struct
from sqlalchemy import select

from sidecar.database import Database
from sidecar.rules.content import ContentDefinition, ContentRule, Level
from sidecar.rules.graph import GraphDefinition, GraphRule
from sidecar.rules.models import Rule
from sidecar.together import Together

Kind = Literal["content", "graph"]
Action = Literal["refuse", "flag", "log"]

READ_FOR_AT_ONCE = 1000
SETTLES_IN_S = 5.0  # after a change: who read before it may come with what was so until then

log = structlog.get_logger(__name__)


class CompiledRule(Struct, frozen=True, eq=False):
    """A rule that can be asked."""

    id: UUID
    name: str
    plan: str | None
    action: Action
    level: Level
    content: ContentRule | None = None
    graph: GraphRule | None = None


class RuleBook:
    """One a process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rules: Sequence[CompiledRule] | None = None
        self._unsettled_until = 0.0
        self._reading = Together(self._read, at_most=READ_FOR_AT_ONCE)

    def forget(self) -> None:
        """Some rule has changed, and that is committed."""
        self._rules = None
        self._unsettled_until = time.monotonic() + SETTLES_IN_S

    def hear(self, person_id: UUID | None) -> None:
        """Something else holds for a person, which is no rule, or for everybody, which may be one."""
        if person_id is None:
            self.forget()

    async def rules(self) -> Sequence[CompiledRule]:
        """Those that are switched on, the oldest first."""
        return self._rules if self._rules is not None else await self._reading.ask(None)

    async def _read(self, askers: Sequence[None]) -> Sequence[Sequence[CompiledRule]]:
        """Once for all who ask at the same moment: compiling takes longer than everything else that happens to them."""
        async with self._database.reading() as session:
            rows = list(await session.scalars(select(Rule).where(Rule.is_active).order_by(Rule.id)))
        # Some thousands of words take a while.
        rules = await asyncio.to_thread(compile_rules, rows)
        if time.monotonic() >= self._unsettled_until:
            self._rules = rules
        return [rules] * len(askers)


def compile_rules(rows: Sequence[Rule]) -> Sequence[CompiledRule]:
    return tuple(map(compiled, rows))


def compiled(rule: Rule) -> CompiledRule:
    """
    A rule from its row.

    Raises:
        ValueError: Its definition is none. The desk lets in no such row.
    """
    looks_at: dict[str, Any] = (
        {"content": ContentRule(msgspec.convert(rule.definition, ContentDefinition))}
        if rule.kind == "content"
        else {"graph": GraphRule(msgspec.convert(rule.definition, GraphDefinition))}
    )
    action, level = msgspec.convert((rule.action, rule.level), tuple[Action, Level])
    return CompiledRule(rule.id, rule.name, rule.plan, action, level, **looks_at)
