"""HTTP for people: log in and out, one's own password, sessions and tokens, and how one comes by an account."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Request, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED, HTTP_204_NO_CONTENT
from msgspec import Struct

from sidecar.accounts.audit import Actor
from sidecar.accounts.authentication import PUBLIC
from sidecar.accounts.callers import Caller, Role, Scope
from sidecar.accounts.cookies import SessionCookies
from sidecar.accounts.first_administrator import FirstAdministrator
from sidecar.accounts.guards import requires_log_in, requires_member, requires_read, requires_submit
from sidecar.accounts.invites import Invites
from sidecar.accounts.log_in import LogIn
from sidecar.accounts.models import User
from sidecar.accounts.passwords import check
from sidecar.accounts.people import People
from sidecar.accounts.schemas import (
    Acceptance,
    FirstAcceptance,
    InviteCode,
    InviteTerms,
    LogInRequest,
    Me,
    NewToken,
    PasswordChange,
    SessionList,
    TokenList,
    TokenMade,
)
from sidecar.accounts.sessions import Sessions
from sidecar.accounts.tokens import Tokens
from sidecar.accounts.views import to_session_view, to_token_view
from sidecar.clients import client_of
from sidecar.errors import NoLogIn
from sidecar.settings import Access

AnyRequest = Request[Caller, Any, Any]
Asking = NamedDependency[Caller]


class FrontDoor(Struct, frozen=True):
    """What all ways in have in common."""

    access: Access
    open_plan: str
    """Which limits hold for everybody where nobody logs in."""
    log_in: LogIn
    cookies: SessionCookies

    def check(self) -> None:
        """
        Raises:
            NoLogIn: Nobody logs in here.
        """
        if self.access is Access.OPEN:
            raise NoLogIn
        if self.access is Access.PROXY:
            raise NoLogIn("Nobody logs in here: the reverse proxy in front says who is asking.")

    async def let_in(self, request: AnyRequest, user: User) -> Response[Me]:
        user_agent = request.headers.get("user-agent", "")
        caller, secret = await self.log_in.begin_session(
            user, address=client_of(request).address, user_agent=user_agent
        )
        answer = Response(to_me(user, caller, self.access), status_code=HTTP_201_CREATED)
        self.cookies.give(request, answer, secret)
        return answer


Door = NamedDependency[FrontDoor]


@post("/sessions", opt={PUBLIC: True})
async def log_in(data: JSONBody[LogInRequest], request: AnyRequest, front_door: Door) -> Response[Me]:
    """Log in with name and password; the session is in the cookie."""
    front_door.check()
    user = await front_door.log_in.whose(data.name, data.password, address=client_of(request).address)
    return await front_door.let_in(request, user)


@post("/first-administrator", opt={PUBLIC: True})
async def become_first_administrator(
    data: JSONBody[FirstAcceptance],
    request: AnyRequest,
    front_door: Door,
    first_administrator: NamedDependency[FirstAdministrator],
) -> Response[Me]:
    """Make oneself the first administrator, with the link that stands in the sidecar's log."""
    front_door.check()
    user = await first_administrator.make(data.secret, data.name, data.password, address=client_of(request).address)
    return await front_door.let_in(request, user)


# Codes come in bodies: an address is written into the logs of whatever stands in front.
@post("/invites/look", opt={PUBLIC: True}, status_code=HTTP_200_OK)
async def look_at_invite(data: JSONBody[InviteCode], invites: NamedDependency[Invites]) -> InviteTerms:
    """What an invite is for, while it can be used."""
    invite = await invites.show(data.code)
    return InviteTerms(role=Role(invite.role).value, expires_at=invite.expires_at)


@post("/invites/accept", opt={PUBLIC: True})
async def accept_invite(
    data: JSONBody[Acceptance], request: AnyRequest, front_door: Door, invites: NamedDependency[Invites]
) -> Response[Me]:
    """Make oneself an account with an invite."""
    front_door.check()
    user = await invites.accept(data.code, data.name, data.password, address=client_of(request).address)
    return await front_door.let_in(request, user)


