"""Sessions: a browser's log-in, which ends after a while without a request, and in any case after a longer one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.accounts.audit import Action, Actor, note
from sidecar.accounts.changes import Changes, touch
from sidecar.accounts.models import ADDRESS_CHARACTERS, User, UserSession
from sidecar.accounts.random_secrets import hash_of, new_secret
from sidecar.database import Database
from sidecar.errors import NotFound
from sidecar.identity import now, uuid7
from sidecar.settings import Settings

USER_AGENT_CHARACTERS = 200
SEEN_WITHIN = timedelta(minutes=1)


class Sessions:
    """One a process."""

    def __init__(self, database: Database, changes: Changes, settings: Settings) -> None:
        self._database = database
        self._changes = changes
        self.idle = timedelta(seconds=settings.session_idle_s)
        self.at_most = timedelta(seconds=settings.session_at_most_s)

    def begin(self, session: AsyncSession, user: User, *, address: str, user_agent: str) -> tuple[UserSession, str]:
        """Begin one in the caller's transaction; with its secret, which nobody can read anywhere afterwards."""
        secret, at = new_secret(), now()
        begun = UserSession(
            id=uuid7(),
            user_id=user.id,
            secret_hash=hash_of(secret),
            address=address[:ADDRESS_CHARACTERS],
            user_agent=user_agent[:USER_AGENT_CHARACTERS],
            created_at=at,
            seen_at=at,
            ends_at=at + self.at_most,
        )
        session.add(begun)
        return begun, secret

    def is_valid(self, at: datetime) -> ColumnElement[bool]:
        return and_(UserSession.ends_at > at, UserSession.seen_at > at - self.idle)

    async def seen(self, session_id: UUID) -> None:
        """Somebody has just used it."""
        async with self._database.writing() as session:
            known = await session.get(UserSession, session_id)
            if known is not None:
                known.seen_at = now()

    async def list(self, user_id: UUID) -> list[UserSession]:
        """Those that have not ended, the latest first."""
        query = select(UserSession).where(UserSession.user_id == user_id, self.is_valid(now()))
        async with self._database.reading() as session:
            return list(await session.scalars(query.order_by(UserSession.seen_at.desc())))

    async def end(self, user_id: UUID, session_id: UUID, actor: Actor, *, logs_out: bool = False) -> None:
        """
        Raises:
            NotFound: It is not this person's.
        """
        async with self._database.writing() as session:
            known = await session.get(UserSession, session_id)
            if known is None or known.user_id != user_id:
                raise NotFound("There is no session with this id.")
            await session.delete(known)
            touch(user := await session.get_one(User, user_id))
            note(session, Action.LOGGED_OUT if logs_out else Action.SESSIONS_ENDED, actor, user_id)
        self._changes.tell(user)

    async def end_all(self, user_id: UUID, actor: Actor, *, but: UUID | None = None) -> None:
        """
        Args:
            but: Leave this one.
        """
        async with self._database.writing() as session:
            await end_all(session, user_id, but=but)
            touch(user := await session.get_one(User, user_id))
            note(session, Action.SESSIONS_ENDED, actor, user_id)
        self._changes.tell(user)

    async def forget_ended(self, _context: Any) -> None:
        """A job on a clock."""
        at = now()
        over = (UserSession.ends_at <= at) | (UserSession.seen_at <= at - self.idle)
        async with self._database.writing() as session:
            await session.execute(delete(UserSession).where(over))


async def end_all(session: AsyncSession, user_id: UUID, *, but: UUID | None = None) -> None:
    """In the caller's transaction."""
    theirs = UserSession.user_id == user_id
    await session.execute(delete(UserSession).where(theirs if but is None else and_(theirs, UserSession.id != but)))
