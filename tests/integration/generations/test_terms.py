"""Whoever led before has a prompt under way when the next one looks what ComfyUI has."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.comfyui import ScriptedComfyUI, SlowComfyUI
from fakes.plain_comfyui import SlowPlainComfyUI
from integration.backends import with_postgresql
from psycopg import AsyncConnection

from sidecar.cluster import postgresql
from sidecar.cluster.postgresql import LEADERS_LOCK
from sidecar.generations import reconciling
from sidecar.parts import put_together
from sidecar.running import running

from .conftest import StartSidecar, look_again, settings_of, show, submit, until, until_connected, until_state

END_LEADERS_SESSION = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s"


@with_postgresql
async def test_what_a_leader_of_before_has_under_way_does_not_run_beside_what_the_next_one_sends(
    tmp_path: Path, backend: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    """
    A slow ComfyUI has not let it in yet, so the next leader does not find it there, and sends it once more. The first
    one was cut off and does not know it.
    """
    monkeypatch.setattr(postgresql, "LOOK_EVERY_S", 3600.0)
    async with SlowComfyUI().served() as slow, ScriptedComfyUI().served() as other:
        first = put_together(settings_of(tmp_path, backend, slow.url))
        second = put_together(settings_of(tmp_path, backend, slow.url, other.url))
        async with running(first):
            await until_connected(first, 1)
            generation_id = await submit(first)
            await until(lambda: slow.asked)
            async with running(second):
                async with await AsyncConnection.connect(backend["GENONAUT_DATABASE_URL"]) as admin:
                    await admin.execute(END_LEADERS_SESSION, (LEADERS_LOCK,))
                await until(lambda: second.leadership.term)
                await until(lambda: other.posted or slow.asked > 1)
                slow.go_on.set()
                await until(lambda: slow.refused)
                await until(lambda: slow.pending or other.pending)
                ended = other if other.pending else slow
                await ended.finish(str(generation_id))
                await until_state(second, generation_id, "completed")

    assert slow.refused == [str(generation_id)]
    assert [body["prompt_id"] for body in slow.posted + other.posted] == [str(generation_id)]


async def test_what_a_sidecar_that_ended_has_under_way_to_a_comfyui_without_the_pack_is_waited_for(
    start_sidecar: StartSidecar,
):
    """Nobody can take it back there: until it has certainly come, or not, it goes nowhere else."""
    async with SlowPlainComfyUI().served() as comfyui:
        async with start_sidecar(comfyui) as parts:
            generation_id = await submit(parts)
            await until(lambda: comfyui.asked)
        async with start_sidecar(comfyui) as parts:
            await until_connected(parts, 1)
            await look_again(parts)
            before = (await show(parts, generation_id)).state
            comfyui.go_on.set()
            await until(lambda: comfyui.pending)
            await look_again(parts)
            await comfyui.finish(str(generation_id))
            await until_state(parts, generation_id, "completed")

    assert before == "submitted"
    assert comfyui.posted == [str(generation_id)]


async def test_what_has_not_come_for_too_long_is_sent_again(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch
):
    """It got lost on the way, together with whoever sent it."""
    monkeypatch.setattr(reconciling, "EARLIER_TERMS_GIVE_UP_AFTER_S", 0.0)
    async with SlowPlainComfyUI().served() as comfyui:
        async with start_sidecar(comfyui) as parts:
            await submit(parts)
            await until(lambda: comfyui.asked)
        async with start_sidecar(comfyui) as parts:
            await until(lambda: comfyui.asked == 2)


async def test_a_sidecar_whose_database_is_a_new_one_is_not_taken_for_one_of_before(start_sidecar: StartSidecar):
    """Terms begin at the clock; should it have gone wrong meanwhile, whoever leads begins a later one."""
    async with ScriptedComfyUI().served() as comfyui:
        comfyui.term = 10**14
        async with start_sidecar(comfyui) as parts:
            generation_id = await submit(parts)
            await until(lambda: comfyui.pending)

            assert comfyui.refused == [str(generation_id)]
            assert parts.leadership.term == 10**14 + 1
