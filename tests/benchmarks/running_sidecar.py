"""Starts a sidecar without a ComfyUI, or beside one that the benchmark plays itself."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fakes.comfyui import PAIRING_SECRET
from real.http import answers
from real.processes import LOOPBACK, Program, end_of, free_port

from comfy_nodes import locations
from comfy_nodes.locations import SetupFailed
from install import PACK_FOLDER, run_program

READY_WITHIN_S = 60.0
LOOK_EVERY_S = 0.01
NOBODY = f"http://{LOOPBACK}:9"  # the port of the discard service: nothing answers there


@dataclass(frozen=True)
class Sidecar:
    """One that is ready."""

    url: str
    program: Program
    seconds_to_ready: float


@contextmanager
def running_sidecar(data_folder: Path, *, comfyui_url: str = NOBODY, access: str = "open") -> Iterator[Sidecar]:
    """
    A sidecar of this checkout on a free port, for the length of the block.

    Raises:
        SetupFailed: It has no environment, or does not come up.
    """
    port = free_port()
    settings = {
        "GENONAUT_ACCESS": access,
        "GENONAUT_WAITING_AT_MOST": "1000000",
        "GENONAUT_DATA": str(data_folder),
        "GENONAUT_PORT": str(port),
        "GENONAUT_COMFYUI_URL": comfyui_url,
        "GENONAUT_PAIRING_SECRET": PAIRING_SECRET,
    }
    log = data_folder / "sidecar.log"
    with running("sidecar.cli", "serve", port=port, log=log, settings=settings) as sidecar:
        yield sidecar


@contextmanager
def running_bare_server(folder: Path) -> Iterator[Sidecar]:
    """`bare_server`, in the sidecar's environment."""
    port = free_port()
    module = "tests.benchmarks.bare_server"
    with running(module, str(port), str(folder / "bare.sqlite3"), port=port, log=folder / "bare.log") as server:
        yield server


@contextmanager
def running(
    module: str, *arguments: str, port: int, log: Path, settings: Mapping[str, str] | None = None
) -> Iterator[Sidecar]:
    command = locations.sidecar_command(PACK_FOLDER, module, *arguments)
    if command is None:
        raise SetupFailed("The sidecar has no environment yet; run install.py first.")
    began = time.perf_counter()
    url = f"http://{LOOPBACK}:{port}"
    with Program(command, log=log, environment={**os.environ, **(settings or {})}, folder=PACK_FOLDER) as program:
        while not answers(f"{url}/health/ready"):
            if not program.is_running() or time.perf_counter() - began > READY_WITHIN_S:
                raise SetupFailed(f"{module} did not come up. {end_of(log)}")
            time.sleep(LOOK_EVERY_S)
        yield Sidecar(url, program, time.perf_counter() - began)


def resident_mb(pid: int) -> float | None:
    """The memory that a process really holds; None where this operating system does not tell without help."""
    if os.name == "nt":
        return None
    return int(run_program(["ps", "-o", "rss=", "-p", str(pid)], "asking for the sidecar's memory")) / 1024
