"""
Whose turn it is goes: chosen and written down in one transaction each, or along with what let the turn come.

On a system that is not busy a turn comes with a submission, or with the end of what ran before. So whoever writes down
one of these lets go in the same transaction who is next by it (`TurnGiver.writing`): as after it, only without another
transaction, and without a look in between that finds what is known. Everything else that may let a turn come wakes the
dispatcher, which looks for itself.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog
from sqlalchemy import bindparam, exists, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.catalog.catalog import Catalog
from sidecar.cluster.leadership import Leadership
from sidecar.database import Database, after_commit
from sidecar.errors import LeadershipLost
from sidecar.generations import shares
from sidecar.generations.choice import Choice
from sidecar.generations.models import Generation, forget_foreign_prompt_id, is_in_flight, move, touch
from sidecar.generations.pausing import QueuePause
from sidecar.generations.postings import Postings
from sidecar.generations.states import GenerationState
from sidecar.generations.stopping import Stop
from sidecar.generations.turns import IN_FLIGHT_AT_MOST, LONG_AGO, Outlook, look_ahead
from sidecar.identity import now
from sidecar.instances import standing
from sidecar.instances.models import Instance
from sidecar.limits.plans import Plans

FAR_LOOKS_ARE_ONE_IN = 10  # where thousands wait and a place stays free: this part of the time goes into looking so far
COMMITTED_WITHIN = timedelta(minutes=1)  # what was to begin before the last look may have been written after it
APART_FOR_S = 60.0

log = structlog.get_logger(__name__)


@dataclass(eq=False)
class Along:
    """A transaction with which whoever is next by it may go."""

    session: AsyncSession
    frees_a_place: bool = False
    """To be said when something has ended in it: else it is known whether a place is free."""
    went: list[Generation] = field(default_factory=list)
    is_all: bool = False
    """Nobody need look again because of what was written here."""


class TurnGiver:
    """Lets go whose turn it is, in the order of turns, while this process leads. One a process."""

    def __init__(
        self, database: Database, leadership: Leadership, catalog: Catalog, plans: Plans, postings: Postings
    ) -> None:
        self._database = database
        self._leadership = leadership
        self._catalog = catalog
        self._plans = plans
        self._postings = postings
        self.send: Callable[[Generation], None] | None = None
        """Has one that went sent, after all that went before it; None while this process does not lead."""
        self.rest_s: float | None = None
        """How long it takes until there is something to look at, though nothing happens."""
        self._has_places = False
        """Was a place free after the last look?"""
        self._far_again_at = 0.0
        self._due_until = LONG_AGO
        """Until when everybody whose moment had come is in the line."""
        self._apart_until = 0.0
        self._crowd = shares.Crowd()

    async def look(self) -> Outlook:
        async with self._database.reading() as session:
            outlook = await self._look(session, due_from=self._due_until - COMMITTED_WITHIN)
        self._due_until = outlook.due_until or self._due_until
        return outlook

    async def give(self, choice: Choice) -> Generation | None:
        """Let one go; None if something has changed since it was chosen."""
        with ExitStack() as unless_committed:
            async with self._leadership.writing() as session:
                generation = await session.get(Generation, choice.generation_id)
                instance = await session.get_one(Instance, choice.instance_id)
                if generation is None or not await may_still_go(session, generation, instance):
                    return None
                await self._let_go(session, generation, instance, choice, unless_committed)
                after_commit(session, partial(self._have_gone, [generation], unless_committed))
        return generation

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Along]:
        """
        A transaction (`Database.writing`). Right before it commits, those go whose turn it lets come.

        Should that fail, all of it does; for a while nothing goes along, so whoever tries again is not in its way.
        """
        with ExitStack() as unless_committed:
            async with self._database.writing() as session:
                along = Along(session)
                yield along
                try:
                    await self._let_go_along(along, unless_committed)
                except SQLAlchemyError:
                    raise
                except Exception:
                    log.exception("nothing_goes_along_for_a_while")
                    self._apart_until = time.monotonic() + APART_FOR_S
                    raise

    async def _let_go_along(self, along: Along, unless_committed: ExitStack) -> None:
        may_have_places = self._has_places or along.frees_a_place
        if self.send is None or not may_have_places or time.monotonic() < self._apart_until:
            return
        try:
            await self._leadership.require(along.session)
        except LeadershipLost:
            return  # they are let go by whoever leads by now
        await along.session.flush()
        outlook = await self._look(along.session, due_from=None)  # whose moment has come, the dispatcher is told
        for choice in outlook.choices:
            generation = await along.session.get_one(Generation, choice.generation_id)
            instance = await along.session.get_one(Instance, choice.instance_id)
            if await may_still_go(along.session, generation, instance):
                await self._let_go(along.session, generation, instance, choice, unless_committed)
                along.went.append(generation)
        # Whatever else a look may find is for the dispatcher, which looks once more.
        is_settled = not (outlook.reasons or outlook.resting) and outlook.rest_s is None
        along.is_all = outlook.is_whole and is_settled and len(along.went) == len(outlook.choices)
        after_commit(along.session, partial(self._have_gone, along.went, unless_committed))

    def _have_gone(self, generations: Sequence[Generation], unless_committed: ExitStack) -> None:
        """Right after the commit, and before anybody else can write: they are sent in the order in which they went."""
        if self.send is not None:
            unless_committed.pop_all()
            for generation in generations:
                self.send(generation)

    async def _look(self, session: AsyncSession, *, due_from: datetime | None) -> Outlook:
        began = time.monotonic()
        far = began >= self._far_again_at
        outlook = await look_ahead(
            session, self._catalog.snapshot, self._plans, at=now(), due_from=due_from, far=far, crowd=self._crowd
        )
        ended = time.monotonic()
        if outlook.was_far:
            self._far_again_at = ended + (ended - began) * FAR_LOOKS_ARE_ONE_IN
        rests = [outlook.rest_s] if outlook.is_whole else [outlook.rest_s, max(self._far_again_at - ended, 0.0)]
        self.rest_s = min((rest_s for rest_s in rests if rest_s is not None), default=None)
        self._has_places = outlook.has_places
        return outlook

    async def _let_go(
        self,
        session: AsyncSession,
        generation: Generation,
        instance: Instance,
        choice: Choice,
        unless_committed: ExitStack,
    ) -> None:
        move(session, generation, GenerationState.SUBMITTED, at=now())
        generation.instance_id = instance.id
        generation.waiting_reason = None
        generation.tries += 1
        if generation.run_is_over:
            generation.run, generation.run_is_over = generation.run + 1, False
        instance.checkpoint = generation.checkpoint or instance.checkpoint
        weight = await self._plans.weight_of(session, generation.person_id)
        await shares.let_go(session, generation, instance, choice, weight=weight, at=now())
        forget_foreign_prompt_id(generation)  # from here on it has ours
        # Before the commit: whoever reconciles must never see it submitted and not know that it is on its way.
        self._postings.add(generation.id)
        # A commit that was not answered may have happened all the same: reconciling finds it, if it is let to.
        unless_committed.callback(self._postings.discard, generation.id)

    async def let_begin(self, people: Iterable[UUID]) -> None:
        """Let those into the line whose moment has come."""
        async with self._leadership.writing() as session:
            await shares.begin_waiting(session, people, at=now())

    async def let_wait(self, outlook: Outlook) -> list[UUID]:
        """
        Write down why some wait though a place is free, or that they do so no longer, and who waits for nothing more.

        Returns:
            Those that look different now.
        """
        told: list[UUID] = []
        if not (outlook.reasons or outlook.resting):
            return told
        async with self._leadership.writing() as session:
            await shares.let_rest(session, outlook.resting, at=now())
            for generation_id, reason in outlook.reasons.items():
                generation = await session.get(Generation, generation_id)
                if generation is not None and generation.state == GenerationState.PENDING.value:
                    generation.waiting_reason = reason
                    touch(generation)
                    told.append(generation_id)
        return told


THERE = select(
    select(func.count())
    .where(is_in_flight(), Generation.instance_id == bindparam("instance"))
    .scalar_subquery()
    .label("in_flight"),
    exists().where(QueuePause.since.is_not(None)).label("is_paused"),
    exists().where(Stop.owner_id == bindparam("owner"), Stop.through >= bindparam("number")).label("is_stopped"),
)


async def may_still_go(session: AsyncSession, generation: Generation, instance: Instance) -> bool:
    """Is it still held and wanted, has the instance still a place for it, and is the queue not paused?"""
    if generation.state != GenerationState.PENDING.value or not standing.is_trusted_now(instance, at=now()):
        return False
    asked = {"instance": instance.id, "owner": generation.owner_id, "number": generation.number}
    there = (await session.execute(THERE, asked)).one()
    return there.in_flight < IN_FLIGHT_AT_MOST and not there.is_paused and not there.is_stopped
