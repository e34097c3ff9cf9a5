"""Groups: people who share a budget, such as a class or a project."""

from __future__ import annotations

from uuid import UUID

import msgspec
import structlog
from msgspec import Struct
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.accounts import people
from sidecar.accounts.audit import Action, Actor, note
from sidecar.accounts.models import User
from sidecar.accounts.names import comparable, readable
from sidecar.cursors import decode_cursor, encode_cursor
from sidecar.database import Database
from sidecar.errors import NameTaken, NotFound
from sidecar.identity import now, uuid7
from sidecar.limits.models import Group, GroupMember
from sidecar.limits.plans import Budget, Plans, changed
from sidecar.limits.schemas import GroupPage, GroupPatch, GroupView, MemberPage, MemberView, NewGroup, named

log = structlog.get_logger(__name__)


class AfterName(Struct):
    """Where a page ended."""

    comparable_name: str


class Groups:
    """One a process."""

    def __init__(self, database: Database, plans: Plans) -> None:
        self._database = database
        self._plans = plans

    async def page(self, *, limit: int, cursor: str | None) -> GroupPage:
        """By name."""
        counted = select(func.count()).where(GroupMember.group_id == Group.id).scalar_subquery()
        query = select(Group, counted).order_by(Group.comparable_name).limit(limit + 1)
        if cursor is not None:
            query = query.where(Group.comparable_name > decode_cursor(cursor, AfterName).comparable_name)
        async with self._database.reading() as session:
            found = (await session.execute(query)).tuples().all()
        next_cursor = encode_cursor(AfterName(found[limit - 1][0].comparable_name)) if len(found) > limit else None
        return GroupPage([to_view(group, members or 0) for group, members in found[:limit]], next_cursor)

    async def show(self, group_id: UUID) -> GroupView:
        """
        Raises:
            NotFound: There is none with this id.
        """
        async with self._database.reading() as session:
            return to_view(await by_id(session, group_id), await count_members(session, group_id))

    async def find(self, name: str) -> Group:
        """
        Raises:
            NotFound: None is called that.
        """
        async with self._database.reading() as session:
            found = await by_name(session, name)
        if found is None:
            raise NotFound(f"There is no group called {name}. genonaut group list shows them all.")
        return found

    async def make(self, wanted: NewGroup, actor: Actor) -> GroupView:
        """
        Raises:
            InvalidRequest: Nothing can be called that.
            NameTaken: A group is.
        """
        at = now()
        group = Group(id=uuid7(), limits=given(named(wanted.limits)), created_at=at, updated_at=at)
        async with self._database.writing() as session:
            await rename(session, group, wanted.name)
            session.add(group)
            note(session, Action.GROUP_MADE, actor, group=str(group.id), name=group.name, limits=group.limits)
            await changed(session)
        log.info("group_made", group=group.name)
        return to_view(group, 0)

    async def change(self, group_id: UUID, patch: GroupPatch, actor: Actor) -> GroupView:
        """
        It holds at once for all of them.

        Raises:
            NotFound: There is none with this id.
            InvalidRequest: Nothing can be called that.
            NameTaken: Another one is.
        """
        async with self._database.writing() as session:
            group = await by_id(session, group_id)
            if isinstance(patch.name, str):
                await rename(session, group, patch.name)
            group.limits = given(group.limits | named(patch.limits))
            group.updated_at = now()
            note(session, Action.GROUP_CHANGED, actor, group=str(group_id), name=group.name, limits=group.limits)
            await changed(session)
            members = await count_members(session, group_id)
        log.info("group_changed", group=group.name, limits=group.limits)
        self._plans.tell()
        return to_view(group, members)

    async def delete(self, group_id: UUID, actor: Actor) -> None:
        """
        Its members stay who they are.

        Raises:
            NotFound: There is none with this id.
        """
        async with self._database.writing() as session:
            group = await by_id(session, group_id)
            note(session, Action.GROUP_DELETED, actor, group=str(group_id), name=group.name, limits=group.limits)
            await session.delete(group)
            await changed(session)
        log.info("group_deleted", group=group.name)
        self._plans.tell()

    async def members(self, group_id: UUID, *, limit: int, cursor: str | None) -> MemberPage:
        """
        By name.

        Raises:
            NotFound: There is none with this id.
        """
        query = select(User).join(GroupMember, GroupMember.user_id == User.id).where(GroupMember.group_id == group_id)
        if cursor is not None:
            query = query.where(User.comparable_name > decode_cursor(cursor, AfterName).comparable_name)
        async with self._database.reading() as session:
            await by_id(session, group_id)
            found = list(await session.scalars(query.order_by(User.comparable_name).limit(limit + 1)))
        next_cursor = encode_cursor(AfterName(found[limit - 1].comparable_name)) if len(found) > limit else None
        return MemberPage([MemberView(user.id, user.name) for user in found[:limit]], next_cursor)

    async def add(self, group_id: UUID, user_id: UUID, actor: Actor) -> None:
        """
        What they make from now on counts for the group, too. Whoever is in it already, stays in it.

        Raises:
            NotFound: There is no such group, or nobody with this id.
        """
        async with self._database.writing() as session:
            group = await by_id(session, group_id)
            await people.by_id(session, user_id)
            if await session.scalar(select(GroupMember).where(is_member(group_id, user_id))) is None:
                session.add(GroupMember(group_id=group_id, user_id=user_id))
                note(session, Action.GROUP_JOINED, actor, user_id, group=str(group_id), name=group.name)
                await changed(session)
        self._plans.tell(user_id)

    async def remove(self, group_id: UUID, user_id: UUID, actor: Actor) -> None:
        """
        Raises:
            NotFound: There is no such group, or they are not in it.
        """
        async with self._database.writing() as session:
            group = await by_id(session, group_id)
            member = await session.scalar(select(GroupMember).where(is_member(group_id, user_id)))
            if member is None:
                raise NotFound("This person is not in this group.")
            await session.delete(member)
            note(session, Action.GROUP_LEFT, actor, user_id, group=str(group_id), name=group.name)
            await changed(session)
        self._plans.tell()  # whatever of theirs waits for the group's budget leaves it to others


async def by_id(session: AsyncSession, group_id: UUID) -> Group:
    found = await session.get(Group, group_id)
    if found is None:
        raise NotFound("There is no group with this id.")
    return found


async def by_name(session: AsyncSession, name: str) -> Group | None:
    found: Group | None = await session.scalar(select(Group).where(Group.comparable_name == comparable(name)))
    return found


async def rename(session: AsyncSession, group: Group, name: str) -> None:
    name = readable(name)
    known = await by_name(session, name)
    if known is not None and known.id != group.id:
        raise NameTaken("A group is called that already, or nearly so.")
    group.name, group.comparable_name = name, comparable(name)


async def count_members(session: AsyncSession, group_id: UUID) -> int:
    return await session.scalar(select(func.count()).where(GroupMember.group_id == group_id)) or 0


def is_member(group_id: UUID, user_id: UUID) -> ColumnElement[bool]:
    return (GroupMember.group_id == group_id) & (GroupMember.user_id == user_id)


def given(limits: dict[str, int | None]) -> dict[str, int]:
    """Those that there are."""
    return {name: value for name, value in limits.items() if value is not None}


def to_view(group: Group, members: int) -> GroupView:
    limits = msgspec.convert(group.limits, Budget)
    return GroupView(group.id, group.name, limits, members, group.created_at, group.updated_at)
