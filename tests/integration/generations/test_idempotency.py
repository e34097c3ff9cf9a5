"""A request that is sent again because its answer got lost."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from fakes.comfyui import ScriptedComfyUI
from integration.backends import both_databases, every_backend
from sqlalchemy import func, select

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.errors import IdempotencyKeyReused
from sidecar.generations.idempotency import REMEMBERED_FOR, RememberedKeys, once
from sidecar.generations.models import Generation, IdempotencyKey
from sidecar.generations.schemas import Submission
from sidecar.generations.submissions import from_submission
from sidecar.identity import now
from sidecar.parts import Parts

from .conftest import WORKFLOW, Client, StartSidecar, submit

PARAMETERS = {"prompt": "a lighthouse", "checkpoint": "tiny.safetensors"}


async def post(client: Client, body: dict[str, Any], key: str, path: str = "") -> Any:
    return await client.post(f"/api/v1/generations{path}", json=body, headers={"Idempotency-Key": key})


async def how_many(client: Client) -> int:
    return len((await client.get("/api/v1/generations")).json()["items"])


@every_backend
async def test_the_same_request_with_the_same_key_makes_one_generation(client: Client):
    """Also with a seed that was drawn, and with the same body written in another order."""
    first = await post(client, {"parameters": PARAMETERS, "title": "Sea"}, "key-1")
    again = await post(client, {"title": "Sea", "parameters": PARAMETERS}, "key-1")
    other = await post(client, {"parameters": PARAMETERS, "title": "Sea"}, "key-2")

    assert [response.status_code for response in (first, again, other)] == [202] * 3
    assert first.json() == again.json()
    assert other.json()["id"] != first.json()["id"]
    assert await how_many(client) == 2


async def test_another_request_with_the_same_key_is_refused(client: Client):
    """Whatever the difference; nothing is made."""
    generation = (await post(client, {"workflow": WORKFLOW}, "key")).json()
    for body, path in (({"workflow": WORKFLOW, "title": "Other"}, ""), ({}, f"/{generation['id']}/repeat")):
        response = await post(client, body, "key", path)

        assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")
    assert await how_many(client) == 1


async def test_a_repeat_has_its_effect_once_too(client: Client):
    """A seed that is drawn is drawn once."""
    parameters = {"parameters": {"seed": "random"}}
    generation = (await post(client, {"parameters": PARAMETERS}, "first")).json()
    repeats = [(await post(client, parameters, "second", f"/{generation['id']}/repeat")).json() for _ in range(2)]

    assert repeats[0] == repeats[1]
    assert await how_many(client) == 2


async def test_a_request_that_was_refused_may_be_mended_under_the_same_key(client: Client):
    """Nothing was made, so nothing is remembered."""
    refused = await post(client, {"parameters": {**PARAMETERS, "width": 7}}, "key")
    mended = await post(client, {"parameters": PARAMETERS}, "key")

    assert (refused.status_code, mended.status_code) == (400, 202)


@pytest.mark.parametrize("key", ["", "x" * 256], ids=["empty", "too long"])
async def test_a_key_that_is_none_is_refused(client: Client, key: str):
    """Rather than ignored: the client would believe that it may send again."""
    response = await post(client, {"workflow": WORKFLOW}, key)

    assert (response.status_code, response.json()["code"]) == (400, "invalid_request")


async def remembered(parts: Parts) -> int:
    async with parts.database.reading() as session:
        return await session.scalar(select(func.count()).select_from(IdempotencyKey)) or 0


@every_backend
async def test_twins_that_arrive_at_the_same_moment_make_one_generation(start_sidecar: StartSidecar):
    """Who comes second finds what the first one wrote."""
    submission = Submission(workflow=WORKFLOW)
    asked_once = once("key", submission)
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        requests = [from_submission(submission, LOCAL_OWNER_ID, asked_once) for _ in range(8)]
        generations = await asyncio.gather(*map(parts.admission.admit, requests))

        assert len({generation.id for generation in generations}) == 1
        assert await remembered(parts) == 1


@both_databases
async def test_a_key_is_forgotten_after_a_day(start_sidecar: StartSidecar):
    """It may then be used for something else, whether or not the clock has swept it away; one of today stays."""
    keys = [once(name, "old") for name in ("old", "swept", "today")]
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        for asked_once in keys:
            await parts.admission.admit(from_submission(Submission(workflow=WORKFLOW), LOCAL_OWNER_ID, asked_once))
        async with parts.database.writing() as session:
            for key in await session.scalars(select(IdempotencyKey).where(IdempotencyKey.key != "today")):
                key.created_at = now() - REMEMBERED_FOR - timedelta(seconds=1)
        again = from_submission(Submission(workflow=WORKFLOW), LOCAL_OWNER_ID, once("old", "new"))
        generation = await parts.admission.admit(again)
        await RememberedKeys(parts.database).forget_old({})

        assert generation.id == again.id
        assert await remembered(parts) == 2
        with pytest.raises(IdempotencyKeyReused):
            await parts.admission.earlier(LOCAL_OWNER_ID, once("today", "new"))


@both_databases
async def test_a_generation_that_is_gone_for_good_takes_its_key_with_it(start_sidecar: StartSidecar):
    """The key then belongs to nobody."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        asked_once = once("key", "submission")
        for _ in range(3):
            await submit(parts)  # what is ahead of it takes every place in ComfyUI
        request = from_submission(Submission(workflow=WORKFLOW), LOCAL_OWNER_ID, asked_once)
        await parts.admission.admit(request)
        await parts.trash.put_in(LOCAL_OWNER_ID, request.id, cancel=True)
        async with parts.database.writing() as session:
            generation = await session.get_one(Generation, request.id)
            generation.trashed_at = now() - timedelta(days=99)
        await parts.trash.purge({})

        assert await parts.admission.earlier(LOCAL_OWNER_ID, asked_once) is None
