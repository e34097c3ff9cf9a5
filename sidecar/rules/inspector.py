"""Looks at whatever is submitted, by whichever door."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from sidecar.limits.plans import Plans, Standing
from sidecar.rules.book import CompiledRule, RuleBook
from sidecar.rules.hits import Hits
from sidecar.rules.inspection import Findings, inspect, too_long_together, written_in
from sidecar.rules.moderation import Moderation

LONG_BYTES = 64 * 1024
MANY_RULES = 200


class Inspector:
    """One a process."""

    def __init__(self, plans: Plans, book: RuleBook, hits: Hits, moderation: Moderation | None = None) -> None:
        self._plans = plans
        self._book = book
        self.hits = hits
        self._moderation = moderation

    async def look_at(self, workflow: dict[str, Any], title: str, owner_id: UUID) -> Findings:
        """
        What is found in a workflow that may come in all the same, to be written down with it (`Hits.note`).

        Raises:
            ContentRefused: Something is written in it that may not be asked for.
            GraphRefused: It has what it may not have, or asks for too much.
            ModerationAway: A service has to look at it that does not answer.
        """
        standing = await self._plans.standing_of(owner_id)
        findings = await self._inspected(workflow, title, standing)
        if self._moderation is not None and standing.limits.sensitivity != "off" and not findings.refusals:
            texts = written_in(workflow, title)
            too_long = too_long_together(texts)
            opinion = (too_long,) if too_long else await self._moderation.look_at(texts, owner_id)
            findings = Findings((*findings.hits, *opinion)) if opinion else findings
        if findings.refusals:
            await self.hits.note_refusal(findings, owner_id)
        findings.require_allowed()
        return findings

    async def foresee(self, workflow: dict[str, Any], title: str, owner_id: UUID) -> None:
        """
        The same by our own rules alone, for who only asks what would be: nothing is written down.

        Raises:
            ContentRefused: Something is written in it that may not be asked for.
            GraphRefused: It has what it may not have, or asks for too much.
        """
        standing = await self._plans.standing_of(owner_id)
        (await self._inspected(workflow, title, standing)).require_allowed()

    async def _inspected(self, workflow: dict[str, Any], title: str, standing: Standing) -> Findings:
        rules = await self._book.rules()
        if is_quick(workflow, rules):
            return inspect(workflow, title, rules, standing)
        return await asyncio.to_thread(inspect, workflow, title, rules, standing)


def is_quick(workflow: dict[str, Any], rules: Sequence[CompiledRule]) -> bool:
    """Is it looked at within milliseconds? The longest texts take a second, in which nobody else would be served."""
    if not rules:
        return True
    return len(rules) <= MANY_RULES and len(msgspec.json.encode(workflow)) <= LONG_BYTES
