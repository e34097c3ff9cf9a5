"""What a limit holds back goes to ComfyUI when that lets it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from fakes.comfyui import ScriptedComfyUI
from sqlalchemy import update

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.app import Parts
from sidecar.limits import budgets, windows
from sidecar.limits.models import Plan
from sidecar.limits.plans import changed

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
def one_in_two_seconds(monkeypatch: pytest.MonkeyPatch, backend: dict[str, str]) -> None:
    monkeypatch.setattr(windows, "WINDOWS", (("generations_per_hour", "generations", AN_HOUR, 1),))
    monkeypatch.setattr(budgets, "HOUR", AN_HOUR)
    backend["GENONAUT_OPEN_PLAN"] = "standard"


async def set_limit(parts: Parts) -> None:
    async with parts.database.writing() as session:
        await session.execute(update(Plan).where(Plan.name == "standard").values(generations_per_hour=1))
        await changed(session)
    parts.plans.tell()


async def test_each_goes_at_its_moment_and_not_before_in_the_order_in_which_they_came(
    one_in_two_seconds: None, start_sidecar: StartSidecar
):
    """One that is cancelled meanwhile leaves its moment to the next."""
    async with QuickComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        await set_limit(parts)
        first, cancelled, second, third = [await submit(parts) for _ in range(4)]
        promised = [(await show(parts, each)).not_before for each in (cancelled, second)]
        await parts.dispatcher.cancel(LOCAL_OWNER_ID, cancelled)

        async def moved() -> bool:
            return [(await show(parts, each)).not_before for each in (second, third)] == promised

        await until(moved)
        ended = [await until_state(parts, each, "completed") for each in (first, second, third)]

    assert [view.waiting_reason for view in ended] == [None] * 3
    moments = [view.submitted_at for view in ended if view.submitted_at is not None]
    assert moments == sorted(moments)
    assert all(went >= moment for went, moment in zip(moments[1:], filter(None, promised), strict=True))
