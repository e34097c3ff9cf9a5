"""What a generation that has not begun waits for, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from sidecar.addresses import place
from sidecar.catalog.snapshot import Snapshot
from sidecar.generations.schemas import Moments, Waiting
from sidecar.generations.turn_order import Ahead
from sidecar.instances.models import Connection, Instance, Wanted
from sidecar.limits import reasons
from sidecar.limits.reasons import InstanceState, Reason, sentence

WHILE_HELD = frozenset({"limit", "behind_own"})
"""What is true no longer when the moment has come that it waits for."""


class Held(Protocol):
    """A generation that waits, as far as it matters here."""

    @property
    def id(self) -> UUID: ...

    @property
    def person_id(self) -> UUID: ...

    @property
    def not_before(self) -> datetime | None: ...

    @property
    def waiting_reason(self) -> Reason | None: ...


def to_view(
    held: Held,
    ahead: Ahead,
    *,
    paused: str | None,
    can_go: bool,
    starts_at: Callable[[datetime | None], Moments | None],
    at: datetime,
) -> Waiting:
    """
    Args:
        paused: Why nothing goes; None while something does.
        can_go: There is an instance that can work.
        starts_at: When it will begin, if it is held until some moment.
    """
    until = held.not_before if held.not_before is not None and held.not_before > at else None
    own_reason = held.waiting_reason
    if own_reason is not None and own_reason.code in WHILE_HELD and until is None:
        own_reason = None
    reason = why(own_reason, ahead, paused=paused, can_go=can_go, is_held=until is not None)
    is_stuck = own_reason is not None and until is None and held.not_before is None
    return Waiting(
        own_before=ahead.own,
        others_before=ahead.others,
        people_before=ahead.people,
        held_until=until,
        starts_at=None if is_stuck else starts_at(until),
        reason=reason,
        why=sentence(reason),
    )


def why(own: Reason | None, ahead: Ahead, *, paused: str | None, can_go: bool, is_held: bool) -> Reason:
    """What stands most in its way. `own` is what is written down of itself alone."""
    if paused is not None:
        return reasons.paused(paused)
    if own is not None:
        return own
    if is_held:
        return reasons.WAITING_FOR_RETRY
    if not can_go:
        return reasons.NO_INSTANCE
    if not ahead.place:
        return reasons.NEXT
    return reasons.turns(ahead.own, ahead.others, ahead.people)


def what_it_lacks(
    checkpoint: str, loras: Sequence[str], nodes: frozenset[str], instances: Iterable[Instance], snapshot: Snapshot
) -> Reason:
    """No instance that can work now has its models and nodes: which ones, and who has them."""
    holders = snapshot.able(checkpoint, loras, nodes) or frozenset()
    waits_for = [(name_of(instance), how(instance)) for instance in instances if instance.id in holders]
    return reasons.no_instance_with([name for name in (checkpoint, *loras) if name], sorted(nodes), waits_for)


def name_of(instance: Instance) -> str | None:
    """As an administrator has named it; where it stands, which it is called otherwise, is for administrators."""
    return None if instance.name in (place(instance.url), instance.url) else instance.name


def how(instance: Instance) -> InstanceState:
    """Why an instance cannot work now."""
    if instance.wanted == Wanted.PAUSED.value:
        return "paused"
    if instance.wanted != Wanted.ACTIVE.value:
        return "draining"
    if instance.state == Connection.AWAY.value:
        return "away"
    return "set_aside" if instance.set_aside_at else "returning"
