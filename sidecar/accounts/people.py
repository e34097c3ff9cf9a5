"""Accounts: made, changed, disabled, deleted. There is always an administrator left who can log in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from uuid import UUID

import structlog
from msgspec import UNSET, UnsetType
from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.accounts import passwords as rules
from sidecar.accounts.audit import Action, Actor, note
from sidecar.accounts.callers import Role
from sidecar.accounts.changes import Changes, touch
from sidecar.accounts.models import LOCAL_OWNER_ID, User
from sidecar.accounts.names import comparable, readable
from sidecar.accounts.passwords import Passwords
from sidecar.accounts.plan_names import require_plan
from sidecar.accounts.sessions import end_all
from sidecar.accounts.tokens import revoke_all
from sidecar.database import Database
from sidecar.errors import LastAdministrator, NameTaken, NotFound, StillEnabled, StillOwner
from sidecar.identity import now, uuid7
from sidecar.settings import Settings

FIRST_PLAN = "unlimited"
"""What the first administrator has: nobody is held up by limits that they have not looked at yet."""

LOCAL_NAME = "LOCAL"
"""
The comparable name of the local owner, as the first migration writes it: in capitals, which no name that somebody says
has when it is compared. Whoever a proxy calls `local` must not become the administrator that the local owner is.
"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class NewPerson:
    """Who shall have an account."""

    name: str
    role: Role = Role.MEMBER
    plan: str | None = None
    """None: that of new accounts; of the first administrator `unlimited`."""
    password: str | None = None
    """None: nobody can log in with one."""


@dataclass(frozen=True)
class Alteration:
    """What shall be different of an account."""

    name: str | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    plan: str | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


@dataclass(frozen=True)
class Stopped:
    """What was to be made for somebody when their account was disabled."""

    cancelled: int = 0
    """So many waited for their turn."""
    interrupted: int = 0
    """So many were with a ComfyUI already."""


@dataclass(frozen=True)
class Altered:
    """An account as it is now, and what became of its owner's work."""

    user: User
    stopped: Stopped


class People:
    """
    One a process.

    Args:
        owns_anything: Does the history hold something of this person?
        stop_all: Have nothing made for this person any more.
        default_plan: What a new account has where nobody says so.
    """

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        changes: Changes,
        owns_anything: Callable[[AsyncSession, UUID], Awaitable[bool]],
        stop_all: Callable[[AsyncSession, UUID], Awaitable[Stopped]],
        default_plan: str,
    ) -> None:
        self.default_plan = default_plan
        self._database = database
        self._passwords = passwords
        self._changes = changes
        self._owns_anything = owns_anything
        self._stop_all = stop_all

    async def find(self, name: str) -> User:
        """
        Raises:
            NotFound: Nobody is called that.
        """
        async with self._database.reading() as session:
            known = await by_name(session, name)
        if known is None:
            raise NotFound("There is nobody of this name.")
        return known

    async def show(self, user_id: UUID) -> User:
        """
        Raises:
            NotFound: There is nobody with this id.
        """
        async with self._database.reading() as session:
            return await by_id(session, user_id)

    async def list(self, *, limit: int | None = None, after: str = "") -> list[User]:
        """
        By name.

        Args:
            after: The comparable name of the last one of the page before.
        """
        query = select(User).where(User.comparable_name > after, is_person()).order_by(User.comparable_name)
        async with self._database.reading() as session:
            return list(await session.scalars(query.limit(limit)))

    async def add(self, person: NewPerson, actor: Actor) -> User:
        """
        Raises:
            InvalidRequest: Nobody can be called that.
            NameTaken: Somebody is.
            PlanUnknown: There is none of this name.
            PasswordUnfit: It says why.
        """
        password_hash = await self.hashed(person.password, name=person.name)
        async with self._database.writing() as session:
            return await add(session, person, password_hash, actor, default_plan=self.default_plan)

    async def hashed(self, password: str | None, *, name: str) -> str | None:
        if password is None:
            return None
        rules.check(password, name=name)
        return await self._passwords.hash(password)

    async def change(self, user_id: UUID, alteration: Alteration, actor: Actor) -> Altered:
        """
        Whoever is disabled is logged out, and what was to be made for them is not: all of that, or nothing.

        Raises:
            NotFound: There is nobody with this id.
            NameTaken: Somebody else is called that.
            PlanUnknown: There is none of this name.
            LastAdministrator: Nobody would be left who may do this.
        """
        async with self._database.writing() as session:
            user = await by_id(session, user_id)
            was_last = await is_last_administrator(session, user)
            if isinstance(alteration.name, str):
                await rename(session, user, alteration.name)
            if isinstance(alteration.plan, str):
                await require_plan(session, alteration.plan)
                user.plan = alteration.plan
            if isinstance(alteration.role, Role):
                user.role = alteration.role.value
            stopped = Stopped()
            if alteration.disabled is True and user.disabled_at is None:
                stopped = await self._stop_all(session, user.id)
                await disable(session, user, stopped, actor)
            elif alteration.disabled is False and user.disabled_at is not None:
                user.disabled_at = None
                note(session, Action.ACCOUNT_ENABLED, actor, user_id)
            if was_last and (user.role != Role.ADMIN.value or user.disabled_at is not None):
                raise LastAdministrator
            touch(user)
            told = {name: getattr(user, name) for name in ("name", "role", "plan")}
            note(session, Action.ACCOUNT_CHANGED, actor, user_id, **told)
        log.info("account_changed", user_id=str(user_id), role=user.role, disabled=user.disabled_at is not None)
        self._changes.tell(user)
        return Altered(user, stopped)

    async def set_password(self, user_id: UUID, password: str, actor: Actor, *, but: UUID | None = None) -> None:
        """
        Whoever was logged in with the old one is logged out. Their tokens stay: they have nothing to do with it.

        Args:
            but: The session in which it is being changed.

        Raises:
            NotFound: There is nobody with this id.
            PasswordUnfit: It says why.
        """
        name = (await self.show(user_id)).name
        password_hash = await self.hashed(password, name=name)
        async with self._database.writing() as session:
            user = await by_id(session, user_id)
            user.password_hash = password_hash
            await end_all(session, user_id, but=but)
            touch(user)
            note(session, Action.PASSWORD_CHANGED, actor, user_id)
        self._changes.tell(user)

    async def delete(self, user_id: UUID, actor: Actor) -> None:
        """
        Raises:
            NotFound: There is nobody with this id.
            StillEnabled: Disable it first, so that nothing new comes while it goes.
            StillOwner: The history holds something of theirs.
        """
        async with self._database.writing() as session:
            user = await by_id(session, user_id)
            if user.disabled_at is None:
                raise StillEnabled
            if user_id == LOCAL_OWNER_ID or await self._owns_anything(session, user_id):
                raise StillOwner
            await end_all(session, user_id)
            await revoke_all(session, user_id)
            touch(user)
            note(session, Action.ACCOUNT_DELETED, actor, user_id, name=user.name)
            await session.delete(user)
        log.info("account_deleted", user_id=str(user_id))
        self._changes.tell(user)


