"""
What really happened, written down once.

The journal of outcomes is the truth; events are hints that it has grown. Everything here may run twice and may be
killed between any two lines: an outcome and the position in the journal are committed together, and only what is
committed is confirmed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import update
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.cluster.leadership import Leadership
from sidecar.comfyui.client import ComfyUIClient
from sidecar.comfyui.outcomes import Accepted, Entry, Finished, Look, News, Started, Unreadable, read_entry
from sidecar.database import Database, table_of
from sidecar.errors import Away
from sidecar.generations.aftermath import Aftermath
from sidecar.generations.in_flight import believed_in_flight
from sidecar.generations.models import Generation, JournalPosition, prompt_id_of
from sidecar.generations.postings import Postings
from sidecar.generations.reconciling import Reconciling
from sidecar.generations.recording import record_accepted, record_finished, record_started
from sidecar.generations.turn_giving import TurnGiver
from sidecar.identity import generation_id_of
from sidecar.instances.connections import Instances

ENTRIES_AT_ONCE = 50  # a journal that grew for a day must not hold the database for a minute

log = structlog.get_logger(__name__)


class Recorder:
    """Brings what is written here into line with one instance. One an instance and process."""

    def __init__(
        self,
        database: Database,
        leadership: Leadership,
        instance_id: UUID,
        comfyui: ComfyUIClient,
        turns: TurnGiver,
        postings: Postings,
        aftermath: Aftermath,
    ) -> None:
        self._database = database
        self._leadership = leadership
        self._turns = turns
        self._instance_id = instance_id
        self._comfyui = comfyui
        self._postings = postings
        self._aftermath = aftermath
        self._reconciling = Reconciling(leadership, instance_id, comfyui, aftermath)
        self._journal = ""
        self._recorded = 0
        # By this process: one that died between a commit and its confirmation left entries that nobody reads again.
        self._confirmed = 0
        self._one_at_a_time = asyncio.Lock()

    async def collect(self) -> None:
        """
        Write down every outcome that the journal has and we have not.

        Raises:
            ComfyUIAway: It cannot be asked now; ask again when it is back.
        """
        async with self._one_at_a_time:
            await self._collect()

    async def hear(self, news: News) -> None:
        """
        The same, when somebody says how the journal has grown. Where that says enough, nobody is asked.

        Raises:
            ComfyUIAway: It cannot be asked now; ask again when it is back.
        """
        async with self._one_at_a_time:
            if news.sequence is not None and news.sequence <= self._recorded:
                return  # it came along with an earlier one
            if news.follow(self._journal, self._recorded):
                await self._record_all([entry for entry in news.entries if entry.sequence > self._recorded])
                await self._confirm()
            else:
                await self._collect()

    async def reconcile(self) -> None:
        """
        Collect, and bring each generation that we believe in flight to its true state. The leader's alone: nobody else
        knows what is on its way there.

        Raises:
            LeadershipLost: This process does not lead.
            ComfyUIAway: It cannot be asked now; ask again when it is back.
        """
        async with self._one_at_a_time:
            # What we believe first, then the look: whoever was in flight before and is not in it has ended or is lost.
            async with self._database.reading() as session:
                found = await believed_in_flight(session, self._instance_id)
            believed = [generation_id for generation_id in found if generation_id not in self._postings]
            self._confirmed = 0  # who was told it before may not have heard it
            look = await self._collect(term=self._leadership.term)
            await self._reconciling.bring_into_line(believed, look)

    async def _collect(self, *, term: int | None = None) -> Look:
        look = await self._look(term)
        if look.journal != self._journal:
            self._journal, self._confirmed = look.journal, 0
            self._recorded = await self._position(look.journal)
            look = await self._look(term)
        await self._record_all([read_entry(raw) for raw in look.entries])
        while look.more:
            look = await self._look(term)
            await self._record_all([read_entry(raw) for raw in look.entries])
        await self._confirm()
        return look

    async def _confirm(self) -> None:
        if self._recorded > self._confirmed:
            await self._comfyui.confirm_outcomes(journal=self._journal, through=self._recorded)
            self._confirmed = self._recorded

    async def _look(self, term: int | None) -> Look:
        return await self._comfyui.look(after=self._recorded, expected=self._expected, term=term)

    async def _expected(self) -> list[str]:
        """What ComfyUI calls the generations that it should have."""
        async with self._database.reading() as session:
            believed = await believed_in_flight(session, self._instance_id)
            return [prompt_id_of(await session.get_one(Generation, found)) for found in believed]

    async def _position(self, journal: str) -> int:
        async with self._database.reading() as session:
            position = await session.get(JournalPosition, journal)
            return position.sequence if position else 0

    async def _record_all(self, entries: Sequence[Entry | Unreadable]) -> None:
        for first in range(0, len(entries), ENTRIES_AT_ONCE):
            some = entries[first : first + ENTRIES_AT_ONCE]
            try:
                await self._record(some)
            except (OperationalError, Away):
                raise  # the disk is full, the database is locked: the same entries come again
            except Exception:
                log.exception("outcomes_not_recorded_together", journal=self._journal, sequence=some[0].sequence)
                for entry in some:
                    await self._record_or_set_aside(entry)

    async def _record_or_set_aside(self, entry: Entry | Unreadable) -> None:
        """One that cannot be written down, now or ever, must not hide the others."""
        try:
            await self._record([entry])
        except (OperationalError, Away):
            raise
        except Exception:
            log.exception("outcome_set_aside", journal=self._journal, sequence=entry.sequence)
            await self._record([Unreadable(entry.sequence)])

    async def _record(self, entries: Sequence[Entry | Unreadable]) -> None:
        """Write down some entries and how far the journal is recorded with them, in one transaction."""
        with_images = set()
        async with self._turns.writing() as along:
            session = along.session
            with session.no_autoflush:  # one statement a table and row at the end, instead of one after each question
                for entry in entries:
                    if await self._write(session, entry) and not isinstance(entry, Unreadable):
                        with_images.add(generation_id_of(entry.prompt_id))
            await self._move_on(session, entries[-1].sequence)
            along.frees_a_place = any(isinstance(entry, Finished) for entry in entries)
        self._recorded = entries[-1].sequence
        told = [entry for entry in entries if not isinstance(entry, Unreadable)]
        for entry in told:
            await self._hand_on(entry, is_place_taken=along.is_all)
        # A start and an end that came together are one piece of news. It does not wait until their images have jobs.
        ids = {generation_id_of(entry.prompt_id) for entry in told}
        keep_images = self._aftermath.queueing.keep_images
        await asyncio.gather(*map(self._aftermath.announce, ids), *map(keep_images, with_images))

    async def _move_on(self, session: AsyncSession, sequence: int) -> None:
        """Write down how far the journal is recorded."""
        positions = table_of(JournalPosition)
        position = update(positions).where(positions.c.journal == self._journal)
        moved: Any = await session.execute(position.values(sequence=sequence))
        if not moved.rowcount:
            session.add(JournalPosition(journal=self._journal, sequence=sequence))

    async def _write(self, session: AsyncSession, entry: Entry | Unreadable) -> bool:
        """Write down one entry; tells whether there are images to keep."""
        if isinstance(entry, Finished):
            return await record_finished(session, entry, self._instance_id)
        if isinstance(entry, Accepted):
            await record_accepted(session, entry, self._instance_id)
        elif isinstance(entry, Started):
            await record_started(session, entry, self._instance_id)
        else:
            log.error("outcome_unreadable", journal=self._journal, sequence=entry.sequence)
        return False

    async def _hand_on(self, entry: Entry, *, is_place_taken: bool) -> None:
        """What follows from an entry, once it is committed."""
        generation_id = generation_id_of(entry.prompt_id)
        if isinstance(entry, Finished):
            self._aftermath.ended(generation_id)
            if not is_place_taken:  # in ComfyUI's queue
                await self._aftermath.queueing.dispatch(generation_id, reason="ended")


class Recorders:
    """One recorder for each instance. One a process."""

    def __init__(
        self,
        database: Database,
        leadership: Leadership,
        instances: Instances,
        turns: TurnGiver,
        postings: Postings,
        aftermath: Aftermath,
    ) -> None:
        self._database = database
        self._leadership = leadership
        self._turns = turns
        self._instances = instances
        self._postings = postings
        self._aftermath = aftermath
        self._recorders: dict[UUID, Recorder] = {}

    async def of(self, instance_id: UUID) -> Recorder:
        if instance_id not in self._recorders:
            comfyui = await self._instances.client_of(instance_id)
            recorder = Recorder(
                self._database, self._leadership, instance_id, comfyui, self._turns, self._postings, self._aftermath
            )
            self._recorders.setdefault(instance_id, recorder)
        return self._recorders[instance_id]

    def forget(self, instance_id: UUID) -> None:
        """There is no such instance any more."""
        self._recorders.pop(instance_id, None)
