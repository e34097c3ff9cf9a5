"""What is stored of plans, of what holds for one person instead, and of groups."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from sidecar.database import GUID, Base, DateTimeUTC

PLAN_CHARACTERS = 60
TITLE_CHARACTERS = 100
REASON_CHARACTERS = 400


class Plan(Base):
    """A bundle of limits that people have by its name. None in a limit's column: there is no such limit."""

    __tablename__ = "plans"

    name: Mapped[str] = mapped_column(String(PLAN_CHARACTERS), primary_key=True)
    title: Mapped[str] = mapped_column(String(TITLE_CHARACTERS))
    """What people read."""
    generations_per_hour: Mapped[int | None] = mapped_column(Integer)
    generations_per_day: Mapped[int | None] = mapped_column(Integer)
    gpu_seconds_per_day: Mapped[int | None] = mapped_column(Integer)
    running_at_once: Mapped[int | None] = mapped_column(Integer)
    waiting_at_most: Mapped[int | None] = mapped_column(Integer)
    pixels_at_most: Mapped[int | None] = mapped_column(Integer)
    batch_at_most: Mapped[int | None] = mapped_column(Integer)
    steps_at_most: Mapped[int | None] = mapped_column(Integer)
    frames_at_most: Mapped[int | None] = mapped_column(Integer)
    storage_bytes: Mapped[int | None] = mapped_column(BigInteger)
    weight: Mapped[float] = mapped_column(Float)
    """Of the share of turns: who has twice the weight gets twice the time while both have something waiting."""
    over_limit: Mapped[str] = mapped_column(String(8))
    """`reject` or `wait`: what becomes of a submission that goes beyond a window's limit."""
    sensitivity: Mapped[str] = mapped_column(String(8))
    """Which content rules concern them: `off` none, `low` those of this level, ... `high` all."""
    updated_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))


class PlanOverride(Base):
    """Limits that one person has instead of their plan's, until a moment or until they are taken back."""

    __tablename__ = "plan_overrides"

    id: Mapped[UUID] = mapped_column(GUID, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(GUID, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    limits: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Those that are different, by name; null: there is no such limit. Where two name the same, the later one holds."""
    expires_at: Mapped[datetime | None] = mapped_column(DateTimeUTC(timezone=True), index=True)
    reason: Mapped[str] = mapped_column(String(REASON_CHARACTERS))
    created_by: Mapped[UUID | None] = mapped_column(GUID)
    """Who made it; None at the command line. No foreign key: it outlives them."""
    created_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))


class Group(Base):
    """People who share a budget, such as a class or a project, beside what each of them has."""

    __tablename__ = "groups"

    id: Mapped[UUID] = mapped_column(GUID, primary_key=True)
    name: Mapped[str] = mapped_column(String(TITLE_CHARACTERS))
    comparable_name: Mapped[str] = mapped_column(String(3 * TITLE_CHARACTERS), unique=True)
    """By which it is found, however somebody writes it."""
    limits: Mapped[dict[str, Any]] = mapped_column(JSON)
    """What all of them may use together, by name (`plans.Budget`)."""
    created_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))


class GroupMember(Base):
    """Somebody is in a group; people may be in several."""

    __tablename__ = "group_members"

    group_id: Mapped[UUID] = mapped_column(GUID, ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(
        GUID, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True
    )