async def by_name(session: AsyncSession, name: str) -> User | None:
    known: User | None = await session.scalar(select(User).where(User.comparable_name == comparable(name)))
    return known


async def by_id(session: AsyncSession, user_id: UUID) -> User:
    known = await session.get(User, user_id)
    if known is None:
        raise NotFound("There is nobody with this id.")
    return known


async def add(
    session: AsyncSession,
    person: NewPerson,
    password_hash: str | None,
    actor: Actor,
    *,
    default_plan: str = Settings.default_plan,
) -> User:
    """
    In the caller's transaction.

    The first administrator becomes the local owner, and so has what was made before there were accounts.

    Args:
        actor: Without a name where people make their own account.
    """
    is_first = person.role is Role.ADMIN and not await has_administrator(session)
    plan = person.plan or (FIRST_PLAN if is_first else default_plan)
    await require_plan(session, plan)
    user = await by_id(session, LOCAL_OWNER_ID) if is_first else new_user()
    if is_first:
        touch(user)
        await revoke_all(session, LOCAL_OWNER_ID)  # in `open` access whoever reached this machine could make some
    user.role, user.plan, user.password_hash = person.role.value, plan, password_hash
    await rename(session, user, person.name)
    session.add(user)
    by = actor if actor.name else Actor.being(user, actor.address)
    note(session, Action.ACCOUNT_MADE, by, user.id, name=user.name, role=user.role)
    await session.flush()
    log.info("account_made", user_id=str(user.id), role=user.role)
    return user


def new_user() -> User:
    at = now()
    return User(id=uuid7(), created_at=at, credentials_changed_at=at)


async def rename(session: AsyncSession, user: User, name: str) -> None:
    name = readable(name)
    with session.no_autoflush:  # a new one is not complete yet
        known = await by_name(session, name)
    if known is not None and known.id != user.id:
        raise NameTaken
    user.name, user.comparable_name = name, comparable(name)


async def disable(session: AsyncSession, user: User, stopped: Stopped, actor: Actor) -> None:
    """Whatever they are logged in with ends for good; tokens only rest, since programs cannot log in again."""
    user.disabled_at = now()
    note(session, Action.ACCOUNT_DISABLED, actor, user.id, **asdict(stopped))
    await end_all(session, user.id)


async def has_administrator(session: AsyncSession) -> bool:
    """Has there ever been one?"""
    return await count(session, is_administrator()) > 0


def is_administrator() -> ColumnElement[bool]:
    return and_(User.role == Role.ADMIN.value, is_person())


def is_person() -> ColumnElement[bool]:
    """Anybody but the local owner whom nobody has taken over yet."""
    is_taken_over = or_(User.password_hash.is_not(None), User.comparable_name != LOCAL_NAME)
    return or_(User.id != LOCAL_OWNER_ID, is_taken_over)


async def is_last_administrator(session: AsyncSession, user: User) -> bool:
    """Would nobody be left who can administrate, without this one?"""
    others = and_(is_administrator(), User.disabled_at.is_(None), User.id != user.id)
    is_one = user.role == Role.ADMIN.value and user.disabled_at is None
    return is_one and await count(session, others) == 0


async def count(session: AsyncSession, which: ColumnElement[bool]) -> int:
    return await session.scalar(select(func.count()).select_from(User).where(which)) or 0
