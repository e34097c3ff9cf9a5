"""When somebody is told that a limit is nearly used up."""

from __future__ import annotations

from typing import Any

from sidecar.quota.schemas import QuotaLimit, QuotaView, QuotaWaiting
from sidecar.quota.telling import warnings


def limit(used: float | None, allowed: float = 10, **said: Any) -> QuotaLimit:
    known: dict[str, Any] = {"name": "generations_per_hour", "unit": "generations", "window_s": 3600, "group": None}
    return QuotaLimit(used=used, allowed=allowed, refills_at=None, next_free_at=None, **{**known, **said})


def view(*limits: QuotaLimit) -> QuotaView:
    return QuotaView("free", "reject", list(limits), QuotaWaiting(0, None, None, None))


def percents(*views: QuotaView) -> list[int]:
    """What is told while one's quota goes from one to the next of these."""
    before = [None, *views]
    return [warning.percent for old, new in zip(before, views, strict=False) for warning in warnings(old, new)]


def test_each_level_is_told_once():
    """At 80 and at 100 percent, on the way up."""
    assert percents(*(view(limit(used)) for used in (7, 8, 9, 10, 10, 11))) == [80, 100]


def test_whoever_comes_past_both_levels_at_once_hears_of_the_higher_one():
    """Not of both."""
    assert percents(view(limit(0)), view(limit(10))) == [100]


def test_what_fell_and_rises_again_is_told_again():
    """An hour later it is news."""
    assert percents(*(view(limit(used)) for used in (8, 3, 8))) == [80, 80]


def test_groups_are_told_of_by_themselves():
    """The same limit, of two."""
    [warning] = warnings(view(limit(8)), view(limit(8), limit(9, group="Class 7b")))

    assert (warning.limit, warning.group, warning.percent) == ("generations_per_hour", "Class 7b", 80)


def test_only_what_is_used_up_is_warned_of():
    """That both running places are taken, or how large a picture may be, is nothing to worry about."""
    running = limit(2, 2, name="running_at_once", window_s=None)
    pixels = limit(None, name="pixels_at_most", unit="pixels", window_s=None)
    stored = limit(9, name="storage_bytes", unit="bytes", window_s=None)

    assert [warning.limit for warning in warnings(None, view(running, pixels, stored))] == ["storage_bytes"]
