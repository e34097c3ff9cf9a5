"""
Following every instance: what each of them tells, and that its row says how it stands.

One process at a time, the leader, follows all instances, and it alone sends them prompts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.cluster.leadership import Leadership
from sidecar.comfyui.client import ComfyUIClient
from sidecar.comfyui.conversation import Hello, ObserverEvent
from sidecar.comfyui.events import Observer
from sidecar.comfyui.outcomes import read_news
from sidecar.database import Database
from sidecar.generations.in_flight import believed_in_flight, is_at, show_life
from sidecar.generations.models import Generation, Workflow, is_pending, move
from sidecar.generations.places import Places
from sidecar.generations.progress import ProgressBoard
from sidecar.generations.recorder import Recorder, Recorders
from sidecar.generations.recording import from_unix
from sidecar.generations.relocation import Relocation
from sidecar.generations.states import GenerationState
from sidecar.generations.workflows import unpack_workflow
from sidecar.identity import generation_id_of, now
from sidecar.instances import registry, standing
from sidecar.instances.connections import Instances
from sidecar.instances.models import Instance
from sidecar.settings import Access
from sidecar.tasks import end
from sidecar.together import Together

NOTE_EVERY_S = 30.0  # less than the shortest time that may be given to a silence
LOOK_EVERY_S = 60.0  # a busy ComfyUI is never silent, and something may have been left behind all the same
NOTHING_HELD: Mapping[str, Any] = {"total": 0, "held": []}
SEEN_AFTER_S = 0.05  # what ends sooner is written down once: its outcome says when it began
LOOK_FOR_INSTANCES_EVERY_S = 30.0  # another process may have registered one

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Surroundings:
    """What every follower needs."""

    database: Database
    leadership: Leadership
    board: ProgressBoard
    relocation: Relocation
    places: Places
    announce: Callable[[UUID], Awaitable[None]]
    """A generation looks different now."""
    access: Access
    met: Callable[[UUID], None]
    """An instance is there (again): somebody's turn may have come, and it may have other models."""


class Follower:
    """Hears what one instance does (comfyui.events.Listener). One an instance, in one process."""

    def __init__(
        self, instance_id: UUID, comfyui: ComfyUIClient, recorder: Recorder, surroundings: Surroundings
    ) -> None:
        self._instance_id = instance_id
        self._comfyui = comfyui
        self._recorder = recorder
        self._surroundings = surroundings
        self._database = surroundings.database
        self._leadership = surroundings.leadership
        self._looked_at = 0.0
        self._noted_at = 0.0
        self._waiting: asyncio.Task[None] | None = None
        self._starts: dict[str, asyncio.TimerHandle] = {}
        """What has begun and may end before anybody could have seen it run, by its prompt."""
        self._noting: set[asyncio.Task[None]] = set()

    async def connected(self, hello: Hello) -> None:
        """First the truth of what it has, then it counts as connected: nothing is sent to it before."""
        await self.stop_waiting()
        await self._look()
        stats = await self._comfyui.system_stats()
        greeting = standing.Greeting(
            comfyui_version=hello.comfyui_version or stats.system.comfyui_version,
            pack_version=hello.pack_version,
            directories=hello.directories,
            devices=tuple(stats.devices),
        )
        async with self._leadership.writing() as session:
            standing.connected(await session.get_one(Instance, self._instance_id), greeting, at=now())
        self._surroundings.met(self._instance_id)

    async def disconnected(self, reason: str) -> None:
        async with self._leadership.writing() as session:
            standing.went_away(await session.get_one(Instance, self._instance_id), reason, at=now())
        if self._waiting is None:
            self._waiting = asyncio.create_task(self._surroundings.relocation.wait_for_return_of(self._instance_id))

    async def stop_waiting(self) -> None:
        """It is back."""
        if self._waiting is not None:
            await end(self._waiting)
            self._waiting = None

    async def close(self) -> None:
        """It is not followed any more."""
        await self.stop_waiting()
        for start in self._starts.values():
            start.cancel()
        await end(*self._noting)

    async def silence(self) -> None:
        async with self._database.reading() as session:
            if not await believed_in_flight(session, self._instance_id):
                return
        await self._look()

    async def _look(self) -> None:
        await self._recorder.reconcile()
        self._looked_at = time.monotonic()

    async def heard(self, event: ObserverEvent) -> None:
        await self._note_life()
        if time.monotonic() - self._looked_at > LOOK_EVERY_S:
            await self._look()
        elif event.type == "outcome":
            self._forget_start(event)
            await self._recorder.hear(read_news(event.data))
        elif event.type == "gap":
            await self._look()
        elif event.type == "execution_start":
            self._forget_start(event)
            later = asyncio.get_running_loop().call_later(SEEN_AFTER_S, self._begin_noting, event)
            self._starts[prompt_of(event)] = later
        else:
            self._surroundings.board.heard(event)

    async def _note_life(self) -> None:
        """Write down now and then that it goes on there: `timeouts.py` counts from then."""
        if time.monotonic() - self._noted_at > NOTE_EVERY_S:
            self._noted_at = time.monotonic()
            async with self._leadership.writing() as session:
                await show_life(session, self._instance_id)

    def _forget_start(self, event: ObserverEvent) -> None:
        start = self._starts.pop(prompt_of(event), None)
        if start is not None:
            start.cancel()

    def _begin_noting(self, event: ObserverEvent) -> None:
        del self._starts[prompt_of(event)]
        noting = asyncio.create_task(self._note_start(event))
        self._noting.add(noting)
        noting.add_done_callback(self._noting.discard)

    async def _note_start(self, event: ObserverEvent) -> None:
        try:
            await self._started(event)
        except Exception:
            # A fault of ours or of the database, told in full. The next look at ComfyUI finds it running.
            log.exception("start_not_written_down", prompt_id=prompt_of(event))

    async def _started(self, event: ObserverEvent) -> None:
        generation_id = generation_id_of(prompt_of(event))
        # When it was, not when it was heard of: a quick one has ended by then.
        at = from_unix(event.at / 1000) if event.at else now()
        async with self._leadership.writing() as session:
            generation = await session.get(Generation, generation_id)
            if generation is None or not is_at(generation, self._instance_id):
                return  # such as one that went elsewhere while this instance was away
            if generation.state != GenerationState.SUBMITTED.value:
                return
            move(session, generation, GenerationState.RUNNING, at=at)
            if not self._surroundings.board.knows(generation_id):  # it was sent by a process other than this one
                stored = unpack_workflow(await session.get_one(Workflow, generation.workflow_hash))
                self._surroundings.board.begin(generation_id, generation.owner_id, stored.workflow)
        log.info("generation_running", generation_id=str(generation_id))
        await self._surroundings.announce(generation_id)


