"""API tokens: what a program shows instead of a log-in. Told once, named, scoped, good for a while or until revoked."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.accounts.audit import Action, Actor, note
from sidecar.accounts.callers import SCOPES_OF, Role, Scope
from sidecar.accounts.changes import Changes, touch
from sidecar.accounts.models import ApiToken, User
from sidecar.accounts.random_secrets import hash_of, new_token
from sidecar.database import Database
from sidecar.errors import InvalidRequest, MembersOnly, NotFound
from sidecar.identity import now, uuid7

USED_WITHIN = timedelta(minutes=1)
TOKENS_AT_MOST = 100


class Tokens:
    """One a process."""

    def __init__(self, database: Database, changes: Changes) -> None:
        self._database = database
        self._changes = changes

    async def make(
        self, user_id: UUID, name: str, scopes: frozenset[Scope], expires_at: datetime | None, actor: Actor
    ) -> tuple[ApiToken, str]:
        """
        Make one; with its secret, which nobody can read anywhere afterwards.

        Raises:
            MembersOnly: They have none.
            InvalidRequest: It would be for more than its owner may, for nothing, or too many.
        """
        async with self._database.writing() as session:
            user = await session.get(User, user_id)
            if user is None:
                raise NotFound("There is nobody with this id.")
            await check(session, user, scopes, expires_at)
            secret = new_token()
            made = ApiToken(
                id=uuid7(),
                user_id=user_id,
                name=name,
                secret_hash=hash_of(secret),
                scopes=sorted(scope.value for scope in scopes),
                created_at=now(),
                expires_at=expires_at,
            )
            session.add(made)
            note(session, Action.TOKEN_MADE, actor, user_id, name=name, scopes=made.scopes)
        return made, secret

    async def list(self, user_id: UUID) -> list[ApiToken]:
        """The latest first, those that have expired, too."""
        query = select(ApiToken).where(ApiToken.user_id == user_id).order_by(ApiToken.id.desc())
        async with self._database.reading() as session:
            return list(await session.scalars(query))

    async def revoke(self, user_id: UUID, token_id: UUID, actor: Actor) -> None:
        """
        Raises:
            NotFound: It is not this person's.
        """
        async with self._database.writing() as session:
            known = await session.get(ApiToken, token_id)
            if known is None or known.user_id != user_id:
                raise NotFound("There is no token with this id.")
            await session.delete(known)
            touch(user := await session.get_one(User, user_id))
            note(session, Action.TOKEN_REVOKED, actor, user_id, name=known.name)
        self._changes.tell(user)

    async def used(self, token_id: UUID) -> None:
        """Somebody has just shown it."""
        async with self._database.writing() as session:
            known = await session.get(ApiToken, token_id)
            if known is not None:
                known.used_at = now()


def is_valid(at: datetime) -> ColumnElement[bool]:
    return or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > at)


async def check(session: AsyncSession, user: User, scopes: frozenset[Scope], expires_at: datetime | None) -> None:
    role = Role(user.role)
    if role is Role.GUEST:
        raise MembersOnly("Guests have no API tokens. Ask an administrator to be made a member.")
    if not scopes or not scopes <= SCOPES_OF[role]:
        allowed = ", ".join(sorted(scope.value for scope in SCOPES_OF[role]))
        raise InvalidRequest(f"A token is for some of what its owner may: {allowed}.")
    if expires_at is not None and expires_at <= now():
        raise InvalidRequest("This token would have expired already.")
    there = await session.scalar(select(func.count()).where(ApiToken.user_id == user.id)) or 0
    if there >= TOKENS_AT_MOST:
        raise InvalidRequest(f"There are {TOKENS_AT_MOST} tokens already. Revoke one that is not needed any more.")


async def revoke_all(session: AsyncSession, user_id: UUID) -> None:
    """In the caller's transaction."""
    await session.execute(delete(ApiToken).where(ApiToken.user_id == user_id))
