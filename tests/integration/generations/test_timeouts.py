"""What takes too long comes to an end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from fakes.comfyui import ScriptedComfyUI, SilentComfyUI, SlowComfyUI
from integration.backends import every_backend
from sqlalchemy import select

from sidecar.generations import following, timeouts
from sidecar.generations.models import Generation
from sidecar.generations.models import move as really_move
from sidecar.generations.schemas import GenerationView
from sidecar.generations.timeouts import Timeouts
from sidecar.identity import now
from sidecar.instances.models import Connection, Instance
from sidecar.parts import Parts

from .conftest import StartSidecar, show, submit, until, until_state

HOURS_3 = timedelta(hours=3)
MOMENTS = ("created_at", "submitted_at", "started_at", "heard_at")


async def pass_time(parts: Parts, *generation_ids: UUID, by: timedelta = HOURS_3, listening_for: timedelta = HOURS_3):
    """As if all that is known of these had happened so much earlier."""
    async with parts.database.writing() as session:
        for generation_id in generation_ids:
            generation = await session.get_one(Generation, generation_id)
            for name in MOMENTS:
                moment = getattr(generation, name)
                setattr(generation, name, moment and moment - by)
        for instance in await session.scalars(select(Instance)):
            instance.since = now() - listening_for


async def two_in_flight(parts: Parts, comfyui: ScriptedComfyUI, *, running: bool) -> list[UUID]:
    ids = [await submit(parts) for _ in range(2)]
    await until(lambda: len(comfyui.pending) == 2)
    if running:
        await comfyui.start(str(ids[0]))
        await until_state(parts, ids[0], "running")
    return ids


async def states(parts: Parts, ids: list[UUID]) -> list[str]:
    return [(await show(parts, generation_id)).state for generation_id in ids]


def code_of(view: GenerationView) -> str:
    assert view.error is not None
    assert view.error.message.endswith(".")
    return view.error.code


@every_backend
async def test_what_runs_without_a_sign_of_life_is_interrupted_and_fails(start_sidecar: StartSidecar):
    """By its own id: what waits behind it is not to blame, and gets its time anew."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        stuck, behind = await two_in_flight(parts, comfyui, running=True)
        await pass_time(parts, stuck, behind)
        for _ in range(2):
            await parts.timeouts.end_overdue({})

        assert code_of(await until_state(parts, stuck, "failed")) == "stalled"
        assert (comfyui.running, comfyui.pending) == ([], [str(behind)])
        await comfyui.finish(str(behind))
        await until_state(parts, behind, "completed")


async def test_what_comfyui_has_and_does_nothing_with_fails(start_sidecar: StartSidecar):
    """It is taken out of ComfyUI's queue, and what is next gets its place."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        ids = await two_in_flight(parts, comfyui, running=False)
        await pass_time(parts, ids[0])
        await parts.timeouts.end_overdue({})

        assert code_of(await until_state(parts, ids[0], "failed")) == "not_started"
        assert comfyui.pending == [str(ids[1])]
        assert (await show(parts, ids[1])).state == "submitted"


async def test_what_timed_out_on_its_way_does_not_stay_in_comfyui(start_sidecar: StartSidecar):
    """Whoever looks at the clock need not be who sends it: it arrives after it was given up."""
    async with SlowComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await submit(parts)
        await until(lambda: comfyui.asked)
        await pass_time(parts, generation_id)
        await parts.timeouts.end_overdue({})
        comfyui.go_on.set()
        await until(lambda: comfyui.posted)

        await until(lambda: not comfyui.pending)
        assert code_of(await show(parts, generation_id)) == "not_started"


async def test_one_that_cannot_be_ended_keeps_no_other_from_its_end(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch
):
    """A fault of ours with one of them is told in the log, and the clock comes again."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        ids = await two_in_flight(parts, comfyui, running=False)
        await pass_time(parts, *ids)

        def move(session: Any, generation: Generation, *facts: Any, **more: Any) -> None:
            if generation.id == ids[0]:
                raise RuntimeError("A fault of ours")
            really_move(session, generation, *facts, **more)

        monkeypatch.setattr(timeouts, "move", move)
        await parts.timeouts.end_overdue({})

        assert await states(parts, ids) == ["submitted", "failed"]


async def test_whoever_shows_life_has_time(start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch):
    """A sampler that is at step 3 after three hours, and all that waits behind it."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        ids = await two_in_flight(parts, comfyui, running=True)
        await pass_time(parts, *ids)
        monkeypatch.setattr(following, "NOTE_EVERY_S", 0.0)
        await comfyui.tell("progress_state", {"prompt_id": str(ids[0]), "nodes": {}})

        async def noted() -> bool:
            async with parts.database.reading() as session:
                heard_at = (await session.get_one(Generation, ids[0])).heard_at
            return heard_at is not None and now() - heard_at < timedelta(minutes=5)

        await until(noted)
        await parts.timeouts.end_overdue({})

        assert await states(parts, ids) == ["running", "submitted"]


async def test_silence_counts_only_while_somebody_listens(start_sidecar: StartSidecar):
    """A ComfyUI that is away, or that was met again only now, may have told us all the time."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        ids = await two_in_flight(parts, comfyui, running=True)
        await pass_time(parts, *ids, listening_for=timedelta(minutes=5))
        await parts.timeouts.end_overdue({})
        assert await states(parts, ids) == ["running", "submitted"]

        await pass_time(parts, *ids)
        async with parts.database.writing() as session:
            (await session.scalars(select(Instance))).one().state = Connection.AWAY.value
        await parts.timeouts.end_overdue({})
        assert await states(parts, ids) == ["running", "submitted"]


async def test_what_has_ended_in_silence_ends_as_it_ended(start_sidecar: StartSidecar):
    """The journal is asked before anything is given up."""
    async with SilentComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await submit(parts)
        await until(lambda: comfyui.pending)
        await comfyui.finish(str(generation_id))
        await pass_time(parts, generation_id)
        await parts.timeouts.end_overdue({})

        assert (await show(parts, generation_id)).state == "completed"


async def test_who_waits_too_long_for_a_turn_fails_where_that_is_set(start_sidecar: StartSidecar):
    """By default one may wait for ever; the time for which a limit holds it back does not count."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        await two_in_flight(parts, comfyui, running=False)
        old, held_back, young = [await submit(parts) for _ in range(3)]
        await pass_time(parts, old, held_back)
        async with parts.database.writing() as session:
            (await session.get_one(Generation, held_back)).not_before = now() - timedelta(seconds=5)
        await parts.timeouts.end_overdue({})
        assert await states(parts, [old, held_back, young]) == ["pending"] * 3

        settings = replace(parts.settings, waiting_at_most_s=60)
        aftermath = parts.timeouts._aftermath
        await Timeouts(parts.database, parts.instances, parts.recorders, aftermath, settings).end_overdue({})

        assert await states(parts, [old, held_back, young]) == ["failed", "pending", "pending"]
        assert code_of(await show(parts, old)) == "waited_too_long"
