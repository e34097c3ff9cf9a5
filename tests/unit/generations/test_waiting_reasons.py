"""What stands most in the way of something that waits."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID

from msgspec import Struct

from sidecar.generations.schemas import Moments, Waiting
from sidecar.generations.turn_order import Ahead
from sidecar.generations.waiting_reasons import to_view
from sidecar.limits import reasons
from sidecar.limits.reasons import Reason

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
LATER, EARLIER = NOON + timedelta(minutes=1), NOON - timedelta(minutes=1)
HELD_BACK = reasons.limit("generations_per_hour", used=10, allowed=10, group=None, free_at=LATER)
LACKING = reasons.no_instance_with(["a.safetensors"], [], [])


class Held(Struct):
    id: UUID
    person_id: UUID
    not_before: datetime | None
    waiting_reason: Reason | None


def told(reason: Reason | None = None, *, until: datetime | None = None, ahead: int = 0, **said: Any) -> Waiting:
    at = Moments(NOON, NOON, NOON)
    held, before = Held(UUID(int=1), UUID(int=2), until, reason), Ahead(0, ahead, ahead)
    as_it_stands = {"paused": None, "can_go": True, **said}
    return to_view(held, before, starts_at=lambda _until: at, at=NOON, **as_it_stands)


def test_the_first_thing_that_holds_is_told():
    """Nothing goes while the queue is paused; where nothing can go, it is no matter how many are ahead."""
    assert told(HELD_BACK, until=LATER, paused="").reason == reasons.paused("")
    assert told(HELD_BACK, until=LATER, can_go=False).reason == HELD_BACK
    assert told(until=LATER, can_go=False).reason == reasons.WAITING_FOR_RETRY
    assert told(can_go=False).reason == reasons.NO_INSTANCE
    assert told(ahead=2).reason == reasons.turns(0, 2, 2)
    assert told().reason == reasons.NEXT


def test_a_limit_is_no_reason_any_more_when_its_moment_has_come():
    """It stays written down until the generation goes, and the generation is in the line like others."""
    for reason in (HELD_BACK, reasons.BEHIND_OWN):
        assert told(reason, until=LATER).reason == reason
        assert told(reason, until=EARLIER, ahead=1).reason == reasons.turns(0, 1, 1)


def test_nobody_knows_when_it_begins_what_no_instance_has():
    """One that only has to wait for its moment begins after that."""
    assert told(LACKING).starts_at is None
    assert told(HELD_BACK, until=LATER).starts_at is not None
