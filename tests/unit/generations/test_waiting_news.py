"""When where something stands is news to whoever waits for it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from uuid import UUID

from sidecar.generations.schemas import InTurn, Moments, Waiting, WaitingEvent
from sidecar.generations.waiting_telling import is_news
from sidecar.limits.reasons import Reason, turns

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


def event(*, starts_in_s: float | None = 600, ahead: int = 3, reason: Reason | None = None) -> WaitingEvent:
    moments = None if starts_in_s is None else Moments(*[NOON + timedelta(seconds=starts_in_s)] * 3)
    reason = reason or turns(0, ahead, 1)
    waiting = Waiting(0, ahead, 1, None, moments, reason, "")
    return WaitingEvent([InTurn(UUID(int=1), ahead, waiting)], 1)


def test_a_guess_that_is_a_little_different_is_no_news():
    """It is made anew each second; the further away its moment is, the less it says to the second."""
    assert not is_news(event(starts_in_s=629), event(), at=NOON)
    assert is_news(event(starts_in_s=640), event(), at=NOON)
    assert not is_news(event(starts_in_s=4), event(starts_in_s=5), at=NOON)
    assert is_news(event(starts_in_s=2), event(starts_in_s=5), at=NOON)


def test_everything_else_is_news():
    """Another place, another reason, nobody knows when any more, nothing waits any more."""
    assert is_news(event(ahead=2), event(), at=NOON)
    assert is_news(event(reason=Reason("next")), event(), at=NOON)
    assert is_news(event(starts_in_s=None), event(), at=NOON)
    assert is_news(event(), event(starts_in_s=None), at=NOON)
    assert is_news(WaitingEvent([], 0), event(), at=NOON)


def test_who_has_heard_nothing_hears_of_what_waits_and_not_that_nothing_does():
    """They have just read what there is."""
    assert is_news(event(), None, at=NOON)
    assert not is_news(WaitingEvent([], 0), None, at=NOON)
