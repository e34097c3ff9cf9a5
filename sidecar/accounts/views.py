"""What is stored, as it is shown."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import msgspec.structs

from sidecar.accounts.models import ApiToken, AuditEntry, Invite, User, UserSession
from sidecar.accounts.people import Altered
from sidecar.accounts.schemas import AlteredUser, AuditView, InviteView, SessionView, TokenView, UserView

View = TypeVar("View", bound=msgspec.Struct)


def to_user_view(user: User) -> UserView:
    return copied(user, UserView, disabled=user.disabled_at is not None, has_password=user.password_hash is not None)


def to_altered_view(altered: Altered) -> AlteredUser:
    return AlteredUser(**msgspec.structs.asdict(to_user_view(altered.user)), **dataclasses.asdict(altered.stopped))


def to_session_view(known: UserSession, *, current: UUID | None = None) -> SessionView:
    return copied(known, SessionView, is_current=known.id == current)


def to_token_view(token: ApiToken) -> TokenView:
    return copied(token, TokenView)


def to_invite_view(invite: Invite) -> InviteView:
    return copied(invite, InviteView)


def to_audit_view(entry: AuditEntry) -> AuditView:
    return copied(entry, AuditView)


def copied(row: Any, kind: type[View], **told: Any) -> View:
    """A view whose fields are those of the row, but for those that are told here."""
    return kind(**{name: getattr(row, name) for name in kind.__struct_fields__ if name not in told}, **told)
