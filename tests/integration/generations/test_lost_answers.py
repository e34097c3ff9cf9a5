"""What happens when an answer gets lost on its way, or takes its time."""

from __future__ import annotations

from uuid import UUID

import pytest
from fakes.comfyui import AmnesiacComfyUI, LossyComfyUI, ScriptedComfyUI, SlowAndLossyComfyUI, SlowComfyUI
from integration.backends import every_backend
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.errors import DatabaseUnavailable
from sidecar.generations.models import Generation
from sidecar.identity import generation_id_of

from .conftest import WORKFLOW, StartSidecar, look_again, show, submit, until, until_state


@every_backend
async def test_a_prompt_that_arrived_though_its_answer_was_lost_runs_once(start_sidecar: StartSidecar):
    """ComfyUI is looked at before it is tried again, and there it is."""
    async with LossyComfyUI(times=1).served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await submit(parts)
        await until(lambda: comfyui.pending)
        await until(lambda: not parts.dispatcher._postings)
        assert (await show(parts, generation_id)).state == "submitted"
        await comfyui.finish(str(generation_id))

        await until_state(parts, generation_id, "completed")
        assert len(comfyui.posted) == 1


async def test_cancelling_what_arrived_though_its_answer_was_lost_takes_it_out_of_comfyui(start_sidecar: StartSidecar):
    """Here and there, whoever believed what of it."""
    async with LossyComfyUI(times=1).served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await submit(parts)
        await until(lambda: comfyui.pending)
        await until(lambda: not parts.dispatcher._postings)
        await parts.dispatcher.cancel(LOCAL_OWNER_ID, generation_id)

        assert (await show(parts, generation_id)).state == "cancelled"
        assert comfyui.pending == []


@every_backend
async def test_what_was_cancelled_while_it_was_on_its_way_is_not_sent_again(start_sidecar: StartSidecar):
    """ComfyUI had not answered yet, and then its answer was lost."""
    async with SlowAndLossyComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await submit(parts)
        await until(lambda: comfyui.asked)
        await parts.dispatcher.cancel(LOCAL_OWNER_ID, generation_id)
        comfyui.go_on.set()
        await until_state(parts, generation_id, "cancelled")
        await look_again(parts)

        await until(lambda: not comfyui.pending)
        assert comfyui.asked == 1


async def test_a_comfyui_that_takes_its_time_is_not_asked_twice(start_sidecar: StartSidecar):
    """While one prompt is on its way, every other token and clock leaves it alone."""
    async with SlowComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await submit(parts)
        await until(lambda: comfyui.asked)
        for _ in range(3):
            parts.dispatcher.wake()
            await look_again(parts)
        comfyui.go_on.set()
        await until(lambda: comfyui.pending)

        assert comfyui.asked == 1
        assert (await show(parts, generation_id)).state == "submitted"


async def test_a_prompt_that_has_run_without_an_outcome_is_lost_and_not_tried_for_ever(start_sidecar: StartSidecar):
    """A journal that lost its end: nobody can say how the prompt ended."""
    async with AmnesiacComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        view = await until_state(parts, await submit(parts), "lost")

        assert view.error is not None
        assert view.error.code == "lost"
        assert len(comfyui.posted) == 1


@every_backend
async def test_a_turn_whose_commit_was_not_answered_is_found_and_goes_on(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch
):
    """The database had written it down when the connection broke; nobody has sent it, and nobody thinks so."""
    commit = AsyncSession.commit
    broken: list[UUID] = []

    async def commit_and_break(session: AsyncSession) -> None:
        taken = [each.id for each in session if isinstance(each, Generation) and each.state == "submitted"]
        await commit(session)
        if taken and not broken:
            broken.extend(taken)
            raise DatabaseUnavailable

    monkeypatch.setattr(AsyncSession, "commit", commit_and_break)
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await submit(parts)
        await until(lambda: broken)
        assert (await show(parts, generation_id)).state == "submitted"
        await until(lambda: not parts.dispatcher._postings)
        await look_again(parts)
        await until(lambda: comfyui.pending)
        await comfyui.finish(str(generation_id))

        await until_state(parts, generation_id, "completed")
        assert len(comfyui.posted) == 1


async def test_a_prompt_of_another_pack_is_cancelled_by_its_own_id(start_sidecar: StartSidecar):
    """ComfyUI knows it by the name that the other pack gave it."""
    async with ScriptedComfyUI().served() as comfyui:
        comfyui.accept("my own id", WORKFLOW, source="outside")
        async with start_sidecar(comfyui) as parts:
            generation_id = generation_id_of("my own id")
            await until(lambda: not comfyui.entries)
            await parts.dispatcher.cancel(LOCAL_OWNER_ID, generation_id)

            await until_state(parts, generation_id, "cancelled")
            assert comfyui.pending == []
