"""Who is asking, and what that person may."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from sidecar.accounts.models import LOCAL_OWNER_ID, User


class Role(str, Enum):
    ADMIN = "admin"  #: may change what concerns everybody
    MEMBER = "member"  #: sees and touches what is theirs
    GUEST = "guest"  #: the same, without tokens, uploads, saved workflows and settings


class Scope(str, Enum):
    READ = "read"  #: look at what is theirs
    SUBMIT = "submit"  #: make and change what is theirs
    ADMIN = "admin"  #: what administrators may


SCOPES_OF = {
    Role.ADMIN: frozenset(Scope),
    Role.MEMBER: frozenset({Scope.READ, Scope.SUBMIT}),
    Role.GUEST: frozenset({Scope.READ, Scope.SUBMIT}),
}
"""What a role allows; a token may be made for less."""


@dataclass(frozen=True)
class Caller:
    """A person who asks, by a log-in, by a token, or in `open` access by being there."""

    user_id: UUID
    name: str
    role: Role
    scopes: frozenset[Scope]
    session_id: UUID | None = None
    token_id: UUID | None = None

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes

    @property
    def is_admin(self) -> bool:
        """An administrator, with credentials that are good for it."""
        return self.role is Role.ADMIN and self.may(Scope.ADMIN)


LOCAL_OWNER = Caller(LOCAL_OWNER_ID, "local", Role.ADMIN, SCOPES_OF[Role.ADMIN])
"""Who everybody is in `open` access."""


def to_caller(user: User, *, session_id: UUID | None = None) -> Caller:
    """Somebody who may do whatever their role allows."""
    role = Role(user.role)
    return Caller(user.id, user.name, role, SCOPES_OF[role], session_id=session_id)
