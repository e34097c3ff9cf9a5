"""
A sidecar that notes how much its event loop does at a stretch, in a file with one line for each time at which that was
long: when, in Unix time, and for how many milliseconds. Nobody is answered meanwhile.

    python -m tests.benchmarks.watched_sidecar FILE

Of the processor's time: whatever else runs on the machine is not in it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from sidecar import cli, event_loop
from sidecar.settings import Settings

LOOK_EVERY_S = 0.002
LONG_S = 0.005

run = event_loop.run


async def watch(file: Path) -> None:
    with file.open("a", encoding="utf-8", buffering=1) as notes:
        while True:
            began = time.thread_time()
            await asyncio.sleep(LOOK_EVERY_S)
            held_s = time.thread_time() - began
            if held_s > LONG_S:
                notes.write(f"{time.time()} {held_s * 1000}\n")


async def watched(doing: Coroutine[Any, Any, None], file: Path) -> None:
    watching = asyncio.create_task(watch(file))
    try:
        await doing
    finally:
        watching.cancel()


def run_watched(settings: Settings, doing: Coroutine[Any, Any, None]) -> None:
    run(settings, watched(doing, Path(sys.argv[1])))


if __name__ == "__main__":
    event_loop.run = run_watched
    sys.exit(cli.main(["serve"]))
