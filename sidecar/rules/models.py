"""What is stored of rules, and of whom they concerned."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Boolean, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from sidecar.database import GUID, Base, DateTimeUTC

PLAN_CHARACTERS = 60
RULE_CHARACTERS = 100
FIELD_CHARACTERS = 200
HASH_BYTES = 32  # SHA-256


class Rule(Base):
    """What may not be asked for, or shall be looked at."""

    __tablename__ = "rules"

    id: Mapped[UUID] = mapped_column(GUID, primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))
    """`content` or `graph`."""
    name: Mapped[str] = mapped_column(String(RULE_CHARACTERS))
    """What people are told when it concerns them."""
    plan: Mapped[str | None] = mapped_column(String(PLAN_CHARACTERS))
    """Whom it is for; None: everybody. No foreign key: a rule for a plan that is gone concerns nobody."""
    definition: Mapped[dict[str, Any]] = mapped_column(JSON)
    """A `ContentDefinition` or a `GraphDefinition`."""
    action: Mapped[str] = mapped_column(String(8))
    """`refuse`, `flag` (its images are looked at before anybody sees them) or `log`."""
    level: Mapped[str] = mapped_column(String(8))
    """From which sensitivity of a plan on it concerns somebody; of content rules alone."""
    is_active: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))


class RuleHit(Base):
    """A rule concerned a submission. It outlives both, so it has no foreign keys."""

    __tablename__ = "rule_hits"

    id: Mapped[UUID] = mapped_column(GUID, primary_key=True)
    rule_id: Mapped[UUID | None] = mapped_column(GUID)
    """None: it was the moderation service."""
    rule_name: Mapped[str] = mapped_column(String(RULE_CHARACTERS))
    """What it was called then."""
    user_id: Mapped[UUID] = mapped_column(GUID)
    """Who asked."""
    generation_id: Mapped[UUID | None] = mapped_column(GUID)
    """None where it was refused."""
    action: Mapped[str] = mapped_column(String(8))
    level: Mapped[str | None] = mapped_column(String(8))
    code: Mapped[str] = mapped_column(String(40))
    field: Mapped[str] = mapped_column(String(FIELD_CHARACTERS))
    """`<node>.<input>` where it stands; empty where the whole workflow is meant."""
    text_hash: Mapped[bytes | None] = mapped_column(LargeBinary(HASH_BYTES))
    """By which the same text is known again; None where no text is meant."""
    text: Mapped[str | None] = mapped_column(Text)
    """Only where `GENONAUT_KEEP_RULE_TEXTS` says so."""
    at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))

    __table_args__ = (
        Index("ix_rule_hits_user", "user_id", "id"),
        Index("ix_rule_hits_rule", "rule_id", "id"),
        Index("ix_rule_hits_at", "at"),
    )
