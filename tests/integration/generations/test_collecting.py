"""Outcomes that whoever leads does not write down."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.comfyui import SilentComfyUI
from integration.backends import both_databases
from integration.conftest import close

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.generations.recorder import Recorder
from sidecar.parts import put_together

from .conftest import StartSidecar, settings_of, show, submit, until, until_connected


@both_databases
async def test_any_process_writes_down_what_ended_and_only_once(
    start_sidecar: StartSidecar, tmp_path: Path, backend: dict[str, str]
):
    """The leader hears nothing and does not ask; two others look at the clock in the same moment."""
    async with SilentComfyUI().served() as comfyui, start_sidecar(comfyui) as leader:
        ids = [await submit(leader) for _ in range(2)]
        await until(lambda: len(comfyui.pending) == 2)
        await until(lambda: not leader.dispatcher._postings)
        await comfyui.finish(str(ids[0]))
        others = [put_together(settings_of(tmp_path, backend, comfyui.url)) for _ in range(2)]
        for other in others:
            await other.collecting.collect_outcomes({})
        ended = [(await show(leader, each)).state for each in ids]
        steps = [step.state for step in (await leader.history.timeline(LOCAL_OWNER_ID, ids[0])).items]
        for other in others:
            await close(other)

    assert ended == ["completed", "submitted"]
    assert steps.count("completed") == 1


async def test_an_instance_that_does_not_answer_holds_up_no_other(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch
):
    """Nor does a fault of ours with one of them."""
    collect = Recorder.collect

    async def fail_with_the_first(self: Recorder, **told: int | None) -> None:
        if self._comfyui.url == one.url:
            raise ZeroDivisionError
        await collect(self, **told)

    async with SilentComfyUI().served() as one, SilentComfyUI().served() as two, start_sidecar(one, two) as parts:
        await until_connected(parts)
        ids = [await submit(parts) for _ in range(2)]
        await until(lambda: one.pending and two.pending)
        await until(lambda: not parts.dispatcher._postings)
        there = next(each for each in ids if str(each) in two.pending)
        await two.finish(str(there))
        monkeypatch.setattr(Recorder, "collect", fail_with_the_first)
        await parts.collecting.collect_outcomes({})

        assert (await show(parts, there)).state == "completed"
