"""How people, sessions, tokens and invites look from outside (sidecar/README.md, "Who is asking")."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from sidecar.accounts.models import ADDRESS_CHARACTERS, NAME_CHARACTERS
from sidecar.accounts.passwords import LONGEST, SHORTEST

RoleName = Literal["admin", "member", "guest"]
ScopeName = Literal["read", "submit", "admin"]
AccessName = Literal["open", "accounts", "proxy"]

Name = Annotated[str, Meta(min_length=1, max_length=NAME_CHARACTERS)]
Plan = Annotated[str, Meta(min_length=1, max_length=60, description="Which limits hold for this person.")]
Secret = Annotated[str, Meta(max_length=4 * LONGEST)]
NewPassword = Annotated[
    str,
    Meta(
        max_length=4 * LONGEST,
        description=f"{SHORTEST} to {LONGEST} characters, whichever; none of those that others would try first.",
    ),
]
TokenName = Annotated[str, Meta(min_length=1, max_length=NAME_CHARACTERS, description="What it is for.")]
Uses = Annotated[int, Meta(ge=1, le=1000, description="How many people may make an account with it.")]


class LogInRequest(Struct, forbid_unknown_fields=True):
    """Who somebody is, and how that is known."""

    name: Secret
    password: Secret


class Me(Struct):
    """Who is asking."""

    id: UUID
    name: str
    role: RoleName
    plan: str
    scopes: list[ScopeName]
    access: AccessName
    session_id: UUID | None
    """None where it is not a session that says so."""


class PasswordChange(Struct, forbid_unknown_fields=True):
    """The password that holds, and the one that shall."""

    current: Secret
    new: NewPassword


class NewPasswordOf(Struct, forbid_unknown_fields=True):
    """What somebody shall log in with from now on."""

    password: NewPassword


class SessionView(Struct):
    """A browser in which somebody is logged in."""

    id: UUID
    is_current: bool
    address: str
    user_agent: str
    created_at: datetime
    seen_at: datetime
    ends_at: datetime


class SessionList(Struct):
    """The latest first."""

    items: list[SessionView]


class NewToken(Struct, forbid_unknown_fields=True):
    """What a program shall be able to show."""

    name: TokenName
    scopes: Annotated[list[ScopeName], Meta(min_length=1, max_length=3)]
    expires_at: datetime | None = None
    """None: it is good until it is revoked."""


class TokenView(Struct):
    """A token, without what it is."""

    id: UUID
    name: str
    scopes: list[ScopeName]
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None


class TokenList(Struct):
    """The latest first."""

    items: list[TokenView]


class TokenMade(Struct):
    """A new token. Its secret is told here and nowhere else, ever."""

    token: TokenView
    secret: str


class InviteTerms(Struct):
    """What an invite is for, as whoever holds it may know."""

    role: RoleName
    expires_at: datetime


class InviteCode(Struct, forbid_unknown_fields=True):
    """What whoever was invited has: what stands behind `#invite=` in the link."""

    code: Secret


class Acceptance(Struct, forbid_unknown_fields=True):
    """Who wants to have an account, with the code of an invite."""

    code: Secret
    name: Name
    password: NewPassword


class FirstAcceptance(Struct, forbid_unknown_fields=True):
    """Who wants to be the first administrator, with the secret of the link in the log."""

    secret: Secret
    name: Name
    password: NewPassword


class UserView(Struct):
    """Somebody's account."""

    id: UUID
    name: str
    role: RoleName
    plan: str
    disabled: bool
    has_password: bool
    created_at: datetime


class AlteredUser(UserView):
    """Somebody's account, with what became of their work if it has just been disabled."""

    cancelled: int
    """So many of their generations waited, and are cancelled."""
    interrupted: int
    """So many were with a ComfyUI already, and are being taken out of it."""


class UserPage(Struct):
    """By name."""

    items: list[UserView]
    next_cursor: str | None


class NewUser(Struct, forbid_unknown_fields=True):
    """Who shall have an account."""

    name: Name
    role: RoleName = "member"
    plan: Plan | None = None
    """None: that of new accounts (`GENONAUT_DEFAULT_PLAN`); of the first administrator `unlimited`."""
    password: NewPassword | None = None
    """None: nobody can log in with one."""


class UserPatch(Struct, forbid_unknown_fields=True):
    """What shall be different; what is left out stays as it is."""

    name: Name | UnsetType = UNSET
    role: RoleName | UnsetType = UNSET
    plan: Plan | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class NewInvite(Struct, forbid_unknown_fields=True):
    """Whom an invite is for."""

    role: RoleName = "member"
    plan: Plan | None = None
    """None: that of new accounts (`GENONAUT_DEFAULT_PLAN`)."""
    uses: Uses = 1
    expires_at: datetime | None = None
    """None: in seven days."""


class InviteView(Struct):
    """An invite, without its code."""

    id: UUID
    role: RoleName
    plan: str
    uses_left: int
    expires_at: datetime
    created_at: datetime


class InviteList(Struct):
    """The latest first."""

    items: list[InviteView]


class InviteMade(Struct):
    """A new invite. Its code is told here and nowhere else, ever."""

    invite: InviteView
    code: str
    path: str
    """Below ComfyUI's address: where its holder makes an account."""


class AuditView(Struct):
    """Who did what to whom, from where and when."""

    id: UUID
    at: datetime
    action: str
    actor_id: UUID | None
    actor_name: str
    subject_id: UUID | None
    address: str
    details: dict[str, Any]


class AuditPage(Struct):
    """Newest first."""

    items: list[AuditView]
    next_cursor: str | None


class AccessView(Struct):
    """For the pack: who is let in."""

    access: AccessName
    needs_first_administrator: bool


class ShownCredentials(Struct):
    """From the pack: what a request to ComfyUI shows of who is asking, and how it came."""

    address: str
    scheme: Literal["http", "https"] = "http"
    """What whoever has that address speaks."""
    forwarded_proto: str | None = None
    cookies: dict[str, str] = {}
    """Those that may be a session's."""
    authorization: str | None = None
    token: str | None = None
    forwarded_user: str | None = None


class ToldRefusal(Struct):
    """From the pack: somebody who was refused something of ComfyUI's."""

    code: Annotated[str, Meta(max_length=60)]
    at: float
    """When, in unix seconds."""
    method: Annotated[str, Meta(max_length=20)]
    route: Annotated[str, Meta(max_length=200)]
    address: Annotated[str, Meta(max_length=ADDRESS_CHARACTERS)]
    user_id: UUID | None = None
    name: Annotated[str, Meta(max_length=NAME_CHARACTERS)] = ""
    forwarded_for: str | None = None


class ToldRefusals(Struct):
    """Some of them, and how many are not among them."""

    refusals: Annotated[list[ToldRefusal], Meta(max_length=100)]
    untold: Annotated[int, Meta(ge=0)] = 0


class CallerView(Struct):
    """For the pack: who is asking."""

    user_id: UUID
    name: str
    role: RoleName
    scopes: list[ScopeName]
    session_id: UUID | None
    valid_for_s: float
