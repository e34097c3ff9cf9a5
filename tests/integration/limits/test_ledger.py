"""Whatever happens to generations, and wherever the process dies: the ledger sums to the truth."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar
from uuid import UUID

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from integration.conftest import close, let_lead
from sqlalchemy import event, or_, select

import sidecar
from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.comfyui.outcomes import Accepted, Finished
from sidecar.errors import Refused
from sidecar.generations.accounting import discrepancies
from sidecar.generations.in_flight import take_back
from sidecar.generations.models import Generation, move
from sidecar.generations.recording import record_accepted, record_finished
from sidecar.generations.retries import TRIES_AT_MOST
from sidecar.generations.states import IN_FLIGHT, OPEN, GenerationState
from sidecar.generations.submissions import Request
from sidecar.generations.timeouts import Limit
from sidecar.identity import uuid7
from sidecar.limits.ledger import UsageEntry, tally
from sidecar.limits.windows import Tally, Window
from sidecar.parts import Parts, put_together
from sidecar.settings import read_settings
from sidecar.sqlite_connection import QuickConnection

from .conftest import WORKFLOW, Clock, add_instance, change_plan

ALLOWED = 3
AN_HOUR = Window("generations_per_hour", "generations", timedelta(hours=1), ALLOWED)
OVERDUE = Limit("waited_too_long", 60, lambda _: Generation.state == GenerationState.PENDING.value, "It waited.")
SUBJECTS = tuple(str(Path(sidecar.__file__).parent / part) for part in ("generations", "limits", "database.py"))

which = st.integers(0, 20)


class Killed(BaseException):
    """The process is no more."""


class Killer:
    """Ends whatever is done after so many lines of the code that writes generations and the ledger."""

    def __init__(self, lines: int) -> None:
        self._lines = lines

    def __call__(self, frame: FrameType, _event: str, _about: Any) -> Callable[..., Any] | None:
        return self._step if frame.f_code.co_filename.startswith(SUBJECTS) else None

    def _step(self, _frame: FrameType, event: str, _about: Any) -> Callable[..., Any]:
        self._lines -= event == "line"
        if self._lines == 0:
            raise Killed
        return self._step


class Everything(RuleBasedStateMachine):
    """What happens to generations of one person, whose limits let them wait."""

    new_backend: ClassVar[Callable[[Path], dict[str, str]]]
    clock: ClassVar[Clock]

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path(tempfile.mkdtemp(prefix="genonaut-ledger-"))
        self._backend = type(self).new_backend(self._folder)
        self._loop = asyncio.new_event_loop()
        self._parts = self._start()
        self._came_by_another_door = False
        self._dies_after: int | None = None
        self._loop.run_until_complete(self._set_up())

    def _start(self) -> Parts:
        said = {"GENONAUT_DATA": str(self._folder), "GENONAUT_OPEN_PLAN": "standard", **self._backend}

        async def start() -> Parts:
            parts = put_together(read_settings(said))
            await let_lead(parts.leadership)
            return parts

        def remember(connection: Any, _record: Any) -> None:
            self._connections.append(connection.driver_connection)

        parts = self._loop.run_until_complete(start())
        self._connections: list[Any] = []
        event.listen(parts.database.engine.sync_engine, "connect", remember)
        return parts

    async def _set_up(self) -> None:
        self._instance_id = await add_instance(self._parts)
        await change_plan(self._parts, "standard", generations_per_hour=ALLOWED, gpu_seconds_per_day=300)

    def teardown(self) -> None:
        self._stop()
        self._loop.close()
        shutil.rmtree(self._folder)

    def _stop(self) -> None:
        async def stop() -> None:
            await close(self._parts)

        self._loop.run_until_complete(stop())

    def _die(self) -> None:
        """What was open is closed, as the operating system does."""

        async def close() -> None:
            for connection in self._connections:
                if not isinstance(connection, QuickConnection):
                    connection.terminate()  # PostgreSQL's
                elif closing := connection.stop():
                    await closing

        self._loop.run_until_complete(close())
        self._stop()

    def _do(self, doing: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """It may be refused, and the process may die of it."""
        lines, self._dies_after = self._dies_after, None
        tracing = sys.gettrace()
        try:
            if lines is not None:
                sys.settrace(Killer(lines))
            self._loop.run_until_complete(doing())
        except Refused:
            pass
        except (Killed, asyncio.CancelledError):
            sys.settrace(tracing)
            self._die()
            self._parts = self._start()
        finally:
            sys.settrace(tracing)

    def _one(self, number: int, states: frozenset[GenerationState], *, may_go: bool = False) -> UUID | None:
        """One of those in such a state; one that no moment holds back, if it is to go."""

        async def find() -> UUID | None:
            query = select(Generation.id).where(Generation.state.in_([state.value for state in states]))
            if may_go:
                query = query.where(or_(Generation.not_before.is_(None), Generation.not_before <= self.clock.at))
            async with self._parts.database.reading() as session:
                found = (await session.scalars(query.order_by(Generation.number))).all()
            return found[number % len(found)] if found else None

        return self._loop.run_until_complete(find())

    @rule(lines=st.integers(1, 300))
    def die_soon(self, lines: int) -> None:
        self._dies_after = lines

    @rule(minutes=st.integers(0, 40))
    def let_time_pass(self, minutes: int) -> None:
        self.clock.at += timedelta(minutes=minutes)

    @rule(count=st.integers(1, 3))
    def submit(self, count: int) -> None:
        async def submit() -> None:
            requests = [Request(uuid7(), LOCAL_OWNER_ID, "api", WORKFLOW) for _ in range(count)]
            await asyncio.gather(*map(self._parts.admission.admit, requests))

        self._do(submit)

    @rule()
    def come_by_another_door(self) -> None:
        async def accept() -> None:
            entry = Accepted(1, str(uuid7()), self.clock().timestamp(), "outside", WORKFLOW, {}, None)
            async with self._parts.database.writing() as session:
                await record_accepted(session, entry, self._instance_id)

        self._came_by_another_door = True
        self._do(accept)

    @rule(number=which)
    def send(self, number: int) -> None:
        async def send() -> None:
            async with self._parts.database.writing() as session:
                generation = await session.get_one(Generation, found)
                move(session, generation, GenerationState.SUBMITTED, at=self.clock())
                generation.instance_id, generation.waiting_reason = self._instance_id, None
                generation.tries += 1

        found = self._one(number, frozenset({GenerationState.PENDING}), may_go=True)
        if found is not None:
            self._do(send)

    @rule(
        number=which,
        status=st.sampled_from(["completed", "completed", "failed", "cancelled"]),
        took_s=st.floats(0, 40),
        outputs=st.sampled_from([{}, {"9": {"images": [{"filename": "a.png", "subfolder": "", "type": "output"}]}}]),
    )
    def finish(self, number: int, status: Any, took_s: float, outputs: dict[str, Any]) -> None:
        async def finish() -> None:
            at = self.clock().timestamp()
            entry = Finished(1, str(found), status, finished_at=at, started_at=at - took_s, outputs=outputs)
            async with self._parts.database.writing() as session:
                await record_finished(session, entry, self._instance_id)

        found = self._one(number, IN_FLIGHT)
        if found is not None:
            self._do(finish)

    @rule(number=which, tries=st.sampled_from([1, TRIES_AT_MOST]))
    def lose(self, number: int, tries: int) -> None:
        """It waits for another try, or is lost for good."""

        async def lose() -> None:
            async with self._parts.database.writing() as session:
                generation = await session.get_one(Generation, found)
                if GenerationState(generation.state) is GenerationState.SUBMITTED:
                    move(session, generation, GenerationState.RUNNING, at=self.clock())
                generation.tries = tries
                take_back(session, generation, reason="its ComfyUI died")

        found = self._one(number, IN_FLIGHT)
        if found is not None:
            self._do(lose)

    @rule(number=which)
    def cancel(self, number: int) -> None:
        found = self._one(number, OPEN)
        if found is not None:
            self._do(lambda: self._parts.dispatcher.cancel(LOCAL_OWNER_ID, found))

    @rule(number=which)
    def time_out(self, number: int) -> None:
        found = self._one(number, frozenset({GenerationState.PENDING}))
        if found is not None:
            self._do(lambda: self._parts.timeouts._fail(OVERDUE, found))

    @rule()
    def move_up(self) -> None:
        self._do(self._parts.moving_up.look)

    @invariant()
    def the_ledger_sums_to_the_truth(self) -> None:
        """Of what is open itself and its estimate, of what is completed itself and what it took, else nothing."""

        async def look() -> tuple[Any, ...]:
            async with self._parts.database.reading() as session:
                held = select(Generation.not_before, UsageEntry.counted_at).join(
                    UsageEntry, UsageEntry.generation_id == Generation.id
                )
                held = held.where(Generation.state == GenerationState.PENDING.value)
                rows = await session.execute(held.where(Generation.waiting_reason.is_not(None)))
                counted = await tally(session, [LOCAL_OWNER_ID], at=self.clock.at)
                return await discrepancies(session), rows.all(), counted

        wrong, held, counted = self._loop.run_until_complete(look())
        assert wrong == []
        assert all(moment == counted_at for moment, counted_at in held)
        assert self._came_by_another_door or highest(counted) <= ALLOWED


def highest(counted: Tally) -> int:
    """The most that any hour holds."""
    return max((counted.used(AN_HOUR, moment) for moment in counted.times), default=0)


the_same_every_time = settings(
    max_examples=8,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],  # each step is a transaction or two: to look for a shorter story would take minutes
    suppress_health_check=list(HealthCheck),
)


def test_whatever_happens_and_wherever_it_dies_the_ledger_sums_to_the_truth(
    new_backend: Callable[[Path], dict[str, str]], clock: Clock
):
    """
    Submissions, ends of every kind, tries, time and deaths in any order; and no hour ever holds more than is allowed.
    """
    machine = type("OnACopy", (Everything,), {"new_backend": staticmethod(new_backend), "clock": clock})
    run_state_machine_as_test(machine, settings=the_same_every_time)
