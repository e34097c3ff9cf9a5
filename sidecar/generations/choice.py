"""Which instance will finish it first? Nothing here looks anything up, so that it can be read and tested as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

from sidecar.limits.paces import UNKNOWN, UNKNOWN_S, USUAL_WORK, Line

LOADING_S = 5.0  # what reading another checkpoint into memory is taken to cost
FAILURE_S = 30.0  # what an instance that failed is taken to be late: a sound one that is busy is asked first


@dataclass(frozen=True)
class Wish:
    """A generation whose turn may have come."""

    generation_id: UUID
    checkpoint: str = ""
    able: frozenset[UUID] | None = None
    """The instances that have its models; None: every one may have them."""
    may_be_at: UUID | None = None
    """The instance that may have it already: it must be asked again before any other."""
    work: float = USUAL_WORK
    """How much is to be done (`limits/paces.py`)."""
    seconds: float = UNKNOWN_S
    """How long one like it takes, wherever it goes: what it counts among the turns of whose it is."""


@dataclass(frozen=True)
class Seat:
    """An instance that may get work."""

    instance_id: UUID
    places: int
    """How many more generations it may be given now."""
    busy_s: float = 0.0
    """How long what it has will take."""
    checkpoint: str = ""
    """The one that it will have loaded when it has done what it has."""
    lines: Mapping[str, Line] = field(default_factory=dict)
    """Checkpoint -> how long generations with it take there, as far as is known."""
    failures: int = 0
    """How often in a row it failed."""
    time: int = 0
    """As turns are counted (`fair_shares`)."""


@dataclass(frozen=True)
class Choice:
    """What goes where."""

    generation_id: UUID
    instance_id: UUID
    seconds: float = field(default=UNKNOWN_S, compare=False)
    """How long it is expected to take."""
    among: int = field(default=1, compare=False)
    """How many people waited for this turn."""
    passed: UUID | None = field(default=None, compare=False)
    """Whose turn it was, if they let this one pass."""
    idle: tuple[UUID, ...] = field(default=(), compare=False)
    """The other instances that have nothing to do."""


class Seating:
    """
    What goes where next.

    In the order of turns, each is meant for the instance that will finish it first. If that one has a free place, it
    goes; if not, it waits for it, and whoever comes after it reckons with that. So nobody waits for an instance that
    somebody later gets, and a free place stays free only when its instance would be late.
    """

    def __init__(self, seats: Iterable[Seat]) -> None:
        self._seats = {seat.instance_id: seat for seat in seats}

    def has_places(self) -> bool:
        return any(seat.places for seat in self._seats.values())

    def idle_besides(self, instance_id: UUID) -> tuple[UUID, ...]:
        return tuple(one for one, seat in self._seats.items() if one != instance_id and not seat.busy_s)

    def best_for(self, wish: Wish) -> Seat | None:
        """Where it will be finished first; None where no instance that may get work can do it."""
        able = [seat for seat in self._seats.values() if may_go_to(wish, seat, self._seats)]
        return min(able, key=lambda seat: finished_in_s(wish, seat)) if able else None

    def seat(self, wish: Wish, seat: Seat, *, time: int = 0) -> None:
        """Have whoever comes after it reckon with that it is there, and with the time that it is there then."""
        self._seats[seat.instance_id] = replace(with_one_more(seat, wish), time=time)


def with_one_more(seat: Seat, wish: Wish) -> Seat:
    return replace(
        seat,
        places=max(seat.places - 1, 0),
        busy_s=seat.busy_s + work_s(wish, seat),
        checkpoint=wish.checkpoint or seat.checkpoint,
    )


def may_go_to(wish: Wish, seat: Seat, seats: Mapping[UUID, Seat]) -> bool:
    """
    Where it may be already, as long as that one can be asked: anywhere else it might run a second time. Else wherever
    its models are.
    """
    if wish.may_be_at in seats:
        return seat.instance_id == wish.may_be_at
    return wish.able is None or seat.instance_id in wish.able


def finished_in_s(wish: Wish, seat: Seat) -> float:
    return seat.busy_s + work_s(wish, seat) + seat.failures * FAILURE_S


def work_s(wish: Wish, seat: Seat) -> float:
    loads = bool(wish.checkpoint) and wish.checkpoint != seat.checkpoint
    return seat.lines.get(wish.checkpoint, UNKNOWN).seconds(wish.work) + (LOADING_S if loads else 0.0)
