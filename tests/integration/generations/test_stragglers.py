"""What an instance tells of a generation that it should not have any more, or not yet."""

from __future__ import annotations

from uuid import UUID

import pytest
from fakes.comfyui import ScriptedComfyUI

from sidecar.comfyui.outcomes import Finished
from sidecar.generations.in_flight import take_back
from sidecar.generations.models import Generation, move
from sidecar.generations.recording import record_finished
from sidecar.generations.states import GenerationState
from sidecar.identity import now
from sidecar.parts import Parts

from .conftest import FIRST, SECOND, StartSidecar, show, submit, until, until_connected, until_state


async def hear_of_a_cancellation(parts: Parts, generation_id: UUID, *, by: UUID) -> None:
    entry = Finished(
        sequence=1, prompt_id=str(generation_id), status="cancelled", started_at=None, finished_at=now().timestamp()
    )
    async with parts.database.writing() as session:
        await record_finished(session, entry, by)


@pytest.mark.parametrize("may_be_at", [None, SECOND])
async def test_what_was_taken_out_of_an_instance_goes_on_waiting(idle_parts: Parts, may_be_at: UUID | None):
    """It was given elsewhere, came back with the first one, and waits again: nobody asked for its end."""
    generation_id = await submit(idle_parts)
    async with idle_parts.database.writing() as session:
        (await session.get_one(Generation, generation_id)).instance_id = may_be_at
    await hear_of_a_cancellation(idle_parts, generation_id, by=FIRST)

    assert (await show(idle_parts, generation_id)).state == "pending"


async def test_what_somebody_took_out_of_the_comfyui_that_may_have_it_is_cancelled(idle_parts: Parts):
    """Its answer was lost, it arrived, and somebody deleted it in ComfyUI itself."""
    generation_id = await submit(idle_parts)
    async with idle_parts.database.writing() as session:
        (await session.get_one(Generation, generation_id)).instance_id = FIRST
    await hear_of_a_cancellation(idle_parts, generation_id, by=FIRST)

    assert (await show(idle_parts, generation_id)).state == "cancelled"


async def test_what_begins_where_it_should_not_be_does_not_run_where_it_is(start_sidecar: StartSidecar):
    """It would be shown as running, and its silence counted, while it waits in the queue of another one."""
    async with ScriptedComfyUI().served() as one, ScriptedComfyUI().served() as two, start_sidecar(one, two) as parts:
        await until_connected(parts)
        ids = [await submit(parts) for _ in range(2)]
        await until(lambda: one.pending and two.pending)
        here, there = (next(each for each in ids if str(each) in comfyui.pending) for comfyui in (one, two))
        await one.tell("execution_start", {"prompt_id": str(there)})
        await one.start(str(here))
        await until_state(parts, here, "running")

        assert (await show(parts, there)).state == "submitted"


async def test_no_more_tries_are_given_back_than_were_spent(idle_parts: Parts):
    """One that was never sent from here, and was found in an instance that then ended."""
    generation_id = await submit(idle_parts)
    async with idle_parts.database.writing() as session:
        generation = await session.get_one(Generation, generation_id)
        move(session, generation, GenerationState.SUBMITTED, at=now())
        generation.instance_id = FIRST
        take_back(session, generation, reason="its instance is away")

    assert generation.tries == 0


async def test_a_turn_that_is_over_takes_nothing_from_the_next_one(idle_parts: Parts):
    """It ran out of memory at once, and had its second turn before the first one's sender looked after it."""
    generation_id = await submit(idle_parts)
    turns = []
    for state in (GenerationState.SUBMITTED, GenerationState.PENDING, GenerationState.SUBMITTED):
        async with idle_parts.database.writing() as session:
            generation = await session.get_one(Generation, generation_id)
            move(session, generation, state, at=now())
            generation.instance_id = FIRST
        turns.append(generation)
    await idle_parts.dispatcher._take_out(turns[0])
    second = (await show(idle_parts, generation_id)).state
    await idle_parts.dispatcher._take_out(turns[2])

    assert second == "submitted"
    assert (await show(idle_parts, generation_id)).state == "pending"
