"""What ends before anybody could have seen it run."""

from __future__ import annotations

from itertools import groupby

import pytest
from fakes.comfyui import ScriptedComfyUI
from sqlalchemy import event

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.database import Database
from sidecar.generations import following

from .conftest import StartSidecar, submit, until, until_state


def listen_to(database: Database) -> list[str]:
    """What is written down from now on: `step` for some steps of generations, `commit` when that is committed."""
    said: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO generation_events"):
            said.append("step")

    event.listen(database.engine.sync_engine, "before_cursor_execute", hear)
    event.listen(database.engine.sync_engine, "commit", lambda _: said.append("commit"))
    return said


async def test_what_ends_at_once_is_written_down_once(start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch):
    """
    Its start and its end, each with its time, in the transaction of its outcome.
    """
    monkeypatch.setattr(following, "SEEN_AFTER_S", 3600.0)
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await submit(parts)
        await until(lambda: comfyui.pending)
        said = listen_to(parts.database)
        await comfyui.start(str(generation_id))
        await comfyui.finish(str(generation_id))
        await until_state(parts, generation_id, "completed")
        steps = (await parts.history.timeline(LOCAL_OWNER_ID, generation_id)).items

        assert [step.state for step in steps] == ["pending", "submitted", "running", "completed"]
        assert [what for what, _ in groupby(said)].count("step") == 1
