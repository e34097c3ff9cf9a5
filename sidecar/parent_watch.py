"""A sidecar that was started by a ComfyUI does not outlive it, however that ComfyUI ended."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable

LOOK_EVERY_S = 1.0


async def wait_for_end_of(parent_pid: int) -> None:
    """Return when the process that started this one is gone."""
    is_alive = watch(parent_pid)
    while is_alive():  # noqa: ASYNC110 - no operating system sends us an event for this
        await asyncio.sleep(LOOK_EVERY_S)


if sys.platform == "win32":
    import ctypes

    SYNCHRONIZE = 0x00100000  # winnt.h
    WAIT_TIMEOUT = 0x00000102  # winbase.h

    def watch(parent_pid: int) -> Callable[[], bool]:
        """A question that tells whether that process lives. It is held open, so that its id cannot pass to another."""
        handle = ctypes.windll.kernel32.OpenProcess(SYNCHRONIZE, 0, parent_pid)
        return lambda: bool(handle) and ctypes.windll.kernel32.WaitForSingleObject(handle, 0) == WAIT_TIMEOUT

else:

    def watch(parent_pid: int) -> Callable[[], bool]:
        """A question that tells whether that process, our parent, lives: an orphan gets another parent."""
        return lambda: os.getppid() == parent_pid
