"""When something that waits will begin, as far as that can be known."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from sidecar.generations.schemas import Moments
from sidecar.generations.turn_order import Ahead
from sidecar.generations.waiting_line import Snapshot
from sidecar.limits.paces import Expected

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
AHEAD = Ahead(1, 2, 1, Expected(30.0, 20.0, 50.0))
BUSY = Expected(10.0, 8.0, 14.0)


def test_it_begins_when_what_is_ahead_of_it_is_done():
    """What the instances have in their hands and what goes before it, shared by all of them."""
    snapshot = Snapshot(at=NOON, busy=BUSY, instances=2)

    assert snapshot.starts_at(AHEAD, at=NOON) == Moments(after(20), after(14), after(32))


def test_it_begins_not_before_now_and_not_before_it_may():
    """A guess that time has overtaken is no answer, nor is one from before a limit lets it go."""
    snapshot = Snapshot(at=NOON, busy=BUSY, instances=2)

    assert snapshot.starts_at(AHEAD, at=after(25)) == Moments(after(25), after(25), after(32))
    assert snapshot.starts_at(AHEAD, at=NOON, held_until=after(60)) == Moments(after(60), after(60), after(60))


def test_nobody_knows_when_it_begins_where_nothing_can():
    """The queue is paused, or no ComfyUI is there."""
    assert Snapshot(at=NOON, busy=BUSY, instances=2, paused="").starts_at(AHEAD, at=NOON) is None
    assert Snapshot(at=NOON, busy=BUSY, instances=0).starts_at(AHEAD, at=NOON) is None


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)
