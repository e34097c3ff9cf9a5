"""
What takes too long comes to an end, with a state, a code and a sentence of its own.

Silence counts only while an instance is there and followed: nobody hears what a ComfyUI does that is away. One that
shows life with one prompt is not silent for those that wait behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.orm import aliased

from sidecar.database import Database
from sidecar.errors import Away
from sidecar.generations.aftermath import Aftermath
from sidecar.generations.in_flight import show_life
from sidecar.generations.models import IN_FLIGHT_IN_SQL, Generation, is_in_flight, is_pending, move, prompt_id_of
from sidecar.generations.recorder import Recorders
from sidecar.generations.states import IN_FLIGHT, GenerationState
from sidecar.identity import now
from sidecar.instances.connections import Instances
from sidecar.instances.models import Connection, Instance
from sidecar.settings import Settings

ENDED_AT_ONCE = 200
UNITS = ((3600, "hour"), (60, "minute"), (1, "second"))

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Limit:
    """How long something may take, and what is said when it took longer."""

    code: str
    seconds: int
    overdue: Callable[[datetime], ColumnElement[bool]]
    """Which generations are where they are since before this time, without a sign of life."""
    sentence: str

    @property
    def message(self) -> str:
        return self.sentence.format(duration=duration(self.seconds))


def limits(settings: Settings) -> Iterator[Limit]:
    """Those that are switched on."""
    every = (
        Limit(
            "waited_too_long",
            settings.waiting_at_most_s,
            waiting_since,
            "It waited for {duration} and its turn did not come. Repeat it when less is waiting; "
            "if nothing is waiting, ask whoever runs this to look at ComfyUI.",
        ),
        Limit(
            "not_started",
            settings.starting_at_most_s,
            idle_since,
            "ComfyUI had it for {duration} and did nothing at all. Restart ComfyUI and repeat it.",
        ),
        Limit(
            "stalled",
            settings.silent_at_most_s,
            silent_since,
            "It was interrupted: ComfyUI worked on it and told nothing for {duration}. "
            "Repeat it; if that happens again, look at ComfyUI's log for what its last node does.",
        ),
    )
    return (limit for limit in every if limit.seconds)


def waiting_since(time: datetime) -> ColumnElement[bool]:
    """Held for their turn; the time for which a limit holds them back does not count."""
    return and_(
        is_pending(),
        Generation.created_at < time,
        or_(Generation.not_before.is_(None), Generation.not_before < time),
    )


def idle_since(time: datetime) -> ColumnElement[bool]:
    """In the queue of a ComfyUI that runs nothing of ours."""
    other = aliased(Generation)
    busy = exists().where(
        other.instance_id == Generation.instance_id,
        other.state.in_(IN_FLIGHT_IN_SQL),
        other.state == GenerationState.RUNNING.value,
    )
    return and_(Generation.state == GenerationState.SUBMITTED.value, quiet_since(time), ~busy)


def silent_since(time: datetime) -> ColumnElement[bool]:
    """Running, as far as anybody knows."""
    return and_(Generation.state == GenerationState.RUNNING.value, quiet_since(time))


def quiet_since(time: datetime) -> ColumnElement[bool]:
    """In flight at an instance that has been there all the time and did not say a word."""
    listening = exists().where(
        Instance.id == Generation.instance_id,
        Instance.state == Connection.CONNECTED.value,
        Instance.since < time,
    )
    moments = (Generation.submitted_at, Generation.started_at, Generation.heard_at)
    return and_(is_in_flight(), listening, *(or_(moment.is_(None), moment < time) for moment in moments))


class Timeouts:
    """Ends what takes too long. One a process."""

    def __init__(
        self, database: Database, instances: Instances, recorders: Recorders, aftermath: Aftermath, settings: Settings
    ) -> None:
        self._database = database
        self._instances = instances
        self._recorders = recorders
        self._aftermath = aftermath
        self._limits = tuple(limits(settings))

    async def end_overdue(self, _context: Any) -> None:
        """A job on a clock; safe to run at any time, in several processes at once."""
        for limit in self._limits:
            for generation_id, instance_id in await self._overdue(limit):
                await self._end(limit, generation_id, instance_id)

    async def _overdue(self, limit: Limit) -> list[tuple[UUID, UUID | None]]:
        query = (
            select(Generation.id, Generation.instance_id)
            .where(limit.overdue(now() - timedelta(seconds=limit.seconds)))
            .order_by(Generation.number)
            .limit(ENDED_AT_ONCE)
        )
        async with self._database.reading() as session:
            return [(row[0], row[1]) for row in await session.execute(query)]

    async def _end(self, limit: Limit, generation_id: UUID, instance_id: UUID | None) -> None:
        try:
            if instance_id is not None:  # it may have ended in this moment, and then that is how it ended
                await (await self._recorders.of(instance_id)).collect()
            ended = await self._fail(limit, generation_id)
            if ended is None:
                return
            log.warning("generation_timed_out", generation_id=str(generation_id), code=limit.code)
            await self._tell(generation_id)
            await self._take_out(ended, instance_id)
        except Away:
            # Failed already: what ComfyUI has of it is ended at the next look. Not yet failed: the clock comes again.
            log.info("timeout_waits_for_comfyui", generation_id=str(generation_id), code=limit.code, exc_info=True)
        except Exception:
            # A fault of ours, told in full: one must not hold up the others. The clock comes again.
            log.exception("timeout_failed", generation_id=str(generation_id), code=limit.code)

    async def _fail(self, limit: Limit, generation_id: UUID) -> Generation | None:
        """
        Write down that it failed, if it is still overdue.

        First this, then the interrupt: the journal would else call it cancelled.
        """
        overdue = limit.overdue(now() - timedelta(seconds=limit.seconds))
        async with self._database.writing() as session:
            found = await session.scalars(select(Generation).where(Generation.id == generation_id, overdue))
            generation: Generation | None = found.one_or_none()
            if generation is None:
                return None
            if GenerationState(generation.state) in IN_FLIGHT:
                await show_life(session, generation.instance_id)  # what waits behind it there is not to blame
            move(session, generation, GenerationState.FAILED, at=now(), reason=limit.code)
            generation.error_code, generation.error = limit.code, {"message": limit.message}
        return generation

    async def _take_out(self, generation: Generation, instance_id: UUID | None) -> None:
        """Out of ComfyUI's queue with it, or interrupted by its own id."""
        if instance_id is not None:
            comfyui = await self._instances.client_of(instance_id)
            await comfyui.cancel_prompt(prompt_id_of(generation))

    async def _tell(self, generation_id: UUID) -> None:
        self._aftermath.ended(generation_id)
        await self._aftermath.announce(generation_id)
        await self._aftermath.queueing.dispatch(generation_id, reason="timed-out")  # its place is free


def duration(seconds: int) -> str:
    """In the largest unit that says it exactly: 2 hours, 90 minutes, 45 seconds."""
    length, name = next(unit for unit in UNITS if seconds % unit[0] == 0)
    count = seconds // length
    return f"{count} {name}" if count == 1 else f"{count} {name}s"
