"""Which instance will finish it first? Nothing here looks anything up, so that it can be read and tested as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

UNKNOWN_S = 10.0  # what a generation is taken to need where nothing is known of its like
LOADING_S = 5.0  # what reading another checkpoint into memory is taken to cost
FAILURE_S = 30.0  # what an instance that failed is taken to be late: a sound one that is busy is asked first


@dataclass(frozen=True)
class Wish:
    """A generation whose turn may have come."""

    generation_id: UUID
    checkpoint: str
    may_be_at: UUID | None = None
    """The instance that may have it already: it must be asked again before any other."""


@dataclass(frozen=True)
class Seat:
    """An instance that may get work."""

    instance_id: UUID
    places: int
    """How many more generations it may be given now."""
    in_flight: int
    checkpoint: str
    """The one that it will have loaded when it has done what it has."""
    failures: int = 0
    """How often in a row it failed."""


@dataclass(frozen=True)
class Choice:
    """What goes where."""

    generation_id: UUID
    instance_id: UUID


def choose(wishes: Sequence[Wish], seats: Sequence[Seat]) -> Choice | None:
    """
    The first of the wishes, in the order of turns, that an instance with a free place will finish first.
    """
    free = [seat for seat in seats if seat.places]
    for wish in wishes:
        able = [seat for seat in free if may_go_to(wish, seat, seats)]
        if able:
            best = min(able, key=lambda seat: finished_in_s(wish, seat))
            return Choice(wish.generation_id, best.instance_id)
    return None


def may_go_to(wish: Wish, seat: Seat, seats: Sequence[Seat]) -> bool:
    """Only where it may be already, as long as that one can be asked: anywhere else it might run a second time."""
    if wish.may_be_at is None or wish.may_be_at == seat.instance_id:
        return True
    return all(other.instance_id != wish.may_be_at for other in seats)


def finished_in_s(wish: Wish, seat: Seat) -> float:
    loads = bool(wish.checkpoint) and wish.checkpoint != seat.checkpoint
    return (seat.in_flight + 1) * UNKNOWN_S + (LOADING_S if loads else 0.0) + seat.failures * FAILURE_S
