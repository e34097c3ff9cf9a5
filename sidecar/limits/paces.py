"""
How seconds follow from work: a line through what was measured lately. Arithmetic; nothing here looks anything up.

A generation takes some time whatever its size (texts, decoding, saving), and more with its work: pixels, by steps, by
images, by frames. What it takes is the line's; how far off that may be is told by how far off the measured ones were.

Everything is a median: one that had to load its model first, or that somebody's game slowed down, changes nothing.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations
from statistics import median
from typing import NamedTuple

REMEMBERED = 20  # the latest ones: a new graphics card shall be believed soon
MEGA = 1_000_000
USUAL_SIDE, USUAL_STEPS = 1024, 20
USUAL_WORK = USUAL_SIDE**2 * USUAL_STEPS / MEGA
UNKNOWN_S = 10.0  # what a generation is taken to need where nothing is known of its like
LEAST_S = 0.001
ALIKE = 1.1  # works that differ by less than this say nothing of how seconds follow from work
OUTER = 0.1  # of the measured ones, this part lies below the range, and as much above it


class Sample(NamedTuple):
    """What one generation took."""

    work: float
    seconds: float


class Expected(NamedTuple):
    """How long something will probably take: mostly somewhere between the outer two."""

    seconds: float
    low_s: float
    high_s: float

    def times(self, factor: float) -> Expected:
        return Expected(*(factor * each for each in self))


AT_ONCE = Expected(0.0, 0.0, 0.0)


def one_after_another(parts: Iterable[Expected]) -> Expected:
    """All of them. As if all were quick together, or slow: mostly one wrong guess is behind all of them."""
    sums = [sum(each) for each in zip(*parts, strict=True)]
    return Expected(*sums) if sums else AT_ONCE


@dataclass(frozen=True)
class Line:
    """Seconds as they follow from work: never negative, and never less for more work."""

    base_s: float
    s_per_work: float
    low: float = 1.0
    """What of its seconds the quickest of its like take."""
    high: float = 1.0
    count: int = 1
    """How many generations it is learned from."""
    least: float = 0.0
    most: float = math.inf
    """Between which works those had."""

    def at(self, work: float) -> Expected:
        """The further it is from all that was measured, the wider apart; the fewer those are, the more so."""
        seconds, apart = self.seconds(work), self.beyond(work) ** (1 / math.sqrt(max(self.count, 1)))
        return Expected(seconds, seconds * self.low / apart, seconds * self.high * apart)

    def beyond(self, work: float) -> float:
        """How many times the most, or which part of the least, that was measured this is; 1: it lies between them."""
        return max(work / self.most, self.least / work if work else 1.0, 1.0)

    def seconds(self, work: float) -> float:
        return max(self.base_s + self.s_per_work * work, LEAST_S)

    def seconds_of_all(self, count: int, work: float) -> float:
        """Of several, whose work is this together."""
        return count * self.seconds(work / count)


UNKNOWN = Line(UNKNOWN_S, 0.0, low=0.1, high=6.0, count=0)


def work_of(
    *, width: int | None, height: int | None, steps: int | None, batch_size: int | None, frames: int | None = None
) -> float:
    """
    In millions of pixels that are sampled once. What is not known is taken to be as usual.

    Args:
        frames: Of each video, where it makes videos.
    """
    pixels = (width or USUAL_SIDE) * (height or USUAL_SIDE)
    return pixels * (steps or USUAL_STEPS) * (batch_size or 1) * (frames or 1) / MEGA


def line_through(samples: Sequence[Sample]) -> Line:
    """The line of at least one sample (Theil and Sen's, where works that lie further apart say more)."""
    slope = max(slope_of(samples), 0.0)
    base_s = median(sample.seconds - slope * sample.work for sample in samples)
    if base_s < 0:  # it would be negative for less work: then it goes with work alone
        base_s, slope = 0.0, proportion_of(samples)
    line = Line(base_s, slope)
    low, high = spread_of([sample.seconds / line.seconds(sample.work) for sample in samples])
    works = [sample.work for sample in samples]
    return Line(base_s, slope, low, high, len(samples), min(works), max(works))


def slope_of(samples: Sequence[Sample]) -> float:
    """The median of the slopes between any two, by the distance of their works."""
    slopes = sorted(
        ((other.seconds - one.seconds) / (other.work - one.work), abs(other.work - one.work))
        for one, other in combinations(samples, 2)
        if max(one.work, other.work) > ALIKE * min(one.work, other.work)
    )
    if not slopes:  # all are alike: what is larger is taken to need as much more
        return proportion_of(samples)
    sums = list(accumulate(weight for _, weight in slopes))
    return slopes[bisect_left(sums, sums[-1] / 2)][0]


def proportion_of(samples: Sequence[Sample]) -> float:
    return median(sample.seconds / sample.work for sample in samples)


def spread_of(ratios: Sequence[float]) -> tuple[float, float]:
    """Between what most of these lie; further apart the fewer they are."""
    ordered = sorted(ratios)
    outer = int(len(ordered) * OUTER)
    unsure = 1 + 1 / len(ordered)
    return min(ordered[outer], 1.0) / unsure, max(ordered[-1 - outer], 1.0) * unsure


def pooled(lines: Sequence[Line]) -> Line:
    """What to expect where one of several may hold: their mean, and whatever any of them expects."""
    count = sum(line.count for line in lines)
    base_s = sum(line.base_s * line.count for line in lines) / count
    s_per_work = sum(line.s_per_work * line.count for line in lines) / count
    usual_s = Line(base_s, s_per_work).seconds(USUAL_WORK)
    usual = [(line.seconds(USUAL_WORK), line) for line in lines]
    low = min(seconds * line.low for seconds, line in usual) / usual_s
    high = max(seconds * line.high for seconds, line in usual) / usual_s
    least, most = min(line.least for line in lines), max(line.most for line in lines)
    return Line(base_s, s_per_work, low, high, count, least, most)
