"""Send what is next to ComfyUI, follow it, take it back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.cluster.leadership import Leadership
from sidecar.comfyui.dialect import Prompt
from sidecar.database import Database
from sidecar.errors import (
    Away,
    ComfyUIAway,
    ComfyUIBroken,
    GenonautError,
    ImpossibleTransition,
    LeadershipLost,
    NotCancellable,
    PromptFinishedAlready,
    PromptRejected,
    TermIsOver,
)
from sidecar.generations import shares
from sidecar.generations.history import owned
from sidecar.generations.in_flight import is_at, take_back
from sidecar.generations.lanes import Lane
from sidecar.generations.models import Generation, Workflow, ask_to_cancel, move, prompt_id_of
from sidecar.generations.postings import Postings
from sidecar.generations.progress import ProgressBoard
from sidecar.generations.queueing import Queueing
from sidecar.generations.recorder import Recorders
from sidecar.generations.retries import TRIES_AT_MOST, next_try, rule_for
from sidecar.generations.schemas import WITHHELD
from sidecar.generations.states import FINAL, IN_FLIGHT, GenerationState
from sidecar.generations.turn_giving import TurnGiver
from sidecar.generations.workflows import unpack_workflow
from sidecar.identity import now
from sidecar.instances import standing
from sidecar.instances.connections import Instances
from sidecar.instances.models import Instance, Wanted
from sidecar.tasks import end

TOLD_AFTER_S = 0.05  # of what has ended by then browsers are told once
MEMORY_IS_FREED_IN_S = 1.0  # ComfyUI's worker does it as soon as it is idle, and tells nobody

log = structlog.get_logger(__name__)


class Dispatcher:
    """Feeds every instance, one prompt ahead of the running one. One a process."""

    def __init__(
        self,
        database: Database,
        leadership: Leadership,
        instances: Instances,
        turns: TurnGiver,
        queueing: Queueing,
        recorders: Recorders,
        postings: Postings,
        board: ProgressBoard,
        announce: Callable[[UUID], Awaitable[None]],
    ) -> None:
        self._database = database
        self._leadership = leadership
        self._instances = instances
        self._turns = turns
        self._queueing = queueing
        self._recorders = recorders
        self._postings = postings
        self._board = board
        self._announce = announce
        self._awake = asyncio.Event()
        self._is_running = False
        self._lanes: dict[UUID, Lane] = {}
        self._telling: set[asyncio.Task[None]] = set()

    def wake(self) -> bool:
        """Somebody's turn may have come; tells whether it is this dispatcher that looks."""
        self._awake.set()
        return self._is_running

    async def run(self) -> None:
        """
        Send generations whenever there may be one to send, until cancelled.

        A task of its own: a ComfyUI that takes a minute to answer must not hold up the queue's workers.
        """
        self._is_running = True
        self._turns.send = self._put
        try:
            while True:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._awake.wait(), self._turns.rest_s)
                self._awake.clear()
                try:
                    await self._fill()
                except Exception:
                    # A fault of ours or of the database. The sweeper wakes us again in some seconds.
                    log.exception("dispatching_failed")
        finally:
            self._is_running = False
            self._turns.send = None
            await asyncio.gather(*(lane.close() for lane in self._lanes.values()), end(*self._telling))
            # Whoever leads next finds out what became of what was on its way.
            self._lanes.clear()
            self._postings.clear()

    async def _fill(self) -> None:
        """Hand out as many generations as the instances may have, in the order of turns."""
        while True:
            outlook = await self._turns.look()
            if outlook.beginning:
                await self._turns.let_begin(outlook.beginning)
                continue
            went = [await self._turns.give(choice) is not None for choice in outlook.choices]
            for generation_id in await self._turns.let_wait(outlook):
                await self._announce(generation_id)
            if all(went) or not any(went):
                return  # every place is filled, or something has changed of which we shall hear

    def _put(self, generation: Generation) -> None:
        """It has had its turn: send it, after what goes to the same instance."""
        self._lane_of(instance_of(generation)).put(generation)

    def _lane_of(self, instance_id: UUID) -> Lane:
        # Only those that are in use are kept: instances come and go.
        self._lanes = {known: lane for known, lane in self._lanes.items() if lane.is_in_use}
        return self._lanes.setdefault(instance_id, Lane(self._send))

    async def cancel(self, owner_id: UUID, generation_id: UUID) -> None:
        """
        Take a generation back: at once while it is held, else as soon as ComfyUI has let go of it.

        Raises:
            NotFound: It is not the owner's.
            NotCancellable: It has ended in another way already.
        """
        async with self._database.writing() as session:
            generation = await owned(session, owner_id, generation_id)
            state = GenerationState(generation.state)
            if state is GenerationState.CANCELLED:
                return
            if state in FINAL:
                raise NotCancellable
            ask_to_cancel(session, generation)
        log.info("generation_cancel_requested", generation_id=str(generation_id), state=state.value)
        if state is GenerationState.PENDING:
            await self.after_cancelling(generation)
        else:
            await self.cancel_in_comfyui(generation)
        await self._announce(generation_id)

    async def after_cancelling(self, generation: Generation) -> None:
        """One that waited was cancelled. It may have been tried before and arrived there, and the answer was lost."""
        if generation.tries:
            await self.cancel_in_comfyui(generation)

    async def cancel_in_comfyui(self, generation: Generation) -> None:
        """Have ComfyUI let go of it, as its row says that it shall; and write down how it ended."""
        if generation.instance_id is None:
            return
        comfyui = await self._instances.client_of(generation.instance_id)
        recorder = await self._recorders.of(generation.instance_id)
        try:
            await comfyui.cancel_prompt(prompt_id_of(generation))
            await recorder.collect()
        except Away:
            # The request is written down; reconciling repeats it when ComfyUI is back.
            log.warning("cancel_waits_for_comfyui", generation_id=str(generation.id), exc_info=True)

    async def _send(self, generation: Generation) -> None:
        """ComfyUI need not wait for its prompt until browsers have been told of it."""
        telling = asyncio.create_task(self._tell_soon(generation.id))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)
        await self._deliver(generation)

    async def _tell_soon(self, generation_id: UUID) -> None:
        await asyncio.sleep(TOLD_AFTER_S)
        if generation_id not in self._postings and not self._board.knows(generation_id):
            return  # it has ended, or waits again, and that is told
        try:
            await self._announce(generation_id)
        except Exception:
            # A fault of ours or of the database, told in full. The next change of it is told anew.
            log.exception("sending_not_told", generation_id=str(generation_id))

    async def _deliver(self, generation: Generation) -> None:
        """Post one prompt, and deal with whatever comes of it."""
        try:
            await self._post(generation)
        except PromptFinishedAlready:
            await self._find_outcome(generation)
        except PromptRejected as exc:
            await self._reject(generation, exc)
        except TermIsOver as exc:
            await self._leadership.overtake(exc.latest)  # unless there is somebody else who leads
            await self._put_back(generation, exc)
        except ComfyUIAway as exc:
            await self._put_back(generation, exc)
            await self._make_sure(generation, exc)
        except (Away, LeadershipLost):
            raise  # such as the database: nothing was tried
        except Exception:
            # A fault of ours, such as a row that cannot be read: it must not come round for ever.
            log.exception("sending_failed", generation_id=str(generation.id))
            await self._put_back_faulty(generation)
        else:
            return
        finally:
            self._postings.discard(generation.id)
        await self._announce(generation.id)

    async def _post(self, generation: Generation) -> None:
        async with self._database.reading() as session:
            await self._leadership.require(session)
            stored = unpack_workflow(await session.get_one(Workflow, generation.workflow_hash))
        self._board.begin(generation.id, generation.owner_id, stored.workflow)
        comfyui = await self._instances.client_of(instance_of(generation))
        if generation.memory_freed:
            await comfyui.free_memory()
            await asyncio.sleep(MEMORY_IS_FREED_IN_S)
        await comfyui.submit_prompt(
            Prompt(
                prompt_id_of(generation),
                workflow=stored.workflow,
                extra_data=tagged_extra_data(generation, stored.ui_workflow),
                client_id=generation.client_id,
                partial_execution_targets=generation.submission.get("partial_execution_targets"),
                term=self._leadership.term,
            )
        )
        log.info("generation_submitted", generation_id=str(generation.id), tries=generation.tries)
        if not await self._belongs_there(generation):
            await self._take_out(generation)

    async def _belongs_there(self, generation: Generation) -> bool:
        """Is it still where it was sent? It may have been cancelled, timed out, or its instance removed."""
        async with self._database.reading() as session:
            row = (await session.execute(WHERE_IT_IS, {"id": generation.id})).one_or_none()
        if row is None or row.instance_id != generation.instance_id:
            return False
        is_there = GenerationState(row.state) in IN_FLIGHT or row.state == GenerationState.COMPLETED.value
        return is_there and not row.cancel_requested and row.wanted != Wanted.REMOVED.value

    async def _take_out(self, generation: Generation) -> None:
        """Somebody wanted it elsewhere, or nowhere, while it was on its way and ComfyUI did not know it yet."""
        async with self._leadership.writing() as session:
            latest = await session.get_one(Generation, generation.id)
            # One that ended there and was put back may have its next turn by now, which this one must leave alone.
            is_same_turn = is_at(latest, instance_of(generation)) and latest.submitted_at == generation.submitted_at
            is_to_go_on = is_same_turn and not latest.cancel_requested
            if latest.run == generation.run:
                latest.run_is_over = True
            if is_to_go_on:
                take_back(session, latest, reason="its instance was removed")
                await shares.let_wait(session, [latest])
        await self.cancel_in_comfyui(generation)
        if is_to_go_on:
            await self._after_putting_back(latest)
            await self._announce(latest.id)

    async def _find_outcome(self, generation: Generation) -> None:
        """ComfyUI says that it has run this: the journal tells how it ended, or nobody ever will."""
        recorder = await self._recorders.of(instance_of(generation))
        await recorder.collect()
        async with self._leadership.writing() as session:
            generation = await session.get_one(Generation, generation.id)
            if GenerationState(generation.state) not in IN_FLIGHT:
                return
            move(session, generation, GenerationState.LOST, at=now(), reason="its outcome is nowhere to be found")
            generation.error_code = GenerationState.LOST.value
            generation.error = {"message": "ComfyUI has run this, but nobody can say how it ended. Run it again."}
        self._board.end(generation.id)
        log.error("generation_without_outcome", generation_id=str(generation.id))

    async def _reject(self, generation: Generation, rejection: PromptRejected) -> None:
        async with self._leadership.writing() as session:
            generation = await session.get_one(Generation, generation.id)
            if GenerationState(generation.state) in FINAL:
                return
            move(session, generation, GenerationState.FAILED, at=now(), reason=rejection.code)
            generation.error_code = rejection.code
            generation.error = {"message": rejection.message, "node_errors": rejection.node_errors}
        self._board.end(generation.id)
        log.warning("generation_rejected", generation_id=str(generation.id), reason=rejection.message)

    async def _put_back(self, generation: Generation, exc: ComfyUIAway) -> None:
        """It did not arrive, as far as is known: it waits again, and fails after the last try."""
        instance_id = instance_of(generation)
        async with self._leadership.writing() as session:
            generation = await session.get_one(Generation, generation.id)
            if GenerationState(generation.state) is not GenerationState.SUBMITTED:
                return
            if not rule_for(exc).spends_a_try:  # nothing was tried: nobody was there
                generation.tries -= 1
                generation.instance_id = None
            else:
                instance = await session.get_one(Instance, instance_id)
                standing.failed(instance, code=exc.code, reason=exc.message, generation_id=generation.id, at=now())
            message = (
                f"ComfyUI failed {generation.tries} times to take this in. Ask whoever runs it to look at its log."
            )
            wait_or_end(session, generation, code=exc.code, message=message, may_pass=rule_for(exc).may_pass)
        log.warning("generation_not_submitted", generation_id=str(generation.id), tries=generation.tries, exc_info=exc)
        await self._after_putting_back(generation)

    async def _put_back_faulty(self, generation: Generation) -> None:
        """Sending it failed in a way that nobody foresaw: that spends a try, and is no fault of the instance."""
        async with self._leadership.writing() as session:
            generation = await session.get_one(Generation, generation.id)
            if GenerationState(generation.state) is not GenerationState.SUBMITTED:
                return
            message = (
                f"Genonaut failed {generation.tries} times to send this to ComfyUI. Submit it anew; "
                "if that happens again, ask whoever runs Genonaut to look at its log."
            )
            wait_or_end(session, generation, code=GenonautError.code, message=message)
        await self._after_putting_back(generation)

    async def _after_putting_back(self, generation: Generation) -> None:
        self._board.end(generation.id)
        if generation.state == GenerationState.PENDING.value:
            token = f"try-{generation.tries}"
            await self._queueing.dispatch(generation.id, reason=token, not_before=generation.not_before)

    async def _make_sure(self, generation: Generation, exc: ComfyUIAway) -> None:
        """
        Did it arrive all the same? One that is not there may go elsewhere.

        After a time-out nobody can say: ComfyUI may still be about to take it in. So it is asked again first.
        """
        instance_id = instance_of(generation)
        if not isinstance(exc, ComfyUIBroken):
            return
        try:
            await (await self._recorders.of(instance_id)).reconcile()
        except Away:
            return
        async with self._leadership.writing() as session:
            latest = await session.get_one(Generation, generation.id)
            if latest.state == GenerationState.PENDING.value and latest.instance_id == instance_id:
                latest.instance_id = None


