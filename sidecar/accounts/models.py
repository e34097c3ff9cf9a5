"""What is stored of people, and of how they show who they are. Of secrets only hashes are."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from sidecar.database import GUID, Base, DateTimeUTC

LOCAL_OWNER_ID = UUID("00000000-0000-7000-8000-000000000001")
"""Whose everything is in `open` access. The first migration writes this row; the first administrator takes it over."""

NAME_CHARACTERS = 100
HASH_BYTES = 32  # SHA-256
ADDRESS_CHARACTERS = 45  # the longest way to write an IPv6 address


class User(Base):
    """A person; in `open` access only the local owner."""

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(GUID, primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_CHARACTERS))
    comparable_name: Mapped[str] = mapped_column(String(3 * NAME_CHARACTERS), unique=True)
    """By which a name is found, however somebody writes it (`names.py`)."""
    role: Mapped[str] = mapped_column(String(16))
    plan: Mapped[str] = mapped_column(String(60), ForeignKey("plans.name"), index=True)
    password_hash: Mapped[str | None] = mapped_column(String(200))
    """Argon2's own text. None: nobody can log in with a password."""
    disabled_at: Mapped[datetime | None] = mapped_column(DateTimeUTC(timezone=True))
    credentials_changed_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True), index=True)
    """When anything last changed that says whether this person is let in, and as what (`changes.py`)."""
    created_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))


class UserSession(Base):
    """A browser's log-in. Gone when it has ended."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(GUID, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(GUID, ForeignKey("users.id"), index=True)
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(HASH_BYTES), unique=True)
    address: Mapped[str] = mapped_column(String(ADDRESS_CHARACTERS))
    user_agent: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))
    seen_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))
    """To within a minute, so that requests that only read do not write."""
    ends_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True), index=True)
    """At the latest."""


class ApiToken(Base):
    """What a program shows instead of a log-in. Gone when it is revoked."""

    __tablename__ = "api_tokens"

    id: Mapped[UUID] = mapped_column(GUID, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(GUID, ForeignKey("users.id"), index=True)
    name: Mapped[str] = mapped_column(String(NAME_CHARACTERS))
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(HASH_BYTES), unique=True)
    scopes: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))
    expires_at: Mapped[datetime | None] = mapped_column(DateTimeUTC(timezone=True))
    used_at: Mapped[datetime | None] = mapped_column(DateTimeUTC(timezone=True))
    """To within a minute, like `UserSession.seen_at`."""


class Invite(Base):
    """Lets somebody who has its code make an account. Gone when it is used up or taken back."""

    __tablename__ = "invites"

    id: Mapped[UUID] = mapped_column(GUID, primary_key=True)
    code_hash: Mapped[bytes] = mapped_column(LargeBinary(HASH_BYTES), unique=True)
    role: Mapped[str] = mapped_column(String(16))
    plan: Mapped[str] = mapped_column(String(60))
    uses_left: Mapped[int] = mapped_column(Integer)
    expires_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))


class LogInFailures(Base):
    """
    How often in a row somebody could not show who they are: for one account, from one address, or for one account from
    an address that is known to be its owner's.
    """

    __tablename__ = "log_in_failures"

    key: Mapped[bytes] = mapped_column(LargeBinary(HASH_BYTES), primary_key=True)
    """A hash: people type passwords where names belong."""
    count: Mapped[int] = mapped_column(Integer)
    last_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True), index=True)


class KnownAddress(Base):
    """From where somebody has logged in lately."""

    __tablename__ = "known_addresses"

    key: Mapped[bytes] = mapped_column(LargeBinary(HASH_BYTES), primary_key=True)
    """A hash of name and address together, so that it is looked for in the same way whether there is such a name."""
    last_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True), index=True)


class AuditEntry(Base):
    """Who did what to whom, from where and when. The database refuses to change or delete one."""

    __tablename__ = "audit_entries"

    id: Mapped[UUID] = mapped_column(GUID, primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))
    action: Mapped[str] = mapped_column(String(40))
    actor_id: Mapped[UUID | None] = mapped_column(GUID)
    """Who; None where nobody knows. No foreign key: an entry outlives whom it names."""
    actor_name: Mapped[str] = mapped_column(String(NAME_CHARACTERS))
    """What they were called then; `command line` where somebody sat at the machine."""
    subject_id: Mapped[UUID | None] = mapped_column(GUID)
    """Whom it concerns, where that is somebody else or not known to be the same."""
    address: Mapped[str] = mapped_column(String(ADDRESS_CHARACTERS))
    details: Mapped[dict[str, Any]] = mapped_column(JSON)

    __table_args__ = (
        Index("ix_audit_entries_actor", "actor_id", "id"),
        Index("ix_audit_entries_subject", "subject_id", "id"),
        Index("ix_audit_entries_action", "action", "id"),
    )
