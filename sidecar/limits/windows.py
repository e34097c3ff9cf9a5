"""
What a sliding window still has room for: arithmetic over what was counted, and when.

A window ends at some moment and reaches back over its length; what was counted exactly one length before has just left
it. Whoever waits for room is counted at the moment at which they will have it, in the future, so that the next one
finds room after them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Literal, NamedTuple

from sidecar.limits.plans import Budget

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LONGEST = DAY

Unit = Literal["generations", "gpu_ms"]
MS = 1000  # of a GPU second

SIZES: Mapping[Unit, int] = {"generations": 1, "gpu_ms": MS}
"""How much of the ledger's unit one of the limit's own is."""

WINDOWS: tuple[tuple[str, Unit, timedelta], ...] = (
    ("generations_per_hour", "generations", HOUR),
    ("generations_per_day", "generations", DAY),
    ("gpu_seconds_per_day", "gpu_ms", DAY),
)
"""The limits that are windows: of what, and how long."""


class Amount(NamedTuple):
    """What a generation takes of a budget."""

    generations: int
    gpu_ms: int


class Counted(NamedTuple):
    """What was counted at one moment, of all generations together."""

    at: datetime
    generations: int
    gpu_ms: int


@dataclass(frozen=True)
class Window:
    """One limit: so much may be counted in any stretch of this length."""

    limit: str
    """Its name, as plans have it."""
    unit: Unit
    length: timedelta
    allowed: int

    @property
    def size(self) -> int:
        """How much of its unit one of the limit's own is."""
        return SIZES[self.unit]


class Tally:
    """What was counted for one account, in the order of time; in the future, too."""

    def __init__(self, counted: Iterable[Counted] = ()) -> None:
        self._counted = sorted(counted)
        self._sum_up()

    def add(self, at: datetime, amount: Amount) -> None:
        entry = Counted(at, *amount)
        if self.times and at < self.times[-1]:
            insort(self._counted, entry)
            self._sum_up()
            return
        self._counted.append(entry)
        self.times.append(at)
        for unit, sums in self._sums.items():
            sums.append(sums[-1] + getattr(entry, unit))

    def without(self, given_back: Iterable[Counted]) -> Tally:
        """The same, as if this had never been counted."""
        left = {each.at: (0, 0) for each in self._counted}
        for sign, entries in ((1, self._counted), (-1, given_back)):
            for at, generations, gpu_ms in entries:
                if at in left:  # else it is older than anything that is looked at
                    left[at] = left[at][0] + sign * generations, left[at][1] + sign * gpu_ms
        return Tally(Counted(at, *amount) for at, amount in left.items() if any(amount))

    def _sum_up(self) -> None:
        self.times = [each.at for each in self._counted]
        """When something is counted, in order."""
        # Up to each entry, from nothing on: what lies between two of them is a difference.
        self._sums: dict[Unit, list[int]] = {
            "generations": list(accumulate((each.generations for each in self._counted), initial=0)),
            "gpu_ms": list(accumulate((each.gpu_ms for each in self._counted), initial=0)),
        }

    @property
    def last(self) -> datetime | None:
        """When the last one is counted."""
        return self.times[-1] if self.times else None

    def used(self, window: Window, at: datetime) -> int:
        """What the window holds that ends at this moment."""
        sums = self._sums[window.unit]
        return sums[bisect_right(self.times, at)] - sums[bisect_right(self.times, at - window.length)]

    def used_and_to_come(self, window: Window, at: datetime) -> int:
        """The same, with what waits for its moment."""
        sums = self._sums[window.unit]
        return sums[-1] - sums[bisect_right(self.times, at - window.length)]

    def refills_at(self, window: Window, at: datetime) -> datetime | None:
        """When the window has nothing left of what it holds at this moment; None where it is empty."""
        last = bisect_right(self.times, at)
        return self.times[last - 1] + window.length if self.used(window, at) else None

    def room_from(self, window: Window, amount: int, at: datetime) -> datetime:
        """
        The first moment from `at` on at which this much more may be counted; `at` itself where nothing is in the way.

        Nothing that is counted already may come to stand in a window that is too full for it, so every window counts
        that would hold it: the one that ends with it, and those that end with something later.
        """
        room = window.allowed - amount
        if self.used_and_to_come(window, at) <= room:
            return at
        times, sums = self.times, self._sums[window.unit]
        here, latest = bisect_right(times, at), bisect_left(times, at + window.length)
        for end in range(latest, here - 1, -1):
            ends_at = max(at, times[end - 1]) if end > here else at
            # What has to have left it: of all that is counted up to this end, no more than there is room may stay.
            leaving = bisect_left(sums, sums[end] - room, 0, end)
            if leaving and times[leaving - 1] + window.length > ends_at:
                return times[leaving - 1] + window.length
        return at


class Claim(NamedTuple):
    """So much more is to be counted here."""

    tally: Tally
    window: Window
    amount: int


class Room(NamedTuple):
    """When there is room for something, and what stood in the way last; nothing where there is room at once."""

    at: datetime
    obstacle: Claim | None


def first_room(claims: Sequence[Claim], at: datetime) -> Room:
    """The first moment from `at` on at which there is room for all claims. Each must fit into an empty window."""
    obstacle = None
    while True:
        later = [(claim.tally.room_from(claim.window, claim.amount, at), claim) for claim in claims]
        moment, claim = max(later, key=lambda found: found[0], default=(at, None))
        if moment <= at:
            return Room(at, obstacle)
        at, obstacle = moment, claim


def claim_of(tally: Tally, window: Window, amount: Amount) -> Claim:
    """
    What is larger than the whole window takes all of it: it may come when nothing else is counted.

    How many GPU seconds something will need is an estimate, and nobody shall be kept out for ever by one.
    """
    return Claim(tally, window, min(getattr(amount, window.unit), window.allowed))


def windows_of(budget: Budget) -> tuple[Window, ...]:
    """The windows that a budget limits."""
    return tuple(
        Window(limit, unit, length, allowed * SIZES[unit])
        for limit, unit, length in WINDOWS
        if (allowed := getattr(budget, limit)) is not None
    )
