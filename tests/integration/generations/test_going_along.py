"""Who is next goes in the transaction that lets their turn come."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.comfyui import ScriptedComfyUI
from sqlalchemy import select

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.generations.models import Generation
from sidecar.generations.submissions import Request
from sidecar.generations.turn_giving import TurnGiver
from sidecar.identity import uuid7
from sidecar.parts import Parts

from .conftest import WORKFLOW, StartSidecar, submit, until, until_connected, until_state


def request() -> Request:
    return Request(id=uuid7(), owner_id=LOCAL_OWNER_ID, source="api", workflow=WORKFLOW)


async def states(parts: Parts) -> list[str]:
    """Of all, in the order in which they came."""
    async with parts.database.reading() as session:
        return list(await session.scalars(select(Generation.state).order_by(Generation.number)))


async def test_what_comes_while_nothing_waits_has_gone_when_it_is_written_down(start_sidecar: StartSidecar):
    """It never stands there as waiting: nobody has to look whose turn it is. The third finds no place."""
    comfyui = ScriptedComfyUI()
    async with comfyui.served(), start_sidecar(comfyui) as parts:
        await until_connected(parts, 1)
        await until(lambda: parts.turn_giver._has_places)
        admitted = [(await parts.admission.admit(request())).state for _ in range(3)]
        await until(lambda: len(comfyui.posted) == 2)

        assert admitted == ["submitted", "submitted", "pending"]
        assert await states(parts) == admitted


async def test_an_end_lets_the_next_one_go(start_sidecar: StartSidecar):
    """Whoever sees that one has ended never sees the next one wait."""
    comfyui = ScriptedComfyUI()
    async with comfyui.served(), start_sidecar(comfyui) as parts:
        first, *_, third = [await submit(parts) for _ in range(3)]
        await until(lambda: len(comfyui.pending) == 2)
        await comfyui.start(str(first))
        await comfyui.finish(str(first))
        seen: list[str] = []

        async def ended() -> bool:
            seen[:] = await states(parts)
            return seen[0] == "completed"

        await until(ended)
        await until(lambda: str(third) in comfyui.pending)

        assert seen[2] == "submitted"
        assert [body["prompt_id"] for body in comfyui.posted].count(str(third)) == 1


async def test_who_cannot_go_along_comes_in_all_the_same(start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch):
    """A fault of ours in what chooses: nobody is kept out by it, and nothing of it stays."""
    comfyui = ScriptedComfyUI()
    let_go = TurnGiver._let_go
    calls: list[Any] = []

    async def falls_once(self: TurnGiver, *arguments: Any) -> None:
        await let_go(self, *arguments)
        calls.append(arguments)
        if len(calls) == 1:
            raise RuntimeError("No.")

    monkeypatch.setattr(TurnGiver, "_let_go", falls_once)
    async with comfyui.served(), start_sidecar(comfyui) as parts:
        await until_connected(parts, 1)
        await until(lambda: parts.turn_giver._has_places)
        generation = await parts.admission.admit(request())
        await until(lambda: comfyui.posted)
        await comfyui.start(str(generation.id))
        await comfyui.finish(str(generation.id))
        await until_state(parts, generation.id, "completed")

        assert (generation.state, len(calls), len(comfyui.posted)) == ("pending", 2, 1)
        assert not parts.dispatcher._postings
