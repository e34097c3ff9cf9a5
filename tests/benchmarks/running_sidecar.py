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
HELD = "held.txt"
NOBODY = f"http://{LOOPBACK}:9"  # the port of the discard service: nothing answers there


@dataclass(frozen=True)
class Sidecar:
    """One that is ready."""

    url: str
    program: Program
    seconds_to_ready: float

    held_file: Path

    def held_ms(self, since: float) -> float:
        """How much its event loop has done at a stretch since then (Unix time), at most; 0 where that was short."""
        notes = self.held_file.read_text(encoding="utf-8").splitlines() if self.held_file.exists() else []
        held = [tuple(map(float, note.split())) for note in notes if len(note.split()) == 2]
        return max((held_ms for at, held_ms in held if at >= since), default=0.0)


@contextmanager
def running_sidecar(
    data_folder: Path, *, comfyui_url: str = NOBODY, access: str = "open", watched: bool = False
) -> Iterator[Sidecar]:
    """
    A sidecar of this checkout on a free port, for the length of the block.

    Args:
        watched: It notes for how long its event loop is held (`watched_sidecar`).

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
    command = ("tests.benchmarks.watched_sidecar", str(data_folder / HELD)) if watched else ("sidecar.cli", "serve")
    with running(*command, port=port, log=log, settings=settings) as sidecar:
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
        yield Sidecar(url, program, time.perf_counter() - began, log.with_name(HELD))


def processor_s(pid: int) -> float | None:
    """The processor's time that a process has had; None where this operating system does not tell without help."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return None
    fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float | None:
    """The memory that a process really holds; None where this operating system does not tell without help."""
    if os.name == "nt":
        return None
    return int(run_program(["ps", "-o", "rss=", "-p", str(pid)], "asking for the sidecar's memory")) / 1024
