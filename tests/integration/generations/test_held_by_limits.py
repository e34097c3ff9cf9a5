"""What a limit holds back goes to ComfyUI when that lets it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from fakes.comfyui import ScriptedComfyUI
from sqlalchemy import update

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.limits import budgets, windows
from sidecar.limits.models import Plan
from sidecar.limits.plans import changed
from sidecar.parts import Parts

from .conftest import StartSidecar, show, submit, until, until_state

AN_HOUR = timedelta(seconds=2)  # for this test


class QuickComfyUI(ScriptedComfyUI):
    """Has run everything at once."""

    async def answer_prompt(self, body: dict[str, Any]) -> Any:
        answer = await super().answer_prompt(body)
        await self.start(body["prompt_id"])
        await self.finish(body["prompt_id"])
        return answer


@pytest.fixture
def limited(backend: dict[str, str]) -> None:
    backend["GENONAUT_OPEN_PLAN"] = "standard"


async def let_one_an_hour(parts: Parts) -> None:
    async with parts.database.writing() as session:
        await session.execute(update(Plan).where(Plan.name == "standard").values(generations_per_hour=1))
        await changed(session)
    parts.plans.tell()


async def test_each_goes_at_its_moment_and_not_before_in_the_order_in_which_they_came(
    limited: None, start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch
):
    """The hour has two seconds here."""
    monkeypatch.setattr(windows, "WINDOWS", (("generations_per_hour", "generations", AN_HOUR),))
    monkeypatch.setattr(budgets, "HOUR", AN_HOUR)
    async with QuickComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        await let_one_an_hour(parts)
        admitted = await asyncio.gather(*(submit(parts) for _ in range(3)))
        first, *held = sorted([await show(parts, each) for each in admitted], key=lambda view: view.number)
        ended = [await until_state(parts, each.id, "completed") for each in (first, *held)]

    assert first.not_before is None
    for before, after in zip(held, ended[1:], strict=True):
        assert before.waiting_reason is not None
        assert before.not_before is not None
        assert after.submitted_at is not None
        assert after.submitted_at >= before.not_before
        assert after.waiting_reason is None
    assert ended == sorted(ended, key=lambda view: view.submitted_at or view.created_at)


async def test_one_that_is_cancelled_lets_the_next_one_go(limited: None, start_sidecar: StartSidecar):
    """At once, though it was to wait for an hour."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        await let_one_an_hour(parts)
        first, second = [await submit(parts) for _ in range(2)]
        await until(lambda: str(first) in comfyui.pending)
        await parts.dispatcher.cancel(LOCAL_OWNER_ID, first)

        await until(lambda: str(second) in comfyui.pending)
