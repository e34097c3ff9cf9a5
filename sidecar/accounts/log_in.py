"""Name and password: whose are they? And the session that begins when that is known."""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict

import structlog

from sidecar.accounts.audit import Action, Actor, nobody, note
from sidecar.accounts.callers import Caller, to_caller
from sidecar.accounts.models import User
from sidecar.accounts.names import comparable
from sidecar.accounts.passwords import Passwords
from sidecar.accounts.people import by_name
from sidecar.accounts.sessions import Sessions
from sidecar.accounts.throttling import Throttle, know
from sidecar.database import Database
from sidecar.errors import AccountDisabled, PasswordWrong

KEY_BYTES = 32
FITTING_AT_MOST = 1000

log = structlog.get_logger(__name__)


class LogIn:
    """Compares names and passwords, at the pace that the throttle allows. One a process."""

    def __init__(self, database: Database, passwords: Passwords, throttle: Throttle, sessions: Sessions) -> None:
        self._database = database
        self._passwords = passwords
        self._throttle = throttle
        self._sessions = sessions
        self._key = secrets.token_bytes(KEY_BYTES)
        self._fitting: OrderedDict[bytes, str] = OrderedDict()
        """Which hash a name and a password went with, by a hash of both that is of no use outside of this process."""

    async def whose(self, name: str, password: str, *, address: str) -> User:
        """
        Raises:
            TooManyAttempts: Wait first.
            PasswordWrong: Nobody's; which of the two is wrong is not said, nor shown by how long it takes.
            AccountDisabled: Theirs, and they are not let in.
        """
        await self._throttle.take_a_try(name, address)
        async with self._database.reading() as session:
            user = await by_name(session, name)
        if not await self._passwords.fits(user.password_hash if user else None, password) or user is None:
            await self._note_failure(user, address)
            raise PasswordWrong
        await self._throttle.give_back(name, address)
        if user.disabled_at is not None:
            await self._note_failure(user, address)
            raise AccountDisabled
        return await self._with_todays_hash(user, password)

    async def whose_again(self, name: str, password: str, *, address: str) -> User:
        """
        The same for somebody who shows it at every request. What fitted fits as long as the account has the same hash:
        that is one query, and not a tenth of a second of a core for each handful of requests. From the same address
        alone: from elsewhere it may be a guess, and those are counted.

        Raises:
            TooManyAttempts, PasswordWrong, AccountDisabled: As in `whose`.
        """
        key = hmac.digest(
            self._key, f"{comparable(name)}\0{address}\0{password}".encode("utf-8", "surrogatepass"), "sha256"
        )
        if key in self._fitting:
            async with self._database.reading() as session:
                user = await by_name(session, name)
            if user is not None and user.password_hash == self._fitting[key] and user.disabled_at is None:
                return user
        user = await self.whose(name, password, address=address)
        self._fitting[key] = user.password_hash or ""
        if len(self._fitting) > FITTING_AT_MOST:
            self._fitting.popitem(last=False)
        return user

    async def begin_session(self, shown: User, *, address: str, user_agent: str) -> tuple[Caller, str]:
        """
        Log in somebody who has shown who they are; with the session's secret.

        Raises:
            AccountDisabled: They are not let in, or not any more.
            PasswordWrong: It is another one since they have shown it. That ended all their sessions; this one, too.
        """
        async with self._database.writing() as session:
            user = await session.get(User, shown.id)
            if user is None or user.disabled_at is not None:
                raise AccountDisabled
            if (
                user.credentials_changed_at != shown.credentials_changed_at
                and user.password_hash != shown.password_hash
            ):
                raise PasswordWrong
            note(session, Action.LOGGED_IN, Actor.being(user, address), user.id)
            await know(session, user.name, address)  # also of somebody who has just made the account
            begun, secret = self._sessions.begin(session, user, address=address, user_agent=user_agent)
        return to_caller(user, session_id=begun.id), secret

    async def _note_failure(self, user: User | None, address: str) -> None:
        """The name is not written down: people type passwords where it belongs."""
        async with self._database.writing() as session:
            note(session, Action.LOG_IN_FAILED, nobody(address), user.id if user else None)
        log.info("log_in_failed", user_id=str(user.id) if user else None, address=address)

    async def _with_todays_hash(self, user: User, password: str) -> User:
        known = user.password_hash
        if known is None or not self._passwords.is_outdated(known):
            return user
        renewed = await self._passwords.hash(password)
        async with self._database.writing() as session:
            stored = await session.get(User, user.id)
            if stored is not None and stored.password_hash == known:  # it may have been changed meanwhile
                stored.password_hash = user.password_hash = renewed
        return user
