"""HTTP for administrators: everybody's accounts, invites, and the audit."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.status_codes import HTTP_204_NO_CONTENT
from msgspec import Struct

from sidecar.accounts.audit import Action, Actor, Audit, Wanted
from sidecar.accounts.callers import Caller, Role
from sidecar.accounts.guards import requires_admin
from sidecar.accounts.invites import Invites, Terms
from sidecar.accounts.people import Alteration, NewPerson, People
from sidecar.accounts.schemas import (
    AlteredUser,
    AuditPage,
    InviteList,
    InviteMade,
    NewInvite,
    NewPasswordOf,
    NewUser,
    SessionList,
    TokenList,
    UserPage,
    UserPatch,
    UserView,
)
from sidecar.accounts.sessions import Sessions
from sidecar.accounts.tokens import Tokens
from sidecar.accounts.views import (
    to_altered_view,
    to_audit_view,
    to_invite_view,
    to_session_view,
    to_token_view,
    to_user_view,
)
from sidecar.clients import client_of
from sidecar.cursors import decode_cursor, encode_cursor
from sidecar.identity import now

PAGE_AT_MOST = 200
INVITE_LASTS = timedelta(days=7)
INVITE_PATH = "/genonaut/login#invite="

Everybody = NamedDependency[People]
AllSessions = NamedDependency[Sessions]
AllTokens = NamedDependency[Tokens]
AllInvites = NamedDependency[Invites]
Doing = NamedDependency[Actor]
UserId = FromPath[UUID]
Limit = Annotated[int, QueryParameter(ge=1, le=PAGE_AT_MOST, description="How many at most.")]
Cursor = Annotated[str | None, QueryParameter(max_length=3000, description="`next_cursor` of the page before.")]
OfAction = Annotated[Action | None, QueryParameter(description="Only these.")]
Concerns = Annotated[UUID | None, QueryParameter(name="user_id", description="Done by this person, or to them.")]
Since = Annotated[datetime | None, QueryParameter(name="from", description="Done then or later.")]
Until = Annotated[datetime | None, QueryParameter(name="to", description="Done earlier.")]


class AfterName(Struct):
    """Where a page of people ended."""

    comparable_name: str


def actor(request: Request[Caller, Any, Any]) -> Actor:
    return Actor.of(request.user, client_of(request).address)


@get("/users")
async def list_users(people: Everybody, limit: Limit = 100, cursor: Cursor = None) -> UserPage:
    """Everybody who has an account, by name."""
    after = decode_cursor(cursor, AfterName).comparable_name if cursor else ""
    found = await people.list(limit=limit + 1, after=after)
    shown = found[:limit]
    next_cursor = encode_cursor(AfterName(shown[-1].comparable_name)) if len(found) > limit else None
    return UserPage([to_user_view(user) for user in shown], next_cursor)


@post("/users")
async def add_user(data: JSONBody[NewUser], people: Everybody, actor: Doing) -> UserView:
    """Make somebody an account."""
    person = NewPerson(data.name, Role(data.role), data.plan, data.password)
    return to_user_view(await people.add(person, actor))


@get("/users/{user_id:uuid}")
async def show_user(people: Everybody, user_id: UserId) -> UserView:
    """Somebody's account as it is now."""
    return to_user_view(await people.show(user_id))


@patch("/users/{user_id:uuid}")
async def change_user(data: JSONBody[UserPatch], people: Everybody, user_id: UserId, actor: Doing) -> AlteredUser:
    """
    Rename somebody, give them another role or plan, or disable their account.

    Whoever is disabled is out at once, in every browser and with every token; what waits of theirs is cancelled, and
    what runs is interrupted. Enabled again, they log in anew and their tokens are good again; what was cancelled stays
    so.
    """
    role = Role(data.role) if isinstance(data.role, str) else data.role
    alteration = Alteration(name=data.name, role=role, plan=data.plan, disabled=data.disabled)
    return to_altered_view(await people.change(user_id, alteration, actor))


@delete("/users/{user_id:uuid}")
async def delete_user(people: Everybody, user_id: UserId, actor: Doing) -> None:
    """Delete a disabled account to which nothing in the history belongs."""
    await people.delete(user_id, actor)


@post("/users/{user_id:uuid}/password", status_code=HTTP_204_NO_CONTENT)
async def set_password(data: JSONBody[NewPasswordOf], people: Everybody, user_id: UserId, actor: Doing) -> None:
    """Give somebody another password. All their sessions end."""
    await people.set_password(user_id, data.password, actor)


@get("/users/{user_id:uuid}/sessions")
async def list_sessions_of(people: Everybody, sessions: AllSessions, user_id: UserId) -> SessionList:
    """Where somebody is logged in."""
    await people.show(user_id)
    return SessionList([to_session_view(each) for each in await sessions.list(user_id)])


@delete("/users/{user_id:uuid}/sessions")
async def end_sessions_of(people: Everybody, sessions: AllSessions, user_id: UserId, actor: Doing) -> None:
    """Log somebody out everywhere."""
    await people.show(user_id)
    await sessions.end_all(user_id, actor)


@get("/users/{user_id:uuid}/tokens")
async def list_tokens_of(people: Everybody, tokens: AllTokens, user_id: UserId) -> TokenList:
    """Somebody's API tokens, without what they are."""
    await people.show(user_id)
    return TokenList([to_token_view(token) for token in await tokens.list(user_id)])


@delete("/users/{user_id:uuid}/tokens/{token_id:uuid}")
async def revoke_token_of(tokens: AllTokens, user_id: UserId, token_id: FromPath[UUID], actor: Doing) -> None:
    """Revoke one of somebody's API tokens."""
    await tokens.revoke(user_id, token_id, actor)


@get("/invites")
async def list_invites(invites: AllInvites) -> InviteList:
    """Invites that can still be used."""
    return InviteList([to_invite_view(invite) for invite in await invites.list()])


@post("/invites")
async def make_invite(data: JSONBody[NewInvite], invites: AllInvites, people: Everybody, actor: Doing) -> InviteMade:
    """Make an invite. Its code is in the answer, and nowhere else afterwards."""
    expires_at = data.expires_at or now() + INVITE_LASTS
    terms = Terms(Role(data.role), data.plan or people.default_plan, data.uses, expires_at)
    invite, code = await invites.make(terms, actor)
    return InviteMade(to_invite_view(invite), code, INVITE_PATH + code)


@delete("/invites/{invite_id:uuid}")
async def take_back_invite(invites: AllInvites, invite_id: FromPath[UUID], actor: Doing) -> None:
    """Take an invite back. Accounts that were made with it stay."""
    await invites.take_back(invite_id, actor)


@get("/audit")
async def read_audit(
    audit: NamedDependency[Audit],
    action: OfAction = None,
    user_id: Concerns = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> AuditPage:
    """Who did what to whom, from where and when; newest first."""
    found, next_cursor = await audit.page(Wanted(action, user_id, since, until), limit=limit, cursor=cursor)
    return AuditPage([to_audit_view(entry) for entry in found], next_cursor)


ROUTES: list[Any] = [
    Router(
        "/admin",
        route_handlers=[
            list_users,
            add_user,
            show_user,
            change_user,
            delete_user,
            set_password,
            list_sessions_of,
            end_sessions_of,
            list_tokens_of,
            revoke_token_of,
            list_invites,
            make_invite,
            take_back_invite,
            read_audit,
        ],
        guards=[requires_admin],
    )
]
