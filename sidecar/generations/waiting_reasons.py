"""What a generation that has not begun waits for, and why, as its owner reads it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from sidecar.generations.models import Generation
from sidecar.generations.schemas import Moments, Waiting


class Ahead(Protocol):
    """What runs before it."""

    @property
    def own(self) -> int:
        """Of the same person."""

    @property
    def others(self) -> int: ...

    @property
    def people(self) -> int:
        """How many other people those are of."""


def to_view(
    generation: Generation,
    ahead: Ahead,
    *,
    paused: str | None,
    starts_at: Callable[[datetime | None], Moments | None],
    at: datetime,
) -> Waiting:
    """
    Args:
        paused: Why nothing goes; None while something does.
        starts_at: When it will begin, if it is held until some moment.
    """
    until = generation.not_before if generation.not_before is not None and generation.not_before > at else None
    return Waiting(
        own_before=ahead.own,
        others_before=ahead.others,
        people_before=ahead.people,
        held_until=until,
        starts_at=None if is_stuck(generation, until) else starts_at(until),
        why=why(generation.waiting_reason, ahead, paused=paused, held=until is not None),
    )


def is_stuck(generation: Generation, held_until: datetime | None) -> bool:
    """Does it wait for something of which nobody knows when it will be, such as an instance that has its models?"""
    return generation.waiting_reason is not None and held_until is None and generation.not_before is None


def why(reason: str | None, ahead: Ahead, *, paused: str | None, held: bool) -> str:
    """A sentence for whoever waits."""
    if paused is not None:
        return f"The queue is paused: {paused}" if paused else "The queue is paused."
    if reason is not None:
        return reason
    if held:
        return "It waits a moment before it is tried again."
    if not ahead.own + ahead.others:
        return "It is next: it goes as soon as a ComfyUI is free for it."
    own = f"{ahead.own} of your own" if ahead.own else ""
    people = "another person" if ahead.people == 1 else f"{ahead.people} other people"
    others = f"{ahead.others} of {people}" if ahead.others else ""
    return f"Turns are shared: {' and '.join(filter(None, (own, others)))} will run before it."
