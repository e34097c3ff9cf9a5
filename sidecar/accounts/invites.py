"""Invites: links with which a number of people may make themselves an account of a certain role, for a while."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, or_, select

from sidecar.accounts import people
from sidecar.accounts.audit import Action, Actor, nobody, note
from sidecar.accounts.callers import Role
from sidecar.accounts.models import Invite, User
from sidecar.accounts.people import NewPerson, People
from sidecar.accounts.plan_names import require_plan
from sidecar.accounts.random_secrets import hash_of, new_secret
from sidecar.database import Database
from sidecar.errors import InvalidRequest, InviteUnknown, NotFound
from sidecar.identity import now, uuid7


@dataclass(frozen=True)
class Terms:
    """What an invite is for."""

    role: Role
    plan: str
    uses: int
    expires_at: datetime


class Invites:
    """One a process."""

    def __init__(self, database: Database, people: People) -> None:
        self._database = database
        self._people = people

    async def make(self, terms: Terms, actor: Actor) -> tuple[Invite, str]:
        """
        Make one; with its code, which nobody can read anywhere afterwards.

        Raises:
            InvalidRequest: It would be over already.
            PlanUnknown: There is none of this name.
        """
        if terms.expires_at <= now():
            raise InvalidRequest("This invite would be over already.")
        code = new_secret()
        made = Invite(
            id=uuid7(),
            code_hash=hash_of(code),
            role=terms.role.value,
            plan=terms.plan,
            uses_left=terms.uses,
            expires_at=terms.expires_at,
            created_at=now(),
        )
        async with self._database.writing() as session:
            await require_plan(session, made.plan)
            session.add(made)
            note(session, Action.INVITE_MADE, actor, role=made.role, uses=terms.uses)
        return made, code

    async def list(self) -> list[Invite]:
        """Those that can still be used, the latest first."""
        async with self._database.reading() as session:
            return list(await session.scalars(select(Invite).where(is_valid()).order_by(Invite.id.desc())))

    async def show(self, code: str) -> Invite:
        """
        Raises:
            InviteUnknown: There is none with this code, or it is over.
        """
        async with self._database.reading() as session:
            return known(await session.scalar(with_code(code)))

    async def take_back(self, invite_id: UUID, actor: Actor) -> None:
        """
        Raises:
            NotFound: There is none with this id.
        """
        async with self._database.writing() as session:
            found = await session.get(Invite, invite_id)
            if found is None:
                raise NotFound("There is no invite with this id.")
            await session.delete(found)
            note(session, Action.INVITE_TAKEN_BACK, actor, role=found.role)

    async def accept(self, code: str, name: str, password: str, *, address: str) -> User:
        """
        Make an account with it. Exactly as many as it is for, however many try in the same moment.

        Raises:
            InviteUnknown: There is none with this code, or it is over.
            NameTaken: Somebody is called that; the invite can still be used.
            PasswordUnfit: It says why.
        """
        await self.show(code)  # hashing passwords is work that nobody gets for nothing
        password_hash = await self._people.hashed(password, name=name)
        async with self._database.writing() as session:
            found = known(await session.scalar(with_code(code)))
            person = NewPerson(name, Role(found.role), found.plan)
            user = await people.add(session, person, password_hash, nobody(address))
            found.uses_left -= 1
        return user

    async def forget_old(self, _context: Any) -> None:
        """A job on a clock."""
        async with self._database.writing() as session:
            await session.execute(delete(Invite).where(or_(Invite.expires_at <= now(), Invite.uses_left <= 0)))


def is_valid() -> ColumnElement[bool]:
    return and_(Invite.expires_at > now(), Invite.uses_left > 0)


def with_code(code: str) -> Any:
    return select(Invite).where(Invite.code_hash == hash_of(code), is_valid())


def known(invite: Invite | None) -> Invite:
    if invite is None:
        raise InviteUnknown
    return invite
