"""
How much people's pictures take.

It is a sum over all of them: looked up anew whenever somebody asks, as long as that is quick; of who has very many it
is remembered for as long as it takes to look up, many times over.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from uuid import UUID

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.gallery.models import Image

LOOKING_IS_ONE_IN = 100
REMEMBERED_AT_MOST_S = 30.0
REMEMBERED_AT_MOST = 10_000

BYTES = select(func.sum(Image.bytes)).where(Image.owner_id.in_(bindparam("owners", expanding=True)))


class Stored:
    """Remembers what took long to find. One a process."""

    def __init__(self) -> None:
        self._known: dict[UUID, tuple[int, float]] = {}

    async def bytes_of(self, session: AsyncSession, account_id: UUID, owner_ids: Collection[UUID]) -> int:
        """
        What these people's pictures take together.

        Args:
            account_id: By which it is remembered: a person's id, or a group's.
        """
        at = time.monotonic()
        found, until = self._known.get(account_id, (0, 0.0))
        if until > at:
            return found
        found = int(await session.scalar(BYTES, {"owners": list(owner_ids)}) or 0)
        looked_up_at = time.monotonic()
        if len(self._known) > REMEMBERED_AT_MOST:
            self._known.clear()
        for_s = min((looked_up_at - at) * LOOKING_IS_ONE_IN, REMEMBERED_AT_MOST_S)
        self._known[account_id] = found, looked_up_at + for_s
        return found
