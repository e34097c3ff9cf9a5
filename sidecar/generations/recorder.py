"""
What really happened, written down once.

The journal of outcomes is the truth; events are hints that it has grown. Everything here may run twice and may be
killed between any two lines: an outcome and the position in the journal are committed together, and only what is
committed is confirmed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import update
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.accounts.models import LOCAL_OWNER_ID, User
from sidecar.cluster.leadership import Leadership
from sidecar.comfyui.client import ComfyUIClient
from sidecar.comfyui.outcomes import Accepted, Entry, Finished, Look, Started, Unreadable, read_entry
from sidecar.database import Database, table_of
from sidecar.errors import Away
from sidecar.gallery.intake import expect_images
from sidecar.generations.admission import Request, split_extra_data, write_generation
from sidecar.generations.failures import explain, is_out_of_memory
from sidecar.generations.in_flight import believed_in_flight, bring_into_line, is_at, note_death
from sidecar.generations.models import (
    Generation,
    JournalPosition,
    forget_foreign_prompt_id,
    latest_time,
    move,
    prompt_id_of,
)
from sidecar.generations.queueing import Queueing
from sidecar.generations.schemas import WITHHELD
from sidecar.generations.shares import let_wait, settle
from sidecar.generations.states import FINAL, GenerationState
from sidecar.identity import generation_id_of, now
from sidecar.instances import standing
from sidecar.instances.connections import Instances
from sidecar.instances.models import Instance
from sidecar.limits.estimate import learn
from sidecar.limits.paces import Sample

log = structlog.get_logger(__name__)


EARLIER_TERMS_GIVE_UP_AFTER_S = 75.0  # a leader that was cut off knows it within 8 s, and waits 63 s for an answer
ENTRIES_AT_ONCE = 50  # a journal that grew for a day must not hold the database for a minute


class Postings:
    """
    The prompts that are on their way to ComfyUI at this moment: nobody can say yet whether it has them.

    One may be twice among them: its next turn may come while the try before it is still being looked after.
    """

    def __init__(self) -> None:
        self._counts: Counter[UUID] = Counter()

    def add(self, generation_id: UUID) -> None:
        self._counts[generation_id] += 1

    def discard(self, generation_id: UUID) -> None:
        self._counts -= Counter([generation_id])

    def clear(self) -> None:
        self._counts.clear()

    def __contains__(self, generation_id: UUID) -> bool:
        return generation_id in self._counts

    def __bool__(self) -> bool:
        return bool(self._counts)


@dataclass(frozen=True)
class Aftermath:
    """Who has to know what was written down."""

    queueing: Queueing
    announce: Callable[[UUID], Awaitable[None]]
    """A generation looks different now."""
    ended: Callable[[UUID], None]
    """It makes no more progress."""

    async def of_taking_back(self, generation: Generation) -> None:
        """It is not where it was: somebody's turn may have come, and its own comes when it has waited."""
        self.ended(generation.id)
        await self.announce(generation.id)
        await self.queueing.dispatch(generation.id, reason="missing")
        if generation.not_before is not None:
            retry = f"try-{generation.tries}"
            await self.queueing.dispatch(generation.id, reason=retry, not_before=generation.not_before)


