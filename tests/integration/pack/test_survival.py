"""What is left when ComfyUI is killed, and how it lives with a sidecar that it starts itself."""

from __future__ import annotations

from pathlib import Path

import aiohttp
from fakes.sidecar import PatientSidecar
from integration.pack.conftest import CHECKOUT
from integration.pack.test_queue import post, running_slowly
from integration.pack.workflows import small_picture
from real.comfyui import fetch_comfyui
from real.processes import free_port, start_comfyui


async def test_outcomes_outlive_a_killed_comfyui(tmp_path: Path, page: aiohttp.ClientSession) -> None:
    """After kill -9 in the middle of a prompt, the journal tells what ended before and what was begun, and goes on."""
    port = free_port()
    environment = {"GENONAUT_SIDECAR_START": "no", "GENONAUT_PORT": str(port), "GENONAUT_PAIRING_SECRET": "paired"}
    program = fetch_comfyui()
    async with PatientSidecar(port) as sidecar:
        first = start_comfyui(program, base=tmp_path, pack=CHECKOUT, environment=environment)
        try:
            sidecar.comfyui_url = first.url
            done = await post(first, page, small_picture())
            await sidecar.dispatch(sidecar.submissions[-1])
            await sidecar.outcome_of(done)
            unfinished = await running_slowly(first, sidecar, page)
            journal = (await sidecar.outcomes())["journal"]
        finally:
            first.kill()
        with start_comfyui(program, base=tmp_path, pack=CHECKOUT, environment=environment) as second:
            sidecar.comfyui_url = second.url
            found = await sidecar.outcomes()
            await sidecar.dispatch(next(one for one in sidecar.submissions if one["id"] == done))
            again = await post(second, page, small_picture())
            await sidecar.dispatch(sidecar.submissions[-1])
            after = await sidecar.outcome_of(again)

    entries = found.pop("entries")
    assert found == {"journal": journal, "running": [], "pending": [], "more": False}
    assert [(entry["kind"], entry["prompt_id"]) for entry in entries] == [
        ("started", done),
        ("finished", done),
        ("started", unfinished),
    ]
    assert after["sequence"] > entries[-1]["sequence"] + 1
