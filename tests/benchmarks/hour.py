"""An hour's worth of work in a minute: what of it stays in the sidecar's memory."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import aiohttp

from benchmarks.busy_comfyui import BusyComfyUI
from benchmarks.crowd import all_ended, submit_at_once, until
from benchmarks.figures import Budget, Row, Scale
from benchmarks.running_sidecar import resident_mb, running_sidecar

AT_ONCE = 50
ROUNDS = Scale(full=(6, 30), quick=(2, 10))  # one generation every 2.4 s, and a fifth of that before
GROWTH_MB = 10.0
SETTLE_S = 3.0


def rows(folder: Path, *, quick: bool) -> list[Row]:
    return asyncio.run(measure(folder, *ROUNDS.of(quick=quick)))


async def measure(folder: Path, some: int, many: int) -> list[Row]:
    comfyui = BusyComfyUI()
    async with comfyui.at_work(), aiohttp.ClientSession() as http:
        with running_sidecar(folder, comfyui_url=comfyui.url) as sidecar:
            api = f"{sidecar.url}/api/v1"
            async with http.get(f"{api}/events") as events:
                listening = asyncio.create_task(hear(events))
                held = []
                for rounds in (some, many - some):
                    for _ in range(rounds):
                        _, submitted = await submit_at_once(f"{api}/generations", AT_ONCE)
                        await until(partial(all_ended, folder / "genonaut.sqlite3", submitted))
                    await asyncio.sleep(SETTLE_S)  # images are kept a little later
                    held.append(resident_mb(sidecar.program.pid))
                listening.cancel()
    before, after = held
    if before is None or after is None:
        return []
    return [
        Row(f"memory after {some * AT_ONCE} generations", before, "MB"),
        Row(f"memory after {many * AT_ONCE} generations", after, "MB"),
        Row("memory grown in between", after - before, "MB", budget=Budget(GROWTH_MB)),
    ]


async def hear(events: aiohttp.ClientResponse) -> None:
    """A browser is open all the time."""
    async for _ in events.content.iter_any():
        pass
