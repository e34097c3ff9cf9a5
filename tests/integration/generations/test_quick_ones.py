"""What ends before anybody could have seen it run."""

from __future__ import annotations

import math

import pytest
from fakes.comfyui import ScriptedComfyUI
from sqlalchemy import event

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.generations import following

from .conftest import StartSidecar, submit, until, until_state


async def test_what_ends_at_once_is_written_down_once(start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch):
    """
    Its start and its end, each with its time, in the transaction of its outcome.
    """
    monkeypatch.setattr(following, "SEEN_AFTER_S", 3600.0)
    monkeypatch.setattr(following, "NOTE_EVERY_S", math.inf)
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await submit(parts)
        await until(lambda: comfyui.pending)
        commits: list[object] = []
        event.listen(parts.database.engine.sync_engine, "commit", commits.append)
        await comfyui.start(str(generation_id))
        await comfyui.finish(str(generation_id))
        await until_state(parts, generation_id, "completed")
        steps = (await parts.history.timeline(LOCAL_OWNER_ID, generation_id)).items

        assert [step.state for step in steps] == ["pending", "submitted", "running", "completed"]
        assert len(commits) == 1
