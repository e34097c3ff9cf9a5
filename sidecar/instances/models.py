"""What is stored of an instance."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, Boolean, Float, ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from sidecar.database import GUID, Base, DateTimeUTC

REASON_LENGTH = 400
VERSION_LENGTH = 60


class Wanted(str, Enum):
    """What an admin wants of an instance."""

    ACTIVE = "active"  #: it gets work
    DRAINING = "draining"  #: it finishes what it has; then it is paused
    PAUSED = "paused"  #: it gets nothing
    REMOVED = "removed"  #: it is no instance of ours any more; the history still knows where things ran


class Connection(str, Enum):
    """Whether an instance is there."""

    CONNECTED = "connected"  #: it is followed, and what is written here is in line with it
    AWAY = "away"  #: it does not answer; `reason` says what was seen


class Instance(Base):
    """
    One ComfyUI.

    Whoever follows it writes down here how it is, and whoever dispatches reads it: they may be two processes.
    """

    __tablename__ = "instances"

    id: Mapped[UUID] = mapped_column(GUID, primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    url: Mapped[str] = mapped_column(String(400), unique=True)
    wanted: Mapped[str] = mapped_column(String(16), default=Wanted.ACTIVE.value)
    from_settings: Mapped[bool] = mapped_column(Boolean, default=False)
    """`GENONAUT_COMFYUI_URL` names it: it comes and goes with that setting."""

    state: Mapped[str] = mapped_column(String(16), default=Connection.AWAY.value)
    since: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))
    """When it came to be connected or away."""
    reason: Mapped[str] = mapped_column(String(REASON_LENGTH), default="")

    comfyui_version: Mapped[str] = mapped_column(String(VERSION_LENGTH), default="")
    pack_version: Mapped[str] = mapped_column(String(VERSION_LENGTH), default="")
    """Empty: it has no pack."""
    devices: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    """As `/system_stats` tells them."""
    directories: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    """Its output, temp and input folders, as the pack names them."""
    checkpoint: Mapped[str] = mapped_column(String(400), default="")
    """The last one that was sent there: probably the one that it has loaded."""

    virtual_time: Mapped[int] = mapped_column(BigInteger, default=0)
    """How far the turns that were taken there have come (`generations/fair_shares.py`)."""

    failures: Mapped[int] = mapped_column(Integer, default=0)
    """How often in a row it failed."""
    evidence: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    """The latest failures, newest first: `at`, `code`, `reason`, `generation_id`."""
    rests_until: Mapped[datetime | None] = mapped_column(DateTimeUTC(timezone=True), default=None)
    """It failed, and gets nothing before; one that is set aside is probed then."""
    set_aside_at: Mapped[datetime | None] = mapped_column(DateTimeUTC(timezone=True), default=None)
    probes: Mapped[int] = mapped_column(Integer, default=0)
    """How often it was probed since it last worked: each time the next one is put off for longer."""

    created_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))


class Pace(Base):
    """How long generations take on an instance (`limits/paces.py`), learned in the transaction that records them."""

    __tablename__ = "paces"

    instance_id: Mapped[UUID] = mapped_column(GUID, ForeignKey("instances.id"), primary_key=True)
    checkpoint: Mapped[str] = mapped_column(String(400), primary_key=True)
    samples: Mapped[list[list[float]]] = mapped_column(JSON)
    """The latest ones, each as its work and its seconds. What follows from them is the rest, for those who read it."""
    count: Mapped[int] = mapped_column(Integer)
    base_s: Mapped[float] = mapped_column(Float)
    s_per_work: Mapped[float] = mapped_column(Float)
    low: Mapped[float] = mapped_column(Float)
    high: Mapped[float] = mapped_column(Float)
    least: Mapped[float] = mapped_column(Float)
    most: Mapped[float] = mapped_column(Float)