class Recorder:
    """Brings what is written here into line with one instance. One an instance and process."""

    def __init__(
        self,
        database: Database,
        leadership: Leadership,
        instance_id: UUID,
        comfyui: ComfyUIClient,
        postings: Postings,
        aftermath: Aftermath,
    ) -> None:
        self._database = database
        self._leadership = leadership
        self._instance_id = instance_id
        self._comfyui = comfyui
        self._postings = postings
        self._aftermath = aftermath
        self._journal = ""
        self._recorded = 0
        # By this process: one that died between a commit and its confirmation left entries that nobody reads again.
        self._confirmed = 0
        self._one_at_a_time = asyncio.Lock()

    async def collect(self, *, told_of: int | None = None) -> None:
        """
        Write down every outcome that the journal has and we have not.

        Args:
            told_of: The entry that somebody said there is. Where it came along with an earlier one, nobody is asked.

        Raises:
            ComfyUIAway: It cannot be asked now; ask again when it is back.
        """
        async with self._one_at_a_time:
            if told_of is None or told_of > self._recorded:
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
            look = await self._collect(term=self._leadership.term)
            await self._bring_into_line(believed, look)

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
        if self._recorded > self._confirmed:
            await self._comfyui.confirm_outcomes(through=self._recorded)
            self._confirmed = self._recorded
        return look

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
        async with self._database.writing() as session:
            with session.no_autoflush:  # one statement a table and row at the end, instead of one after each question
                for entry in entries:
                    if await self._write(session, entry) and not isinstance(entry, Unreadable):
                        with_images.add(generation_id_of(entry.prompt_id))
            await self._move_on(session, entries[-1].sequence)
        self._recorded = entries[-1].sequence
        told = [entry for entry in entries if not isinstance(entry, Unreadable)]
        for entry in told:
            await self._hand_on(entry)
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

    async def _hand_on(self, entry: Entry) -> None:
        """What follows from an entry, once it is committed."""
        generation_id = generation_id_of(entry.prompt_id)
        if isinstance(entry, Finished):
            self._aftermath.ended(generation_id)
            # A place in ComfyUI's queue is free.
            await self._aftermath.queueing.dispatch(generation_id, reason="ended")

    async def _bring_into_line(self, believed: list[UUID], look: Look) -> None:
        running = {generation_id_of(prompt_id) for prompt_id in look.running}
        queued = {generation_id_of(prompt_id) for prompt_id in look.pending}
        for generation_id in believed:
            async with self._leadership.writing() as session:
                generation = await session.get_one(Generation, generation_id)
                if not is_at(generation, self._instance_id):
                    continue
                if generation_id not in running | queued and self._may_be_on_its_way(generation):
                    continue
                if generation.state == GenerationState.RUNNING.value and generation_id not in running:
                    await note_death(session, generation)
                changed = bring_into_line(session, generation, running=running, queued=queued)
                await let_wait(session, [generation])
                unheard_cancel = generation.cancel_requested and generation_id in running | queued
            if changed:
                await self._aftermath.of_taking_back(generation)
            if unheard_cancel:
                await self._comfyui.cancel_prompt(prompt_id_of(generation))
        await self._end_strays(look, (running | queued) - set(believed))

    def _may_be_on_its_way(self, generation: Generation) -> bool:
        """
        Sent by whoever led before, to a ComfyUI that takes what comes from anybody: it is waited for until that one
        has certainly given up. One with the pack takes nothing of earlier terms once it has been looked at.
        """
        since = self._leadership.since
        if self._comfyui.refuses_earlier_terms or since is None or generation.submitted_at is None:
            return False
        is_young = (now() - since).total_seconds() < EARLIER_TERMS_GIVE_UP_AFTER_S
        return is_young and generation.state == GenerationState.SUBMITTED.value and generation.submitted_at < since

    async def _end_strays(self, look: Look, unexpected: set[UUID]) -> None:
        """
        Deal with what ComfyUI has and we do not believe it has.

        One that we gave up, that was cancelled while its answer was lost, or that went elsewhere while this ComfyUI was
        away: out of it with it. One that we hold back because its answer was lost: it is there.
        """
        for prompt_id in (*look.running, *look.pending):
            generation_id = generation_id_of(prompt_id)
            if generation_id not in unexpected:
                continue
            async with self._leadership.writing() as session:
                generation = await session.get(Generation, generation_id)
                if generation is None or is_at(generation, self._instance_id):
                    continue
                is_its_latest = prompt_id == prompt_id_of(generation)
                held = is_its_latest and generation.state == GenerationState.PENDING.value
                if held:
                    move(session, generation, GenerationState.SUBMITTED, at=now(), reason="ComfyUI has it already")
                    generation.instance_id = self._instance_id
                generation.run_is_over = is_its_latest and not held
            if held:
                await self._aftermath.announce(generation_id)
            else:
                was = await self._comfyui.cancel_prompt(prompt_id)
                log.info("stray_prompt", generation_id=str(generation_id), state=generation.state, was=was)


class Recorders:
    """One recorder for each instance. One a process."""

    def __init__(
        self,
        database: Database,
        leadership: Leadership,
        instances: Instances,
        postings: Postings,
        aftermath: Aftermath,
    ) -> None:
        self._database = database
        self._leadership = leadership
        self._instances = instances
        self._postings = postings
        self._aftermath = aftermath
        self._recorders: dict[UUID, Recorder] = {}

    async def of(self, instance_id: UUID) -> Recorder:
        if instance_id not in self._recorders:
            comfyui = await self._instances.client_of(instance_id)
            recorder = Recorder(self._database, self._leadership, instance_id, comfyui, self._postings, self._aftermath)
            self._recorders.setdefault(instance_id, recorder)
        return self._recorders[instance_id]

    def forget(self, instance_id: UUID) -> None:
        """There is no such instance any more."""
        self._recorders.pop(instance_id, None)


async def record_accepted(session: AsyncSession, entry: Accepted, instance_id: UUID) -> None:
    """Write down a prompt that entered ComfyUI's queue by another door than ours."""
    generation_id = generation_id_of(entry.prompt_id)
    known = await session.get(Generation, generation_id)
    if known is not None:
        # The gate asked us, did not hear our answer in time, and let the prompt through under the same id.
        if known.state == GenerationState.PENDING.value:
            move(session, known, GenerationState.SUBMITTED, at=now(), reason="let through by the gate")
            known.tries = 1
            known.instance_id = instance_id
        return
    ui_workflow, extra_data = split_extra_data(entry.extra_data)
    request = Request(
        id=generation_id,
        owner_id=await who_asked(session, entry),
        source=entry.source,
        workflow=entry.workflow,
        ui_workflow=ui_workflow,
        extra_data=extra_data,
        client_id=entry.client_id,
    )
    accepted_at = from_unix(entry.accepted_at)
    generation = await write_generation(session, request, at=accepted_at, state=GenerationState.SUBMITTED)
    generation.submitted_at = accepted_at
    generation.tries = 1
    generation.instance_id = instance_id
    if entry.prompt_id != str(generation_id):
        generation.submission = {**generation.submission, "prompt_id": entry.prompt_id}
    log.info("generation_imported", generation_id=str(generation_id), source=entry.source)


