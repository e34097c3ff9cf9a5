"""
How an instance stands: is it there, and may it be trusted with work?

Each function changes one row, in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, or_

from sidecar.instances.models import REASON_LENGTH, VERSION_LENGTH, Connection, Instance, Wanted

FAILURES_UNTIL_SET_ASIDE = 3
EVIDENCE_KEPT = 20
REST_FIRST_S = 1.0  # after one failure; twice as long after the second
PROBE_FIRST_S = 10.0  # after it was set aside; twice as long after each probe
PROBE_MOST_S = 300.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Greeting:
    """What a ComfyUI says of itself when it is met."""

    comfyui_version: str
    pack_version: str = ""
    directories: Mapping[str, str] = field(default_factory=dict)
    devices: tuple[Mapping[str, Any], ...] = ()


def connected(instance: Instance, greeting: Greeting, *, at: datetime) -> None:
    """It is there, and what is written down is in line with it."""
    if instance.state != Connection.CONNECTED.value:
        instance.state, instance.since = Connection.CONNECTED.value, at
    instance.reason = ""
    instance.comfyui_version = greeting.comfyui_version[:VERSION_LENGTH]
    instance.pack_version = greeting.pack_version[:VERSION_LENGTH]
    instance.directories = dict(greeting.directories)
    instance.devices = [dict(device) for device in greeting.devices]
    if instance.set_aside_at is None:
        instance.rests_until = None


def went_away(instance: Instance, reason: str, *, at: datetime) -> None:
    """It does not answer. What it had loaded is probably gone with it."""
    if instance.state != Connection.AWAY.value:
        instance.state, instance.since = Connection.AWAY.value, at
        instance.checkpoint = ""
    instance.reason = reason[:REASON_LENGTH]


def failed(instance: Instance, *, code: str, reason: str, generation_id: UUID, at: datetime) -> None:
    """It failed with a generation: it rests for a moment; after too many failures in a row it is set aside."""
    instance.failures += 1
    told = {"at": at.isoformat(), "code": code, "reason": reason[:REASON_LENGTH], "generation_id": str(generation_id)}
    instance.evidence = [told, *instance.evidence][:EVIDENCE_KEPT]
    if instance.failures < FAILURES_UNTIL_SET_ASIDE:
        instance.rests_until = at + timedelta(seconds=REST_FIRST_S * 2 ** (instance.failures - 1))
        return
    if instance.set_aside_at is None:
        instance.set_aside_at = at
        log.error("instance_set_aside", instance=instance.name, url=instance.url, failures=instance.failures)
    instance.rests_until = at + probe_after(instance.probes)


def probe_after(probes: int) -> timedelta:
    return timedelta(seconds=min(PROBE_FIRST_S * 2**probes, PROBE_MOST_S))


def probed(instance: Instance, *, answers: bool, at: datetime) -> None:
    """It was asked something small. One that answers gets one generation to prove itself with."""
    if instance.set_aside_at is None:
        return
    instance.probes += 1
    if answers:
        instance.set_aside_at, instance.rests_until = None, None
        instance.failures = FAILURES_UNTIL_SET_ASIDE - 1
        log.info("instance_taken_back", instance=instance.name, url=instance.url, probes=instance.probes)
    else:
        instance.rests_until = at + probe_after(instance.probes)


def trusted(instance: Instance) -> None:
    """It brought a generation to its end, or an admin says so: it may have work. The evidence stays."""
    instance.failures = instance.probes = 0
    instance.rests_until = instance.set_aside_at = None


def trusted_anew(instance: Instance) -> None:
    """An admin says so, also of one that is away and comes back without the pack that it had."""
    trusted(instance)
    if instance.state == Connection.AWAY.value:
        instance.pack_version = ""


def is_to_be_probed(at: datetime) -> ColumnElement[bool]:
    """Which instances are set aside, there, and have rested for long enough."""
    return (
        Instance.set_aside_at.is_not(None)
        & (Instance.state == Connection.CONNECTED.value)
        & (Instance.rests_until <= at)
        & (Instance.wanted != Wanted.REMOVED.value)
    )


def may_get_work(at: datetime) -> ColumnElement[bool]:
    """Which instances are wanted, there and trusted."""
    return is_sound() & or_(Instance.rests_until.is_(None), Instance.rests_until <= at)


def is_trusted_now(instance: Instance, *, at: datetime) -> bool:
    """The same of one instance (`may_get_work`)."""
    there = instance.state == Connection.CONNECTED.value and instance.wanted == Wanted.ACTIVE.value
    rested = instance.rests_until is None or instance.rests_until <= at
    return there and rested and instance.set_aside_at is None


def is_sound() -> ColumnElement[bool]:
    return is_met() & (Instance.wanted == Wanted.ACTIVE.value) & Instance.set_aside_at.is_(None)


def is_met() -> ColumnElement[bool]:
    """Which instances are there, whether they get work or not."""
    return (Instance.state == Connection.CONNECTED.value) & (Instance.wanted != Wanted.REMOVED.value)