@delete("/sessions/current", guards=[requires_submit])
async def log_out(
    request: AnyRequest, caller: Asking, sessions: NamedDependency[Sessions], front_door: Door
) -> Response[None]:
    """Log out. What is asked with a token or a password has no session to end."""
    if caller.session_id is not None:
        actor = Actor.of(caller, client_of(request).address)
        await sessions.end(caller.user_id, caller.session_id, actor, logs_out=True)
    answer = Response(None, status_code=HTTP_204_NO_CONTENT)
    front_door.cookies.take_away(answer)
    return answer


@get("/me", guards=[requires_read])
async def show_me(caller: Asking, people: NamedDependency[People], front_door: Door) -> Me:
    """Who is asking, and what that person may."""
    me = to_me(await people.show(caller.user_id), caller, front_door.access)
    if front_door.access is Access.OPEN:
        me.plan = front_door.open_plan
    return me


@put("/me/password", guards=[requires_submit, requires_log_in], status_code=HTTP_204_NO_CONTENT)
async def change_password(
    data: JSONBody[PasswordChange],
    request: AnyRequest,
    caller: Asking,
    people: NamedDependency[People],
    front_door: Door,
) -> None:
    """Log in with another password from now on. All other sessions end."""
    front_door.check()
    address = client_of(request).address
    user = await people.show(caller.user_id)
    check(data.new, name=user.name, field="new")
    await front_door.log_in.whose(user.name, data.current, address=address)
    await people.set_password(user.id, data.new, Actor.of(caller, address), but=caller.session_id)


@get("/me/sessions", guards=[requires_read])
async def list_sessions(caller: Asking, sessions: NamedDependency[Sessions]) -> SessionList:
    """Where I am logged in."""
    found = await sessions.list(caller.user_id)
    return SessionList([to_session_view(each, current=caller.session_id) for each in found])


@delete("/me/sessions/{session_id:uuid}", guards=[requires_submit, requires_log_in])
async def end_session(
    request: AnyRequest, caller: Asking, sessions: NamedDependency[Sessions], session_id: FromPath[UUID]
) -> None:
    """Log out in another browser."""
    await sessions.end(caller.user_id, session_id, Actor.of(caller, client_of(request).address))


@delete("/me/sessions", guards=[requires_submit, requires_log_in])
async def end_other_sessions(request: AnyRequest, caller: Asking, sessions: NamedDependency[Sessions]) -> None:
    """Log out everywhere but here."""
    await sessions.end_all(caller.user_id, Actor.of(caller, client_of(request).address), but=caller.session_id)


@get("/me/tokens", guards=[requires_read])
async def list_tokens(caller: Asking, tokens: NamedDependency[Tokens]) -> TokenList:
    """My API tokens, those that have expired, too."""
    return TokenList([to_token_view(token) for token in await tokens.list(caller.user_id)])


@post("/me/tokens", guards=[requires_submit, requires_member, requires_log_in])
async def make_token(
    data: JSONBody[NewToken], request: AnyRequest, caller: Asking, tokens: NamedDependency[Tokens]
) -> TokenMade:
    """Make an API token. Its secret is in the answer, and nowhere else afterwards."""
    scopes = frozenset(map(Scope, data.scopes))
    actor = Actor.of(caller, client_of(request).address)
    token, secret = await tokens.make(caller.user_id, data.name, scopes, data.expires_at, actor)
    return TokenMade(to_token_view(token), secret)


@delete("/me/tokens/{token_id:uuid}", guards=[requires_submit, requires_log_in])
async def revoke_token(
    request: AnyRequest, caller: Asking, tokens: NamedDependency[Tokens], token_id: FromPath[UUID]
) -> None:
    """Revoke one of my API tokens: it is good for nothing from now on."""
    await tokens.revoke(caller.user_id, token_id, Actor.of(caller, client_of(request).address))


def to_me(user: User, caller: Caller, access: Access) -> Me:
    return Me(
        id=user.id,
        name=user.name,
        role=caller.role.value,
        plan=user.plan,
        scopes=[scope.value for scope in Scope if caller.may(scope)],
        access=access.value,
        session_id=caller.session_id,
    )


ROUTES: list[Any] = [
    log_in,
    become_first_administrator,
    look_at_invite,
    accept_invite,
    log_out,
    show_me,
    change_password,
    list_sessions,
    end_session,
    end_other_sessions,
    list_tokens,
    make_token,
    revoke_token,
]
