"""Why a generation waits though a place is free: in a sentence for its owner."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sidecar.addresses import place
from sidecar.catalog.snapshot import Snapshot
from sidecar.instances.models import Connection, Instance, Wanted

REASON_CHARACTERS = 400


def why_it_waits(
    checkpoint: str, loras: Sequence[str], nodes: frozenset[str], instances: Iterable[Instance], snapshot: Snapshot
) -> str:
    """No instance that can work now has its models and nodes: which ones, and who has them."""
    names = [name for name in (checkpoint, *loras) if name]
    names += [f"the node {name}" for name in sorted(nodes)]
    holders = snapshot.able(checkpoint, loras, nodes) or frozenset()
    having = [f"{called(instance)} ({how(instance)})" for instance in instances if instance.id in holders]
    missing = f"No ComfyUI that can work now has {' and '.join(names)}."
    if not having:
        return f"{missing} It waits until one has."[:REASON_CHARACTERS]
    return f"{missing} It waits for {' or '.join(having)}."[:REASON_CHARACTERS]


def called(instance: Instance) -> str:
    """As an administrator has named it; where it stands, which it is called otherwise, is for administrators."""
    return "a ComfyUI" if instance.name in (place(instance.url), instance.url) else instance.name


def how(instance: Instance) -> str:
    """Why an instance cannot work now."""
    if instance.wanted != Wanted.ACTIVE.value:
        return instance.wanted
    if instance.state == Connection.AWAY.value:
        return "away"
    return "set aside" if instance.set_aside_at else "about to work again"
