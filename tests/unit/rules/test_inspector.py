"""Whoever submits much holds up nobody who comes at the same moment."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from sidecar.identity import uuid7
from sidecar.limits.plans import Limits, Standing
from sidecar.rules import inspector
from sidecar.rules.book import CompiledRule
from sidecar.rules.content import ContentDefinition, ContentRule
from sidecar.rules.inspection import inspect
from sidecar.rules.inspector import Inspector

RULE = CompiledRule(uuid7(), "bombs", None, "log", "low", content=ContentRule(ContentDefinition(words=("bomb",))))


class SensitivePlans:
    """Everybody has the same plan."""

    async def standing_of(self, _person_id: Any) -> Standing:
        return Standing(Limits(sensitivity="high"), "standard")


class Rules:
    """As a rule book has them."""

    async def rules(self) -> list[CompiledRule]:
        return [RULE]


@pytest.mark.parametrize(("times", "is_apart"), [(1, False), (20_000, True)])
async def test_long_texts_are_looked_at_in_a_thread_of_their_own(monkeypatch, times, is_apart):
    """The longest take a second; short ones less than it takes to hand them to a thread."""
    threads = []

    def seen(*args: Any) -> Any:
        threads.append(threading.current_thread())
        return inspect(*args)

    monkeypatch.setattr(inspector, "inspect", seen)
    asks: Any = (SensitivePlans(), Rules(), None)
    workflow = {"1": {"class_type": "CLIPTextEncode", "inputs": {"text": "a bomb, " * times}}}
    findings = await Inspector(*asks).look_at(workflow, "", uuid7())

    assert [hit.rule_name for hit in findings.hits] == ["bombs"]
    assert [thread is not threading.main_thread() for thread in threads] == [is_apart]
