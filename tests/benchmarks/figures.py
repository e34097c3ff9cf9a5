"""What was measured: rows, their budgets, and how they look."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")

COLUMNS = ("", "ComfyUI alone", "measured", "unit", "ratio", "budget", "")


@dataclass(frozen=True)
class Budget:
    """What a figure should stay below, or reach."""

    limit: float
    at_least: bool = False

    def holds(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {shown(self.limit)}"


@dataclass(frozen=True)
class Scale(Generic[T]):
    """How much of something a benchmark does, and how much where it shall be over soon."""

    full: T
    quick: T

    def of(self, *, quick: bool) -> T:
        return self.quick if quick else self.full


@dataclass(frozen=True)
class Row:
    """One figure. `ratio` is measured / alone, where ComfyUI alone was measured beside it."""

    name: str
    value: float
    unit: str
    alone: float | None = None
    budget: Budget | None = None
    of_ratio: bool = False
    """The budget speaks of the ratio, not of the figure itself."""

    @property
    def ratio(self) -> float | None:
        return self.value / self.alone if self.alone else None

    @property
    def within_budget(self) -> bool | None:
        judged = self.ratio if self.of_ratio else self.value
        return None if self.budget is None or judged is None else self.budget.holds(judged)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio, "within_budget": self.within_budget}

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Row:
        budget = Budget(**kept["budget"]) if kept["budget"] else None
        names = ("name", "value", "unit", "alone", "of_ratio")
        return cls(**{name: kept[name] for name in names}, budget=budget)

    def cells(self) -> tuple[str, ...]:
        verdict = {True: "", False: "OVER", None: ""}[self.within_budget]
        budget = f"{self.budget}{' of alone' if self.of_ratio else ''}" if self.budget else ""
        return (self.name, shown(self.alone), shown(self.value), self.unit, shown(self.ratio), budget, verdict)


def shown(value: float | None) -> str:
    """Three figures are enough: the next run has others."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}"


def table(rows: Sequence[Row]) -> str:
    """Plain text; figures stand on the right of their columns."""
    lines = [COLUMNS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    words = {0, 3, 5, 6}  # names, units, budgets, verdicts
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * int(percent) // 100) - 1)]


def spread(
    name: str,
    seconds: Sequence[float],
    *,
    alone: Sequence[float] | None = None,
    p50_ms: float | None = None,
    p95_ms: float | None = None,
) -> list[Row]:
    """Two rows, p50 and p95 in milliseconds, with their budgets."""
    return [
        Row(
            f"{name}, p{percent}",
            percentile(seconds, percent) * 1000,
            "ms",
            alone=percentile(alone, percent) * 1000 if alone else None,
            budget=Budget(limit) if limit is not None else None,
        )
        for percent, limit in ((50, p50_ms), (95, p95_ms))
    ]


@dataclass
class Stopwatch:
    seconds: float = 0.0


@contextmanager
def timed() -> Iterator[Stopwatch]:
    watch = Stopwatch()
    began = time.perf_counter()
    try:
        yield watch
    finally:
        watch.seconds = time.perf_counter() - began


async def each_timed(
    times: int, action: Callable[[], Awaitable[Any]], *, within_s: float = float("inf")
) -> list[float]:
    """Do it again and again, one after the other, but not for longer than that; how long each took."""
    seconds: list[float] = []
    while len(seconds) < times and sum(seconds) < within_s:
        with timed() as watch:
            await action()
        seconds.append(watch.seconds)
    return seconds