WHERE_IT_IS = (
    select(Generation.state, Generation.instance_id, Generation.cancel_requested, Instance.wanted)
    .join(Instance, Instance.id == Generation.instance_id)
    .where(Generation.id == bindparam("id"))
)


def wait_or_end(
    session: AsyncSession, generation: Generation, *, code: str, message: str, may_pass: bool = True
) -> None:
    """It was not sent: it waits for another try, or ends if there is none, or if none is wanted."""
    if generation.cancel_requested:
        # Should it have arrived all the same, the next look at ComfyUI's queue finds and ends it.
        move(session, generation, GenerationState.CANCELLED, at=now(), reason=code)
    elif generation.tries >= TRIES_AT_MOST or not may_pass:
        move(session, generation, GenerationState.FAILED, at=now(), reason=code)
        generation.error_code, generation.error = code, {"message": message}
    else:
        move(session, generation, GenerationState.PENDING, at=now(), reason=code)
        generation.not_before = next_try(tries=generation.tries, at=now())


def instance_of(generation: Generation) -> UUID:
    """Where a generation that is on its way goes."""
    if generation.instance_id is None:
        raise ImpossibleTransition(f"Generation {generation.id} was sent without an instance.")
    return generation.instance_id


def tagged_extra_data(generation: Generation, ui_workflow: dict[str, Any] | None) -> dict[str, Any]:
    """What goes to ComfyUI with the workflow: as submitted, with the tag that ends up in the files."""
    tag: dict[str, Any] = {
        "generation_id": str(generation.id),
        "owner_id": str(generation.owner_id),
        "title": generation.title,
        "tags": generation.tags,
    }
    if generation.review in WITHHELD:
        tag["review"] = True  # its files are for administrators
    extra_data = dict(generation.submission.get("extra_data") or {})
    pnginfo = dict(extra_data.get("extra_pnginfo") or {})
    if ui_workflow is not None:
        pnginfo["workflow"] = ui_workflow
    pnginfo["genonaut"] = tag
    return {**extra_data, "extra_pnginfo": pnginfo, "genonaut": tag}
