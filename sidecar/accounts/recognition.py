"""
Whose credentials are these?

Asked at every request, so it costs at most one query, and for a few seconds none: who was recognised is remembered,
until `changes.py` says that something about them is different.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from sidecar.accounts import people, tokens
from sidecar.accounts.audit import nobody
from sidecar.accounts.callers import LOCAL_OWNER, SCOPES_OF, Caller, Role, Scope, to_caller
from sidecar.accounts.credentials import ByProxy, Credentials, Password, Session, Shown, Token
from sidecar.accounts.log_in import LogIn
from sidecar.accounts.models import ApiToken, User, UserSession
from sidecar.accounts.names import comparable
from sidecar.accounts.people import NewPerson
from sidecar.accounts.random_secrets import hash_of
from sidecar.accounts.sessions import SEEN_WITHIN, Sessions
from sidecar.accounts.tokens import USED_WITHIN, Tokens
from sidecar.database import Database
from sidecar.errors import AccountDisabled, CredentialsInvalid, NotLoggedIn
from sidecar.identity import now
from sidecar.settings import Access, Settings

REMEMBERED_FOR_S = 5.0
REMEMBERED_AT_MOST = 10_000
CHANGES_KEPT_FOR_S = 600.0

USER = (User.id, User.name, User.role, User.disabled_at)


@dataclass
class Memory:
    """Who was recognised lately, by a hash of what they showed."""

    callers: OrderedDict[bytes, tuple[Caller, float]] = field(default_factory=OrderedDict)

    def recall(self, key: bytes) -> Caller | None:
        caller, until = self.callers.get(key, (None, 0.0))
        return caller if time.monotonic() < until else None

    def keep(self, key: bytes, caller: Caller) -> None:
        self.callers.pop(key, None)
        self.callers[key] = caller, time.monotonic() + REMEMBERED_FOR_S
        if len(self.callers) > REMEMBERED_AT_MOST:
            self.callers.popitem(last=False)

    def forget(self, user_id: UUID) -> None:
        for key in [key for key, (caller, _until) in self.callers.items() if caller.user_id == user_id]:
            del self.callers[key]


class Recognition:
    """Finds out who is asking. One a process."""

    def __init__(
        self, database: Database, settings: Settings, log_in: LogIn, sessions: Sessions, tokens: Tokens
    ) -> None:
        self._database = database
        self._access = settings.access
        self._new_role = Role(settings.proxy_role)
        self._new_plan = settings.default_plan
        self._log_in = log_in
        self._sessions = sessions
        self._tokens = tokens
        self._memory = Memory()
        self._asking: dict[bytes, asyncio.Task[Caller]] = {}
        self._changed: dict[UUID, float] = {}

    async def caller_of(self, credentials: Credentials) -> Caller:
        """
        Raises:
            NotLoggedIn: They say nothing of who is asking.
            CredentialsInvalid: They are nobody's, or not any more.
            AccountDisabled: They are of somebody who is not let in.
            TooManyAttempts: They are a password, and too many were tried.
        """
        if self._access is Access.OPEN:
            return LOCAL_OWNER
        shown = credentials.shown(self._access)
        if shown is None:
            raise NotLoggedIn
        key = key_of(shown, credentials.address)
        return self._memory.recall(key) or await self._ask_once(key, shown, credentials.address)

    async def owner(self, user_id: UUID | None) -> UUID:
        """
        Whose is what the pack hands over in this person's name?

        Raises:
            AccountDisabled: There is no such person, or not any more.
        """
        if self._access is Access.OPEN:
            return LOCAL_OWNER.user_id
        async with self._database.reading() as session:
            known = await session.get(User, user_id) if user_id else None
        if known is None or known.disabled_at is not None:
            raise AccountDisabled
        return known.id

    def forget(self, user_id: UUID) -> None:
        """Something about this person is different: whoever asks from now on hears what is so now."""
        self._memory.forget(user_id)
        self._asking.clear()  # who waits for these answers gets them; who asks from now on does not
        at = time.monotonic()
        self._changed = {known: moment for known, moment in self._changed.items() if moment > at - CHANGES_KEPT_FOR_S}
        self._changed[user_id] = at

    def has_changed(self, user_id: UUID, *, since: float) -> bool:
        """Is something about this person different from what it was at that moment (`time.monotonic`)?"""
        return self._changed.get(user_id, 0.0) >= since

    async def _ask_once(self, key: bytes, shown: Shown, address: str) -> Caller:
        """A page asks for dozens of things at once: what it shows is looked up once."""
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._ask(key, shown, address))
            asking.add_done_callback(lambda done: done.cancelled() or done.exception())
        # Whoever waits may go away; the others still want to know.
        return await asyncio.shield(asking)

    async def _ask(self, key: bytes, shown: Shown, address: str) -> Caller:
        began = time.monotonic()
        this = asyncio.current_task()
        try:
            caller = await self._look_up(shown, address)
            if not self.has_changed(caller.user_id, since=began):
                self._memory.keep(key, caller)
            return caller
        finally:
            if self._asking.get(key) is this:
                del self._asking[key]

    async def _look_up(self, shown: Shown, address: str) -> Caller:
        if isinstance(shown, Session):
            return await self._of_session(shown)
        if isinstance(shown, Token):
            return await self._of_token(shown)
        if isinstance(shown, ByProxy):
            return await self._of_proxy(shown, address)
        return await self._of_password(shown, address)

    async def _of_session(self, shown: Session) -> Caller:
        at = now()
        columns = (*USER, UserSession.id.label("session_id"), UserSession.seen_at)
        query = select(*columns).join(UserSession, UserSession.user_id == User.id)
        row = await self._row(
            query.where(UserSession.secret_hash == hash_of(shown.secret), self._sessions.is_valid(at))
        )
        if row.seen_at <= at - SEEN_WITHIN:
            await self._sessions.seen(row.session_id)
        return Caller(row.id, row.name, Role(row.role), SCOPES_OF[Role(row.role)], session_id=row.session_id)

    async def _of_token(self, shown: Token) -> Caller:
        at = now()
        columns = (*USER, ApiToken.id.label("token_id"), ApiToken.scopes, ApiToken.used_at)
        query = select(*columns).join(ApiToken, ApiToken.user_id == User.id)
        row = await self._row(
            query.where(ApiToken.secret_hash == hash_of(shown.secret), tokens.is_valid(at), people.is_person())
        )
        role = Role(row.role)
        is_somebody_elses = shown.name is not None and comparable(shown.name) != comparable(row.name)
        if is_somebody_elses or role is Role.GUEST:
            raise CredentialsInvalid
        if row.used_at is None or row.used_at <= at - USED_WITHIN:
            await self._tokens.used(row.token_id)
        scopes = SCOPES_OF[role] & {Scope(scope) for scope in row.scopes}
        return Caller(row.id, row.name, role, scopes, token_id=row.token_id)

    async def _of_password(self, shown: Password, address: str) -> Caller:
        user = await self._log_in.whose_again(shown.name, shown.password, address=address)
        return to_caller(user)

    async def _of_proxy(self, shown: ByProxy, address: str) -> Caller:
        """Somebody of whom nobody has heard before gets an account: the proxy has let them in."""
        async with self._database.reading() as session:
            user = await people.by_name(session, shown.name)
        if user is None:
            async with self._database.writing() as session:
                user = await people.by_name(session, shown.name) or await people.add(
                    session, NewPerson(shown.name, self._new_role, self._new_plan), None, nobody(address)
                )
        if user.disabled_at is not None:
            raise AccountDisabled
        return to_caller(user)

    async def _row(self, query: Select[Any]) -> Any:
        async with self._database.reading() as session:
            row = (await session.execute(query)).one_or_none()
        if row is None:
            raise CredentialsInvalid
        if row.disabled_at is not None:
            raise AccountDisabled
        return row


def key_of(shown: Shown, address: str) -> bytes:
    """
    By which it is remembered who that was.

    Of a password with the address: whoever has to wait before the next guess must not find out that one is right
    because its owner has just shown it.
    """
    where = address if isinstance(shown, Password) else ""
    return hashlib.sha256(repr((shown, where)).encode("utf-8", "surrogatepass")).digest()
