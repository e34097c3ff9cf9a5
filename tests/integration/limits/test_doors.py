"""Every door asks the same limits, and says so in its own way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fakes.comfyui import PAIRING_SECRET
from fakes.paired import AsPack
from fakes.peers import heard_from
from litestar import Litestar
from litestar.testing import AsyncTestClient

from sidecar.app import create_app
from sidecar.identity import uuid7
from sidecar.settings import read_settings

from .conftest import WORKFLOW

Client = AsyncTestClient[Litestar]
GENERATIONS, PROMPTS = "/api/v1/generations", "/internal/prompts"
ELSEWHERE = {"X-Forwarded-For": "192.0.2.7"}


@pytest.fixture
async def client(tmp_path: Path, backend: dict[str, str]) -> AsyncIterator[Client]:
    """Everybody there has the free plan: ten an hour, and who wants more is refused."""
    said = {"GENONAUT_DATA": str(tmp_path), "GENONAUT_OPEN_PLAN": "free", "GENONAUT_PAIRING_SECRET": PAIRING_SECRET}
    app = heard_from(
        "127.0.0.1", create_app(read_settings({**said, "GENONAUT_COMFYUI_URL": "http://127.0.0.1:9", **backend}))
    )
    async with AsyncTestClient(app, base_url="http://127.0.0.1:8190") as client:
        yield client


async def submit(client: Client, **headers: str) -> Any:
    return await client.post(GENERATIONS, json={"workflow": WORKFLOW}, headers=headers)


async def hand_over(client: Client, *, address: str | None = None, **headers: str) -> Any:
    """As the pack does with a prompt from ComfyUI's page."""
    said = {"id": str(uuid7()), "workflow": WORKFLOW, "address": address}
    return await client.post(PROMPTS, json=said, headers=headers, auth=AsPack(PAIRING_SECRET))


async def test_page_panel_and_programs_use_up_the_same(client: Client):
    """What is submitted, repeated and handed over by the page: after ten, each of them is refused."""
    first = (await submit(client)).json()
    repeat = f"{GENERATIONS}/{first['id']}/repeat"
    answers = [await client.post(repeat, json={}) for _ in range(4)] + [await hand_over(client) for _ in range(5)]
    refused = [await submit(client), await client.post(repeat, json={}), await hand_over(client)]

    assert [answer.status_code for answer in answers] == [202] * 9
    assert [answer.status_code for answer in refused] == [429] * 3
    assert {answer.json()["code"] for answer in refused} == {"limit_reached"}


async def test_a_refusal_tells_programs_which_limit_and_when(client: Client):
    """In the problem, and in the header that every client knows."""
    for _ in range(10):
        await submit(client)
    refused = await submit(client)
    problem = refused.json()

    assert refused.headers["content-type"] == "application/problem+json"
    assert (problem["limit"], problem["used"], problem["allowed"]) == ("generations_per_hour", 10, 10)
    assert 3500 < problem["retry_after_s"] <= 3600
    assert refused.headers["retry-after"] == str(round(problem["retry_after_s"]))
    assert problem["detail"].startswith(
        "Your plan allows 10 generations an hour, and 10 are used. The next one is free in "
    )


async def test_cancelled_in_bulk_they_make_room_again(client: Client):
    """Each gives back what was reserved for it."""
    ids = [(await submit(client)).json()["id"] for _ in range(10)]
    cancelled = await client.post(f"{GENERATIONS}/bulk", json={"action": "cancel", "ids": ids[:4]})
    answers = [await submit(client) for _ in range(5)]

    assert all(outcome["done"] for outcome in cancelled.json()["outcomes"])
    assert [answer.status_code for answer in answers] == [202] * 4 + [429]


async def test_whoever_asks_from_elsewhere_is_somebody_else_at_every_door(client: Client):
    """By what a trusted proxy says of whom it speaks for; in front of ComfyUI, too."""
    for _ in range(5):
        await submit(client, **ELSEWHERE)
        await hand_over(client, address="127.0.0.1", **ELSEWHERE)
    refused = [
        await submit(client, **ELSEWHERE),
        await hand_over(client, address="127.0.0.1", **ELSEWHERE),
        await hand_over(client, address="192.0.2.7"),
    ]
    others = [await submit(client), await hand_over(client, address="192.0.2.8", **ELSEWHERE)]

    assert [answer.status_code for answer in refused] == [429] * 3
    assert [answer.status_code for answer in others] == [202] * 2
