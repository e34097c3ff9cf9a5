"""What one person waits for, in the order in which they will have it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, and_, true, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.generations.models import Generation, is_pending
from sidecar.generations.turns import OWN_ORDER

IN_TURN: tuple[Any, ...] = (*OWN_ORDER, Generation.id)


class Turn(msgspec.Struct, array_like=True):
    """Where a page ended."""

    priority: int
    turn: int
    id: UUID


async def in_turn(
    session: AsyncSession, what: Select[Any], people: Collection[UUID], after: Turn | None, limit: int
) -> Sequence[Any]:
    """
    So many of somebody's that wait, after the one where a page ended.

    Args:
        what: What to read of them.
        people: Whoever waits, by all their ids.
    """
    found: list[Any] = []
    for condition in conditions(after):
        if len(found) < limit:
            query = what.where(is_pending(), Generation.person_id.in_(people), condition)
            found += (await session.execute(query.order_by(*IN_TURN).limit(limit - len(found)))).all()
    return found


def conditions(after: Turn | None) -> Sequence[ColumnElement[bool]]:
    """One after the other, each of which an index can follow: together it would be read from its beginning."""
    if after is None:
        return (true(),)
    same = and_(Generation.priority == after.priority, tuple_(Generation.turn, Generation.id) > (after.turn, after.id))
    return (same, Generation.priority < after.priority)
