"""ComfyUI's own queue, as its owner sees it in ComfyUI's own panel."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
from fakes.sidecar import PatientSidecar
from integration.pack.workflows import Workflow, slow_picture, small_picture
from real.processes import RunningComfyUI


async def queue_of(comfyui: RunningComfyUI, page: aiohttp.ClientSession, which: str) -> list[str]:
    async with page.get(f"{comfyui.url}/queue") as answer:
        return [item[1] for item in (await answer.json())[f"queue_{which}"]]


async def post(comfyui: RunningComfyUI, page: aiohttp.ClientSession, workflow: Workflow) -> str:
    async with page.post(f"{comfyui.url}/prompt", json={"prompt": workflow, "client_id": "browser"}) as answer:
        return str((await answer.json())["prompt_id"])


async def until(condition: Any, *, within_s: float = 20) -> None:
    for _ in range(int(within_s / 0.02)):
        if await condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("It did not happen in time.")


async def dispatch(sidecar: PatientSidecar, prompt_id: str) -> tuple[int, dict[str, Any]]:
    return await sidecar.dispatch(next(one for one in sidecar.submissions if one["id"] == prompt_id))


async def running_slowly(comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession) -> str:
    """Have ComfyUI work on something for a while."""
    prompt_id = await post(comfyui, page, slow_picture())
    await dispatch(sidecar, prompt_id)

    async def runs() -> bool:
        return prompt_id in await queue_of(comfyui, page, "running")

    await until(runs)
    return prompt_id


async def cancel(comfyui: RunningComfyUI, sidecar: PatientSidecar, prompt_id: str) -> str:
    async with sidecar.session.post(f"{comfyui.url}/genonaut/cancel", json={"prompt_id": prompt_id}) as answer:
        return str((await answer.json())["was"])


async def test_a_held_prompt_is_pending_until_it_has_run(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession
) -> None:
    """Held, the page sees it as pending and counts it; once it has run it is in neither list."""
    prompt_id = await post(comfyui, page, small_picture())
    held = await queue_of(comfyui, page, "pending")
    async with page.get(f"{comfyui.url}/prompt") as answer:
        remaining = (await answer.json())["exec_info"]["queue_remaining"]
    await dispatch(sidecar, prompt_id)
    await sidecar.outcome_of(prompt_id)

    assert held == [prompt_id]
    assert remaining == 1
    assert await queue_of(comfyui, page, "pending") == []


async def test_deleting_a_held_prompt_cancels_it_at_the_sidecar(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession
) -> None:
    """ComfyUI's own queue panel deletes by id; only that prompt is cancelled."""
    kept, deleted = await post(comfyui, page, small_picture()), await post(comfyui, page, small_picture())
    async with page.post(f"{comfyui.url}/queue", json={"delete": [deleted]}):
        pass

    async def heard() -> bool:
        return sidecar.cancelled == [deleted]

    await until(heard)
    assert await queue_of(comfyui, page, "pending") == [kept]
    async with page.post(f"{comfyui.url}/queue", json={"clear": True}):
        pass


async def test_clearing_the_queue_cancels_what_is_held_and_what_waits(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession
) -> None:
    """What is held is cancelled at the sidecar; what ComfyUI has already is journalled as cancelled."""
    running = await running_slowly(comfyui, sidecar, page)
    waiting, held = await post(comfyui, page, small_picture()), await post(comfyui, page, small_picture())
    await dispatch(sidecar, waiting)
    async with page.post(f"{comfyui.url}/queue", json={"clear": True}):
        pass

    assert (await sidecar.outcome_of(waiting))["status"] == "cancelled"
    assert await queue_of(comfyui, page, "pending") == []

    async def heard() -> bool:
        return sidecar.cancelled == [held]

    await until(heard)
    await cancel(comfyui, sidecar, running)
    await sidecar.outcome_of(running)


async def test_deleting_the_last_waiting_prompt_leaves_held_ones_alone(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession
) -> None:
    """ComfyUI empties its queue by another way when it deletes the last item; that must not reach what is held."""
    running = await running_slowly(comfyui, sidecar, page)
    waiting, held = await post(comfyui, page, small_picture()), await post(comfyui, page, small_picture())
    await dispatch(sidecar, waiting)
    async with page.post(f"{comfyui.url}/queue", json={"delete": [waiting]}):
        pass

    assert (await sidecar.outcome_of(waiting))["status"] == "cancelled"
    assert await queue_of(comfyui, page, "pending") == [held]
    assert sidecar.cancelled == []
    await cancel(comfyui, sidecar, running)
    await sidecar.outcome_of(running)


async def test_cancel_interrupts_takes_out_or_finds_nothing(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession
) -> None:
    """The sidecar learns which of the three it was; an interrupted prompt ends as cancelled."""
    running, waiting = await running_slowly(comfyui, sidecar, page), await post(comfyui, page, small_picture())
    await dispatch(sidecar, waiting)

    assert await cancel(comfyui, sidecar, waiting) == "pending"
    assert await cancel(comfyui, sidecar, running) == "running"
    assert (await sidecar.outcome_of(running))["status"] == "cancelled"
    assert (await sidecar.outcome_of(waiting))["status"] == "cancelled"
    assert await cancel(comfyui, sidecar, running) == "absent"


async def test_a_cancel_in_the_moment_of_starting_is_not_lost(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession
) -> None:
    """ComfyUI resets its interrupt flag when a prompt starts; a cancel just before that counts all the same."""
    for _ in range(10):
        prompt_id = await post(comfyui, page, slow_picture())
        await dispatch(sidecar, prompt_id)
        await cancel(comfyui, sidecar, prompt_id)

        assert (await sidecar.outcome_of(prompt_id))["status"] == "cancelled"


async def test_a_dispatch_that_is_repeated_runs_once(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession
) -> None:
    """Queued already: 200 and said so. Finished already: 409. One outcome either way."""
    running = await running_slowly(comfyui, sidecar, page)
    waiting = await post(comfyui, page, small_picture())
    answers = await asyncio.gather(*(dispatch(sidecar, waiting) for _ in range(5)))
    await cancel(comfyui, sidecar, running)
    await sidecar.outcome_of(waiting)
    status, late = await dispatch(sidecar, waiting)
    kinds = [entry["kind"] for entry in (await sidecar.outcomes())["entries"] if entry["prompt_id"] == waiting]

    assert sorted((status, body.get("already", "")) for status, body in answers) == [(200, ""), *[(200, "queued")] * 4]
    assert (status, late["error"]["type"]) == (409, "already_finished")
    assert kinds == ["started", "finished"]


async def test_a_failing_node_is_journalled_with_its_place(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession
) -> None:
    """The error names node, type and traceback. (A prefix may not leave ComfyUI's output folder.)"""
    workflow = small_picture()
    workflow["2"]["inputs"]["filename_prefix"] = "../outside"
    prompt_id = await post(comfyui, page, workflow)
    await dispatch(sidecar, prompt_id)
    outcome = await sidecar.outcome_of(prompt_id)

    assert outcome["status"] == "failed"
    assert (outcome["error"]["node_id"], outcome["error"]["node_type"]) == ("2", "GenonautSaveImage")
    assert outcome["error"]["traceback"]
