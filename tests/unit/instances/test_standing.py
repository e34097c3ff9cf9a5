"""How an instance stands."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from sidecar.identity import uuid7
from sidecar.instances import standing
from sidecar.instances.models import Instance
from sidecar.instances.registry import reset

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


def new_instance() -> Instance:
    instance = Instance(id=uuid7(), name="upstairs", url="http://127.0.0.1:8188", wanted="active", created_at=NOON)
    reset(instance)
    standing.connected(instance, standing.Greeting("0.3.75"), at=NOON)
    return instance


def fail(instance: Instance, *, times: int = 1, at: datetime = NOON) -> None:
    for _ in range(times):
        standing.failed(instance, code="comfyui_broken", reason="500", generation_id=uuid7(), at=at)


def test_an_instance_that_failed_once_rests_for_a_moment():
    """Another one does the work meanwhile, where there is one."""
    instance = new_instance()
    fail(instance)

    assert instance.set_aside_at is None
    assert instance.rests_until == NOON + timedelta(seconds=1)


def test_after_three_failures_in_a_row_it_is_set_aside():
    """It gets nothing until it was probed."""
    instance = new_instance()
    fail(instance, times=3)

    assert instance.set_aside_at == NOON
    assert instance.rests_until == NOON + timedelta(seconds=10)


def test_a_generation_that_it_brought_to_its_end_makes_up_for_its_failures():
    """Only failures in a row count; what happened can still be read."""
    instance = new_instance()
    fail(instance, times=2)
    standing.trusted(instance)
    fail(instance)

    assert instance.set_aside_at is None
    assert len(instance.evidence) == 3


def test_what_happened_and_when_can_be_read():
    """The newest first, with the generation that it happened with, and not without end."""
    instance = new_instance()
    for minute in range(30):
        fail(instance, at=NOON + timedelta(minutes=minute))

    assert len(instance.evidence) == 20
    assert instance.evidence[0]["at"] == "2026-01-01T12:29:00+00:00"
    assert instance.evidence[0].keys() == {"at", "code", "reason", "generation_id"}


def test_one_that_answers_a_probe_gets_one_generation_to_prove_itself():
    """The next failure sets it aside again, for twice as long."""
    instance = new_instance()
    fail(instance, times=3)
    standing.probed(instance, answers=True, at=NOON)
    taken_back = instance.set_aside_at is None and instance.rests_until is None
    fail(instance)

    assert taken_back
    assert instance.set_aside_at == NOON
    assert instance.rests_until == NOON + timedelta(seconds=20)


def test_one_that_does_not_answer_is_probed_ever_more_seldom():
    """Nobody asks a machine that is switched off for a week every ten seconds."""
    instance = new_instance()
    fail(instance, times=3)
    rests = []
    for _ in range(6):
        standing.probed(instance, answers=False, at=NOON)
        assert instance.rests_until is not None
        rests.append((instance.rests_until - NOON).total_seconds())

    assert rests == [20, 40, 80, 160, 300, 300]


def test_being_away_does_not_clear_what_it_was_set_aside_for():
    """A ComfyUI that ends again and again connects again and again."""
    instance = new_instance()
    fail(instance, times=3)
    standing.went_away(instance, "refused", at=NOON)
    standing.connected(instance, standing.Greeting("0.3.75"), at=NOON)

    assert instance.set_aside_at == NOON
    assert instance.rests_until is not None
