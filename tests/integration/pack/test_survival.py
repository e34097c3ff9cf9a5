"""What is left when ComfyUI is killed."""

from __future__ import annotations

import aiohttp
from fakes.sidecar import PatientSidecar
from integration.pack.test_queue import post, running_slowly
from integration.pack.workflows import small_picture
from real.processes import RunningComfyUI


async def test_outcomes_outlive_a_killed_comfyui(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession
) -> None:
    """After kill -9 in the middle of a prompt, the journal tells what ended before and what was begun, and goes on."""
    done = await post(comfyui, page, small_picture())
    await sidecar.dispatch(sidecar.submissions[-1])
    await sidecar.outcome_of(done)
    unfinished = await running_slowly(comfyui, sidecar, page)
    journal = (await sidecar.outcomes())["journal"]
    comfyui.kill()
    comfyui.start_again()
    found = await sidecar.outcomes()
    await sidecar.dispatch(next(one for one in sidecar.submissions if one["id"] == done))
    again = await post(comfyui, page, small_picture())
    await sidecar.dispatch(sidecar.submissions[-1])
    after = await sidecar.outcome_of(again)

    entries = found.pop("entries")
    assert found == {"journal": journal, "running": [], "pending": [], "more": False}
    assert [(entry["kind"], entry["prompt_id"]) for entry in entries[-3:]] == [
        ("started", done),
        ("finished", done),
        ("started", unfinished),
    ]
    assert after["sequence"] > entries[-1]["sequence"] + 1