async def who_asked(session: AsyncSession, entry: Accepted) -> UUID:
    """Whose a prompt by another door is: the person's whom the pack let in, or else the local owner's."""
    user = None if entry.owner_id is None else await session.get(User, entry.owner_id)
    return LOCAL_OWNER_ID if user is None else user.id


async def record_started(session: AsyncSession, entry: Started, instance_id: UUID) -> None:
    """Write down that a prompt began to run; mostly its event has told so already."""
    generation = await session.get(Generation, generation_id_of(entry.prompt_id))
    if generation is None or not is_at(generation, instance_id):
        return
    if generation.state == GenerationState.SUBMITTED.value:
        move(session, generation, GenerationState.RUNNING, at=from_unix(entry.started_at))


async def record_finished(session: AsyncSession, entry: Finished, instance_id: UUID) -> bool:
    """Write down how a prompt ended there; tells whether there are images to keep."""
    generation = await session.get(Generation, generation_id_of(entry.prompt_id))
    if generation is None or not is_news(generation, entry, instance_id):
        log.info("outcome_not_recorded", prompt_id=entry.prompt_id, known=generation is not None, status=entry.status)
        return False
    if generation.state == GenerationState.PENDING.value:
        move(session, generation, GenerationState.SUBMITTED, at=now(), reason="ComfyUI had it already")
    generation.instance_id = instance_id
    if entry.started_at is not None:
        generation.started_at = max(from_unix(entry.started_at), latest_time(generation))
        generation.gpu_seconds = round((generation.gpu_seconds or 0.0) + entry.finished_at - entry.started_at, 3)
    await learn_of_instance(session, generation, entry)
    finished_at = from_unix(entry.finished_at)
    if entry.error is not None and entry.status == "failed":
        if is_out_of_memory(entry.error) and may_try_with_free_memory(generation):
            try_with_free_memory(session, generation, at=finished_at)
            await settle(session, generation)
            await let_wait(session, [generation])
            return False
        generation.error_code, generation.error = explain(entry.error, generation)
    move(session, generation, GenerationState(entry.status), at=finished_at)
    await settle(session, generation)
    images = await expect_images(
        session,
        owner_id=generation.owner_id,
        generation_id=generation.id,
        outputs=entry.outputs,
        is_withheld=generation.review in WITHHELD,
        now=finished_at,
    )
    log.info("generation_recorded", generation_id=str(generation.id), state=generation.state, images=len(images))
    return bool(images)


async def learn_of_instance(session: AsyncSession, generation: Generation, entry: Finished) -> None:
    """What an outcome says of the instance: that it can be trusted, and how long it takes."""
    instance = await session.get_one(Instance, generation.instance_id)
    if entry.status != "cancelled":
        standing.trusted(instance)
    if entry.status == "completed" and entry.started_at is not None:
        sample = Sample(generation.work, round(entry.finished_at - entry.started_at, 3))
        await learn(session, instance.id, generation.checkpoint, sample)


def is_news(generation: Generation, entry: Finished, instance_id: UUID) -> bool:
    """Does this outcome say how the generation ended, or only how an earlier run of it did?"""
    if GenerationState(generation.state) in FINAL:
        return False
    if generation.run > 1 and entry.prompt_id != prompt_id_of(generation):
        return False
    # What was taken out of an instance that came back goes on where it is now, or waits for its turn.
    held = generation.state == GenerationState.PENDING.value
    if held and entry.status == "cancelled":
        return generation.cancel_requested or generation.instance_id == instance_id
    return held or is_at(generation, instance_id) or entry.status == "completed"


def may_try_with_free_memory(generation: Generation) -> bool:
    """Once; and never a prompt of another pack, which has its own way to go on."""
    return not (generation.memory_freed or generation.cancel_requested or generation.source == "outside")


def try_with_free_memory(session: AsyncSession, generation: Generation, *, at: datetime) -> None:
    """It waits for its turn again; before that ComfyUI is asked to free its memory."""
    generation.memory_freed = True
    generation.run += 1
    forget_foreign_prompt_id(generation)
    move(session, generation, GenerationState.PENDING, at=at, reason="out of memory: ComfyUI frees it, then once more")
    log.warning("generation_out_of_memory", generation_id=str(generation.id))


def from_unix(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)
