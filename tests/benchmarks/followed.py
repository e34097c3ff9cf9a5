"""
What a busy ComfyUI tells, as fast as the sidecar can take it in.

The ComfyUI is the tests' twin, in this process. It tells of one prompt with a graph of eight nodes, step by step, and
then that it has ended. Events are taken in one after the other, so the outcome is recorded when all of them were.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
from fakes.comfyui import ScriptedComfyUI

from benchmarks.figures import Budget, Row, timed
from benchmarks.history_filling import WORKFLOW
from benchmarks.running_sidecar import running_sidecar

EVENTS = 20_000
TOLD_AT_ONCE = 500
WITHIN_S = 60.0
LOOK_EVERY_S = 0.005


def rows(folder: Path) -> list[Row]:
    return asyncio.run(measure(folder))


async def measure(folder: Path) -> list[Row]:
    comfyui = ScriptedComfyUI()
    async with comfyui.served(), aiohttp.ClientSession() as http:
        with running_sidecar(folder, comfyui_url=comfyui.url) as sidecar:
            generations = f"{sidecar.url}/api/v1/generations"
            async with http.post(generations, json={"workflow": WORKFLOW}) as answer:
                prompt_id = (await answer.json())["id"]
            while prompt_id not in comfyui.pending:
                await asyncio.sleep(LOOK_EVERY_S)
            await comfyui.start(prompt_id)
            with timed() as watch:
                await tell_everything(comfyui, prompt_id)
                await asyncio.wait_for(until_completed(http, f"{generations}/{prompt_id}"), WITHIN_S)
    return [Row("execution events taken in", EVENTS / watch.seconds, "a second", budget=Budget(5000, at_least=True))]


async def tell_everything(comfyui: ScriptedComfyUI, prompt_id: str) -> None:
    for step in range(EVENTS):
        await comfyui.tell("progress_state", {"prompt_id": prompt_id, "nodes": nodes_at(step)})
        if step % TOLD_AT_ONCE == 0:
            await asyncio.sleep(0)  # let them go out
    await comfyui.finish(prompt_id)


def nodes_at(step: int) -> dict[str, Any]:
    """Seven nodes are done, the eighth is a sampler at work."""
    done = {str(node): node_state(str(node), "finished", 1, 1) for node in range(1, 8)}
    return {**done, "8": node_state("8", "running", step, EVENTS)}


def node_state(node_id: str, state: str, value: int, most: int) -> dict[str, Any]:
    return {
        "value": value,
        "max": most,
        "state": state,
        "node_id": node_id,
        "display_node_id": node_id,
        "parent_node_id": None,
        "real_node_id": node_id,
    }


async def until_completed(http: aiohttp.ClientSession, url: str) -> None:
    while True:
        async with http.get(url) as answer:
            if (await answer.json())["state"] == "completed":
                return
        await asyncio.sleep(LOOK_EVERY_S * 10)
