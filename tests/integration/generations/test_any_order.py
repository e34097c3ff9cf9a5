"""Whatever happens to generations, in whatever order: what is written down of them stays true."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from integration.conftest import close, let_lead
from sqlalchemy import select

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.comfyui.outcomes import Finished, Started
from sidecar.errors import ComfyUIAway, ComfyUIBroken, ComfyUITimeout, ComfyUIUnreachable, PromptRejected, Refused
from sidecar.generations.in_flight import bring_into_line
from sidecar.generations.models import Generation, GenerationEvent
from sidecar.generations.recording import record_finished, record_started
from sidecar.generations.schemas import GenerationPatch, Repeat
from sidecar.generations.states import FINAL, IN_FLIGHT, GenerationState, may_go
from sidecar.generations.submissions import Request
from sidecar.generations.timeouts import Limit
from sidecar.identity import now, uuid7
from sidecar.instances.models import Connection, Instance
from sidecar.parts import put_together
from sidecar.settings import read_settings

from .conftest import WORKFLOW

Answer = TypeVar("Answer")
FEW = 3  # so that much happens to each of them
SHOWN = ("state", "cancel_requested", "title", "favourite", "child_count", "trashed_at", "error_code", "finished_at")

skews = st.integers(-7200, 7200)
failures = st.sampled_from([ComfyUIUnreachable(), ComfyUITimeout(), ComfyUIBroken()])
ANYTHING_STALLS = Limit("stalled", 60, lambda _: Generation.state == GenerationState.RUNNING.value, "It hung.")


class Generations(RuleBasedStateMachine):
    """The sidecar's own parts on a database of their own; ComfyUI is away, and the rules say what it told."""

    new_backend: ClassVar[Callable[[Path], dict[str, str]]]
    generations = Bundle("generations")

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path(tempfile.mkdtemp(prefix="genonaut-any-order-"))
        backend = type(self).new_backend(self._folder)
        environment = {"GENONAUT_DATA": str(self._folder), "GENONAUT_COMFYUI_URL": "http://127.0.0.1:9", **backend}
        self._loop = asyncio.new_event_loop()
        self._parts = self._run(self._put_together(environment))
        self._before: dict[UUID, tuple[datetime, tuple[Any, ...]]] = {}

    def _run(self, doing: Coroutine[Any, Any, Answer]) -> Answer:
        return self._loop.run_until_complete(doing)

    async def _put_together(self, environment: dict[str, str]) -> Any:
        parts = put_together(read_settings(environment))
        await let_lead(parts.leadership)
        self._instance_id = uuid7()
        async with parts.database.writing() as session:
            instance = Instance(id=self._instance_id, name="one", url="http://127.0.0.1:9", created_at=now())
            instance.state, instance.since = Connection.CONNECTED.value, now()
            session.add(instance)
        return parts

    def teardown(self) -> None:
        self._run(close(self._parts))
        self._loop.close()
        shutil.rmtree(self._folder)

    @precondition(lambda self: len(self._before) < FEW)
    @rule(target=generations)
    def submit(self) -> UUID:
        request = Request(id=uuid7(), owner_id=LOCAL_OWNER_ID, source="page", workflow=WORKFLOW)
        self._run(self._parts.admission.admit(request))
        return request.id

    @precondition(lambda self: len(self._before) < FEW)
    @rule(target=generations, generation_id=generations)
    def repeat(self, generation_id: UUID) -> UUID:
        request: Request = self._run(self._parts.repeats.of(LOCAL_OWNER_ID, generation_id, Repeat()))
        self._run(self._parts.admission.admit(request))
        return request.id

    @rule()
    def send(self) -> None:
        for choice in self._run(self._parts.turn_giver.look()).choices[:1]:
            self._run(self._parts.turn_giver.give(choice))
        self._parts.dispatcher._postings.clear()

    @rule(generation_id=generations, failure=failures)
    def fail_to_send(self, generation_id: UUID, failure: ComfyUIAway) -> None:
        generation = self._run(self._read(generation_id))
        if generation.instance_id is not None:
            self._run(self._parts.dispatcher._put_back(generation, failure))

    @rule(generation_id=generations)
    def reject(self, generation_id: UUID) -> None:
        generation = self._run(self._read(generation_id))
        if GenerationState(generation.state) in IN_FLIGHT:
            self._run(self._parts.dispatcher._reject(generation, PromptRejected("No.")))

    @rule(generation_id=generations, skew_s=skews)
    def start(self, generation_id: UUID, skew_s: int) -> None:
        async def told() -> None:
            entry = Started(sequence=1, prompt_id=str(generation_id), started_at=now().timestamp() + skew_s)
            async with self._parts.database.writing() as session:
                await record_started(session, entry, self._instance_id)

        self._run(told())

    @rule(generation_id=generations, skew_s=skews, status=st.sampled_from(["completed", "failed", "cancelled"]))
    def finish(self, generation_id: UUID, skew_s: int, status: Any) -> None:
        async def told() -> None:
            finished_at = now().timestamp() + skew_s
            entry = Finished(
                sequence=1,
                prompt_id=str(generation_id),
                status=status,
                started_at=finished_at - 1.5,
                finished_at=finished_at,
            )
            async with self._parts.database.writing() as session:
                await record_finished(session, entry, self._instance_id)

        self._run(told())

    @rule(generation_id=generations)
    def lose(self, generation_id: UUID) -> None:
        async def gone() -> None:
            async with self._parts.database.writing() as session:
                generation = await session.get_one(Generation, generation_id)
                bring_into_line(session, generation, running=set(), queued=set())

        self._run(gone())

    @rule(generation_id=generations)
    def stall(self, generation_id: UUID) -> None:
        self._run(self._parts.timeouts._fail(ANYTHING_STALLS, generation_id))

    @rule(generation_id=generations)
    def cancel(self, generation_id: UUID) -> None:
        with contextlib.suppress(Refused):
            self._run(self._parts.dispatcher.cancel(LOCAL_OWNER_ID, generation_id))

    @rule(generation_id=generations, cancel=st.booleans())
    def trash(self, generation_id: UUID, cancel: bool) -> None:
        with contextlib.suppress(Refused):
            self._run(self._parts.trash.put_in(LOCAL_OWNER_ID, generation_id, cancel=cancel))

    @rule(generation_id=generations)
    def restore(self, generation_id: UUID) -> None:
        self._run(self._parts.trash.take_out(LOCAL_OWNER_ID, generation_id))

    @rule(generation_id=generations, title=st.sampled_from(["", "A title"]), favourite=st.booleans())
    def change(self, generation_id: UUID, title: str, favourite: bool) -> None:
        patch = GenerationPatch(title=title, favourite=favourite)
        self._run(self._parts.editor.change(LOCAL_OWNER_ID, generation_id, patch))

    @invariant()
    def what_is_written_down_is_true(self) -> None:
        for generation, events in self._run(self._read_all()):
            self._check_steps(generation, events)
            self._check_times(generation, events)
            self._check_version(generation)

    def _check_steps(self, generation: Generation, events: list[GenerationEvent]) -> None:
        """Every transition is written down, and none that the table of states does not know."""
        steps = [GenerationState(event.state) for event in events]
        assert steps[0] is GenerationState.PENDING
        assert steps[-1].value == generation.state
        assert all(may_go(before, after) for before, after in itertools.pairwise(steps))

    def _check_times(self, generation: Generation, events: list[GenerationEvent]) -> None:
        """Times never go back, and an end has one."""
        row = (generation.created_at, generation.submitted_at, generation.started_at, generation.finished_at)
        for times in ([time for time in row if time is not None], [event.at for event in events]):
            assert times == sorted(times)
        assert (generation.finished_at is not None) == (GenerationState(generation.state) in FINAL)

    def _check_version(self, generation: Generation) -> None:
        """Whoever sees that something is different sees that it is newer."""
        shown = tuple(getattr(generation, name) for name in SHOWN)
        version, before = self._before.get(generation.id, (generation.created_at - timedelta(1), ()))
        assert shown == before or generation.updated_at > version
        self._before[generation.id] = generation.updated_at, shown

    async def _read(self, generation_id: UUID) -> Generation:
        async with self._parts.database.reading() as session:
            found: Generation = await session.get_one(Generation, generation_id)
            return found

    async def _read_all(self) -> list[tuple[Generation, list[GenerationEvent]]]:
        async with self._parts.database.reading() as session:
            found = {generation.id: generation for generation in await session.scalars(select(Generation))}
            events: dict[UUID, list[GenerationEvent]] = {generation_id: [] for generation_id in found}
            for event in await session.scalars(select(GenerationEvent).order_by(GenerationEvent.id)):
                events[event.generation_id].append(event)
        children = [generation.parent_id for generation in found.values()]
        assert all(generation.child_count == children.count(generation.id) for generation in found.values())
        return [(found[generation_id], events[generation_id]) for generation_id in found]


the_same_every_time = settings(
    max_examples=6,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],  # each step is a transaction or two: to look for a shorter story would take minutes
    suppress_health_check=list(HealthCheck),
)


def test_in_whatever_order_things_happen_what_is_written_down_stays_true(new_backend: Callable[[Path], dict[str, str]]):
    """
    States follow their table, every transition is among the events, times never go back, and newer looks newer.
    """
    machine = type("OnACopy", (Generations,), {"new_backend": staticmethod(new_backend)})
    run_state_machine_as_test(
        machine,
        settings=the_same_every_time,
    )
