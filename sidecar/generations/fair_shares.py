"""
Whose turn is it? Start-time fair queueing between people, by their weights and by measured seconds of GPU.

Everybody has a *tag*, which grows with what they got: by the seconds that a generation takes, divided by their weight.
Whoever has the lowest tag is next. So of two who always wait, one with twice the weight gets twice the seconds, whether
in many short generations or in a few long ones.

Each instance has a *time*: the tag of whoever began there last, and it only grows. Whoever begins to wait has at least
that: nobody saves up turns by being away, and nobody has to make up for what others got meanwhile. From this follows
what people notice:

- Whoever comes with one generation goes after at most one of everybody who waits already.
- However many somebody submits, another one is delayed by one of them.

Expected seconds count when a generation goes, and are replaced by the measured ones when it ends.

Nothing here looks anything up. Tags and times are whole microseconds, so that every process and database counts alike.
"""

from __future__ import annotations

from typing import NamedTuple

MICROSECONDS = 1_000_000
AGEING = 10
"""
Where ever new people came, each with one generation, the time of the instance would stand still, and whoever is ahead
of it would wait for ever. So it moves on with each of them, at a tenth of the pace at which it would if all that wait
took turns: nobody waits for longer than ten times what is fair.
"""
WARM_AT_MOST_S = 30.0
"""For how long somebody whose turn it is lets others pass who need no other checkpoint than the one that is loaded."""
WARM_IN_A_ROW = 4
"""How many, at most."""


class Turn(NamedTuple):
    """How a person and an instance stand when one of the person's generations has gone there."""

    tag: int
    time: int


def cost(seconds: float, weight: float) -> int:
    """By how much a tag grows."""
    return max(round(seconds * MICROSECONDS / weight), 1)


def begin(tag: int, time: int) -> int:
    """The tag of somebody who begins to wait."""
    return max(tag, time)


def take(tag: int, time: int, costs: int, *, among: int) -> Turn:
    """
    Let somebody have their turn.

    Args:
        among: How many people wait, those of this turn with them.
    """
    # What one could not have (such as on an instance that was away) is not made up for, but for one generation.
    start = max(tag, time - costs)
    return Turn(start + costs, start if start > time else time + costs // (AGEING * max(among, 1)))


def settle(tag: int, *, charged: int, measured: int) -> int:
    """Have what it took count instead of what it was expected to take."""
    return tag + measured - charged


def counts_as_passed_s(seconds: float) -> float:
    """How much of `WARM_AT_MOST_S` is used up by one that passes."""
    return max(seconds, WARM_AT_MOST_S / WARM_IN_A_ROW)