def prompt_of(event: ObserverEvent) -> str:
    return str(event.data.get("prompt_id"))


ANYTHING_WAITS = select(exists().where(is_pending()))


async def anything_waits(session: AsyncSession) -> bool:
    return bool(await session.scalar(ANYTHING_WAITS))


class Following:
    """One follower for each instance, for as long as there is that instance. One a process."""

    def __init__(self, instances: Instances, recorders: Recorders, surroundings: Surroundings) -> None:
        self._instances = instances
        self._recorders = recorders
        self._surroundings = surroundings
        self._observers: dict[UUID, Observer] = {}
        self._followers: dict[UUID, Follower] = {}
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._held = Together(self._read_held, at_most=100)
        self._changed_callers: set[UUID] = set()

    def instances_changed(self) -> None:
        """Some came or went."""
        self._changed.set()

    def held_changed(self) -> None:
        """Tell each ComfyUI's own queue panel soon that other prompts are held."""
        for observer in self._observers.values():
            observer.held_changed()

    def callers_changed(self, user_id: UUID) -> None:
        """
        Tell each ComfyUI at once, and those that are met later, that this person may be let in no longer. If so, what
        they had waiting is gone, too.
        """
        self._changed_callers.add(user_id)
        self.held_changed()
        for observer in self._observers.values():
            observer.callers_changed(user_id)

    async def run(self) -> None:
        """Follow whatever instances there are, until cancelled."""
        try:
            while True:
                try:
                    await self.adjust()
                except Exception:
                    # A fault of ours or of the database, told in full; tried again at the next look.
                    log.exception("instances_not_looked_up")
                await self._until_changed()
        finally:
            for instance_id in list(self._tasks):
                await self._leave(instance_id)

    async def _until_changed(self) -> None:
        try:
            await asyncio.wait_for(self._changed.wait(), LOOK_FOR_INSTANCES_EVERY_S)
        except asyncio.TimeoutError:
            return
        self._changed.clear()

    async def adjust(self) -> None:
        """Follow those that came, leave those that went."""
        there = {instance.id for instance in await self._instances.all()}
        for instance_id in self._tasks.keys() - there:
            await self._leave(instance_id)
            self._recorders.forget(instance_id)  # its client stays: something may be on its way there
        for instance_id in there & self._tasks.keys():
            await self._instances.client_of(instance_id)  # what an admin says of one that is away
        for instance_id in there - self._tasks.keys():
            await self._follow(instance_id)
        await self._surroundings.relocation.take_back_from_removed()

    async def _follow(self, instance_id: UUID) -> None:
        recorder = await self._recorders.of(instance_id)
        comfyui = await self._instances.client_of(instance_id)
        follower = Follower(instance_id, comfyui, recorder, self._surroundings)
        # What a process that died left written down is not true any more.
        await follower.disconnected(registry.NOT_ASKED_YET)
        observer = Observer(
            comfyui,
            follower,
            partial(self._held.ask, instance_id),
            access=self._surroundings.access.value,
            changed_callers=self._changed_callers,
        )
        self._observers[instance_id] = observer
        self._followers[instance_id] = follower
        self._tasks[instance_id] = asyncio.create_task(observer.follow())

    async def _leave(self, instance_id: UUID) -> None:
        self._observers.pop(instance_id)
        await end(self._tasks.pop(instance_id))
        await self._followers.pop(instance_id).close()

    async def _read_held(self, askers: Sequence[UUID]) -> Sequence[Mapping[str, Any]]:
        """All are told the same, so it is read once for those who ask at the same moment."""
        async with self._surroundings.database.reading() as session:
            if not await anything_waits(session):
                return [NOTHING_HELD] * len(askers)
        await self._surroundings.places.catch_up(at_once=True)
        async with self._surroundings.database.reading() as session:
            return [await self._surroundings.places.held(session)] * len(askers)
