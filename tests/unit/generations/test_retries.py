"""What is tried again, and when."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone

import pytest

from sidecar.errors import (
    ComfyUIAway,
    ComfyUIBroken,
    ComfyUITimeout,
    ComfyUIUnreachable,
    GenonautError,
    PromptFinishedAlready,
    PromptRejected,
)
from sidecar.generations import retries
from sidecar.generations.retries import NEVER_AGAIN, RULES, Rule, next_try, rule_for

AT = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("failure", "rule"),
    [
        (ComfyUIUnreachable(), Rule(may_pass=True, spends_a_try=False)),
        (ComfyUITimeout(), Rule(may_pass=True, spends_a_try=True)),
        (ComfyUIBroken(), Rule(may_pass=True, spends_a_try=True)),
        (PromptRejected(), NEVER_AGAIN),
        (PromptFinishedAlready(), NEVER_AGAIN),
        (GenonautError(), NEVER_AGAIN),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, GenonautError) else "",
)
def test_what_may_pass_is_tried_again_and_nothing_else(failure: GenonautError, rule: Rule):
    """A try is spent only where something was tried."""
    assert rule_for(failure) == rule


def test_there_is_a_rule_for_every_way_of_being_away():
    """A new one that nobody thought about here would fail at once."""
    assert set(ComfyUIAway.__subclasses__()) == set(RULES)


def test_the_bound_doubles_with_each_try_up_to_a_minute(monkeypatch: pytest.MonkeyPatch):
    """However often ComfyUI fails, what waits for it comes back."""
    monkeypatch.setattr(retries, "jitter", lambda: 1.0)
    waits = [(next_try(tries=tries, at=AT) - AT).total_seconds() for tries in range(8)]

    assert waits == [4, 4, 8, 16, 32, 60, 60, 60]


def test_the_jitter_is_a_full_one():
    """Anything from now on: all that was dropped at one moment comes back spread over the whole time."""
    random.seed(7)
    waits = [next_try(tries=3, at=AT) - AT for _ in range(200)]

    assert min(waits) < timedelta(seconds=1)
    assert max(waits) > timedelta(seconds=15)
