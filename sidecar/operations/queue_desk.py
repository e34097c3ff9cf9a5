"""What an admin sees of the whole queue, and does with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog
from msgspec import UNSET
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.accounts.audit import Action, Actor, note
from sidecar.database import Database
from sidecar.errors import InvalidRequest
from sidecar.generations.in_flight import count_in_flight
from sidecar.generations.models import Generation, is_pending
from sidecar.generations.pausing import pause, pause_of, resume
from sidecar.operations.schemas import QueuePatch, QueueView

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class QueueDesk:
    """One a process."""

    database: Database
    changed: Callable[[], None]
    """Somebody's turn may have come, or nobody's comes any more."""

    async def show(self) -> QueueView:
        async with self.database.reading() as session:
            return await to_view(session)

    async def change(self, patch: QueuePatch, actor: Actor) -> QueueView:
        """
        When this returns with the queue paused, nothing more goes.

        Raises:
            InvalidRequest: A reason for which nothing is paused.
        """
        async with self.database.writing() as session:
            found = await pause_of(session)
            paused = patch.paused if patch.paused is not UNSET else found is not None
            if not paused and patch.reason not in (UNSET, ""):
                raise InvalidRequest("A reason says why the queue is paused. Send `paused: true` with it.")
            if paused:
                before = "" if found is None else found.reason
                await pause(session, before if patch.reason is UNSET else patch.reason.strip())
            else:
                await resume(session)
            await session.flush()
            view = await to_view(session)
            note(session, Action.QUEUE_PAUSED if paused else Action.QUEUE_RESUMED, actor, reason=view.reason)
        log.info("queue_paused" if paused else "queue_resumed", reason=view.reason, by=actor.name)
        self.changed()
        return view


async def to_view(session: AsyncSession) -> QueueView:
    found = await pause_of(session)
    return QueueView(
        paused=found is not None,
        reason="" if found is None else found.reason,
        since=None if found is None else found.since,
        waiting=await session.scalar(select(func.count()).select_from(Generation).where(is_pending())) or 0,
        in_flight=sum((await count_in_flight(session)).values()),
    )
