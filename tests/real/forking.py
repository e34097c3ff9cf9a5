"""
Starts of ComfyUI that do not import PyTorch and a hundred more libraries anew: a second of CPU each instead of four.

Everything of ComfyUI's own, and of ours, is run from its first line; only what they import from others is there.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from comfy_nodes.locations import SetupFailed
from real.comfyui import ComfyUIProgram

IMPORTED = (
    "aiohttp.web",
    "alembic.context",
    "av",
    "kornia",
    "pydantic_settings",
    "safetensors.torch",
    "scipy.integrate",
    "scipy.stats",
    "spandrel",
    "sqlalchemy.orm",
    "torchaudio",
    "torchsde",
    "torchvision",
    "transformers.model_debugging_utils",
    "yaml",
)
"""What of a start's time is spent in."""


class ForkServer:
    """A Python that has imported these modules. One a process of tests; it ends with it."""

    def __init__(self, program: ComfyUIProgram, modules: Sequence[str] = IMPORTED) -> None:
        self._program = program
        self._lock = threading.Lock()
        self._server = subprocess.Popen(
            [str(program.python), str(Path(__file__).with_name("fork_server.py")), *modules],
            # Read when torch is loaded: of two cores, threads of it that wait for each other leave nothing to others.
            env={**program.environment(), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )
        atexit.register(self.end)

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> ForkedProcess:
        """
        Start ComfyUI.

        Raises:
            OSError: It ended at once.
            SetupFailed: So did the server.
        """
        wanted = {
            "folder": str(self._program.folder),
            "script": "main.py",
            "arguments": arguments,
            "environment": dict(environment),
            "log": str(log),
        }
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        with self._lock:
            print(json.dumps(wanted), file=self._server.stdin, flush=True)
            answer = self._server.stdout.readline()
        if not answer:
            raise SetupFailed("ComfyUI's libraries cannot be imported; what they say of it stands above.")
        return ForkedProcess(int(answer))

    def end(self) -> None:
        self._server.communicate()


class ForkedProcess:
    """What `subprocess.Popen` is to a child, to a process that is not our child."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        # Stays this process, whoever else is given its number later.
        self._descriptor: int | None = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """None while it runs. What it returned is told only to its parent."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        if self._descriptor is not None:
            ended = select.poll()
            ended.register(self._descriptor, select.POLLIN)
            if not ended.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired("ComfyUI", timeout or 0)
            os.close(self._descriptor)
            self._descriptor = None
        return 0

    def send_signal(self, number: int) -> None:
        if self._descriptor is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@cache
def fork_server(program: ComfyUIProgram) -> ForkServer:
    return ForkServer(program)


@cache
def can_fork() -> bool:
    """Linux can, and see the end of a process that is not a child."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True
