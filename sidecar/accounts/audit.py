"""
Who did what to whom, from where and when.

An entry is written in the transaction that does what it tells of, so there is never one without the other. Nothing
changes or deletes one: the database itself refuses to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from msgspec import Struct
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.accounts.callers import Caller
from sidecar.accounts.models import AuditEntry, User
from sidecar.cursors import decode_cursor, encode_cursor
from sidecar.database import Database
from sidecar.identity import now, uuid7


class Action(str, Enum):
    LOGGED_IN = "logged_in"
    LOG_IN_FAILED = "log_in_failed"
    LOGGED_OUT = "logged_out"
    SESSIONS_ENDED = "sessions_ended"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - what happened, no password
    TOKEN_MADE = "token_made"  # noqa: S105
    TOKEN_REVOKED = "token_revoked"  # noqa: S105
    INVITE_MADE = "invite_made"
    INVITE_TAKEN_BACK = "invite_taken_back"
    ACCOUNT_MADE = "account_made"
    ACCOUNT_CHANGED = "account_changed"
    ACCOUNT_DISABLED = "account_disabled"
    ACCOUNT_ENABLED = "account_enabled"
    ACCOUNT_DELETED = "account_deleted"
    PLAN_MADE = "plan_made"
    PLAN_CHANGED = "plan_changed"
    PLAN_DELETED = "plan_deleted"
    OVERRIDE_MADE = "override_made"
    OVERRIDE_TAKEN_BACK = "override_taken_back"
    GROUP_MADE = "group_made"
    GROUP_CHANGED = "group_changed"
    GROUP_DELETED = "group_deleted"
    GROUP_JOINED = "group_joined"
    GROUP_LEFT = "group_left"
    RULES_CHANGED = "rules_changed"
    REVIEWED = "reviewed"
    QUEUE_PAUSED = "queue_paused"
    QUEUE_RESUMED = "queue_resumed"
    REFUSED = "refused"


@dataclass(frozen=True)
class Actor:
    """Who does something, and from where."""

    user_id: UUID | None
    name: str
    address: str

    @classmethod
    def of(cls, caller: Caller, address: str) -> Actor:
        return cls(caller.user_id, caller.name, address)

    @classmethod
    def being(cls, user: User, address: str) -> Actor:
        """Somebody of whom it has just turned out who it is."""
        return cls(user.id, user.name, address)


COMMAND_LINE = Actor(None, "command line", "")
"""Whoever sits at the machine itself."""


def nobody(address: str) -> Actor:
    """Somebody of whom only the address is known."""
    return Actor(None, "", address)


def note(session: AsyncSession, action: Action, actor: Actor, subject_id: UUID | None = None, **details: Any) -> None:
    """
    Write down, in the caller's transaction, that this was done.

    Args:
        details: JSON; never a secret.
    """
    entry = AuditEntry(
        id=uuid7(),
        at=now(),
        action=action.value,
        actor_id=actor.user_id,
        actor_name=actor.name,
        subject_id=subject_id,
        address=actor.address,
        details=details,
    )
    session.add(entry)


@dataclass(frozen=True)
class Wanted:
    """Which entries; all that is said holds."""

    action: Action | None = None
    user_id: UUID | None = None
    """Whoever did it, or whom it was done to."""
    since: datetime | None = None
    until: datetime | None = None


class Position(Struct):
    """Where a page ended."""

    id: UUID


class Audit:
    """Tells what was noted. One a process."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, action: Action, actor: Actor, subject_id: UUID | None = None, **details: Any) -> None:
        """Write down something that changed nothing, such as a refusal."""
        async with self._database.writing() as session:
            note(session, action, actor, subject_id, **details)

    async def note_refusals(self, refused: Sequence[tuple[Actor, Mapping[str, Any]]]) -> None:
        """Write down what somebody else has refused, all of it or nothing."""
        async with self._database.writing() as session:
            for actor, details in refused:
                note(session, Action.REFUSED, actor, **details)

    async def page(self, wanted: Wanted, *, limit: int, cursor: str | None) -> tuple[list[AuditEntry], str | None]:
        """Newest first; with the cursor of the next page, if there is one."""
        query = matching(wanted).order_by(AuditEntry.id.desc()).limit(limit + 1)
        if cursor is not None:
            query = query.where(AuditEntry.id < decode_cursor(cursor, Position).id)
        async with self._database.reading() as session:
            found = list(await session.scalars(query))
        more = len(found) > limit
        return found[:limit], encode_cursor(Position(found[limit - 1].id)) if more else None


def matching(wanted: Wanted) -> Select[tuple[AuditEntry]]:
    query = select(AuditEntry)
    if wanted.action is not None:
        query = query.where(AuditEntry.action == wanted.action.value)
    if wanted.user_id is not None:
        query = query.where((AuditEntry.actor_id == wanted.user_id) | (AuditEntry.subject_id == wanted.user_id))
    if wanted.since is not None:
        query = query.where(AuditEntry.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(AuditEntry.at < wanted.until)
    return query
