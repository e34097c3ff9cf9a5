"""
Genonaut as a person has it: a real ComfyUI with the pack, the sidecar, and one folder in which everything lies.

Its processes can be killed one by one, as power cuts and the kernel's out-of-memory killer do it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx
from fakes.paired import AsSidecar
from real import models
from real.comfyui import VERSION, ComfyUIProgram, fetch_comfyui
from real.processes import Program, RunningComfyUI, descendants, free_port, start_comfyui
from real.waiting import pauses

from comfy_nodes import locations

Json = dict[str, Any]
Found = TypeVar("Found")

CHECKOUT = Path(__file__).resolve().parents[2]
OPEN_STATES = frozenset({"pending", "submitted", "running"})
LOOK_AT_LEAST_EVERY_S = 0.15
READY_WITHIN_S = 120.0
USUAL_WAIT_S = 120.0
# A developer's own settings must not reach the tests; an empty variable counts as none.
SETTINGS_OF_OTHERS = (
    "GENONAUT_ACCESS",
    "GENONAUT_COMFYUI_URL",
    "GENONAUT_DATABASE_URL",
    "GENONAUT_HOST",
    "GENONAUT_PAIRING_SECRET",
    "GENONAUT_PARENT_PID",
    "GENONAUT_QUEUE_URL",
    "GENONAUT_SIDECAR_URL",
)


class Installation:
    """
    One base folder with its two programs, on ports that stay the same over restarts.

    Args:
        pack_starts_sidecar: The usual way. Otherwise the sidecar is started here, and can be killed for good.
        arguments: More of them for ComfyUI.
        settings: Variables for both programs.
        forked: Whether ComfyUI begins with its libraries imported, for a quarter of the time.
    """

    def __init__(
        self,
        base: Path,
        *,
        pack_starts_sidecar: bool,
        arguments: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
        forked: bool = True,
    ) -> None:
        self.base = base
        self.data = base / "user" / "__genonaut"
        self.comfyui: RunningComfyUI | None = None
        self.sidecar: Program | None = None
        self.port, self.sidecar_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.sidecar_url = f"http://127.0.0.1:{self.sidecar_port}"
        self.api = f"{self.url}/genonaut/api/v1"
        self.http = httpx.Client(timeout=30.0, trust_env=False)
        self._program = found_comfyui()
        self._arguments = arguments
        self._forked = forked
        self._environment = {
            **dict.fromkeys(SETTINGS_OF_OTHERS, ""),
            "GENONAUT_DATA": str(self.data),
            "GENONAUT_LOG": "json",
            "GENONAUT_PORT": str(self.sidecar_port),
            "GENONAUT_SIDECAR_START": "yes" if pack_starts_sidecar else "no",
            # Threads of torch that wait for each other leave nothing of two cores to the sidecar and to the test.
            "OMP_NUM_THREADS": "1",
            **(settings or {}),
        }
        self._sidecar_command = found_sidecar_command()
        models.link_models(models.make_models(self._program), base)

    def __enter__(self) -> Installation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()
        for program in (self.comfyui, self.sidecar):
            if program is not None:
                program.stop()

    # Its processes

    def start_comfyui(self) -> RunningComfyUI:
        self.comfyui = start_comfyui(
            self._program,
            base=self.base,
            pack=CHECKOUT,
            port=self.port,
            environment=self._environment,
            arguments=self._arguments,
            forked=self._forked,
        )
        return self.comfyui

    def start_sidecar(self) -> Program:
        self.sidecar = Program(
            self._sidecar_command,
            log=self.data / "sidecar.log",
            environment={**os.environ, **self._environment, "GENONAUT_COMFYUI_URL": self.url},
            folder=CHECKOUT,
        )
        self.sidecar.wait_until(self.sidecar_is_ready, within_s=READY_WITHIN_S, name="The sidecar")
        return self.sidecar

    def sidecar_is_ready(self) -> bool:
        with suppress(httpx.TransportError):
            return self.http.get(f"{self.sidecar_url}/health/ready").is_success
        return False

    def wait_for_sidecar(self) -> None:
        until(self.sidecar_is_ready, within_s=READY_WITHIN_S, what="The sidecar is ready")

    def wait_until_connected(self) -> None:
        """The sidecar has found its ComfyUI."""
        until(lambda: self.comfyui_is("connected"), what="The sidecar is connected to ComfyUI")

    def comfyui_is(self, state: str) -> bool:
        """As the sidecar knows it."""
        health = self.http.get(f"{self.sidecar_url}/health/ready").json()
        return {instance["state"] for instance in health["instances"]} == {state}

    def sidecar_pids(self) -> list[int]:
        """The process ids of the sidecar that ComfyUI started."""
        assert self.comfyui is not None
        return descendants(self.comfyui.pid)

    def kill_comfyui(self) -> None:
        assert self.comfyui is not None
        self.comfyui.kill()

    def kill_sidecar(self) -> None:
        assert self.sidecar is not None
        self.sidecar.kill()

    @contextmanager
    def frozen_sidecar(self) -> Iterator[None]:
        """It is there, takes connections, and does nothing: as in the middle of swapping."""
        assert self.sidecar is not None
        os.kill(self.sidecar.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.sidecar.pid, signal.SIGCONT)

    # What people do with it

    def post_prompt(self, workflow: Json, *, path: str = "/prompt", **more: Any) -> httpx.Response:
        """Queue a workflow as ComfyUI's page does."""
        body = {"prompt": workflow, "client_id": "browser", "extra_data": {"extra_pnginfo": {"workflow": DRAWING}}}
        return self.http.post(self.url + path, json={**body, **more})

    def submit(self, workflow: Json, **more: Any) -> str:
        """The same where it must be taken; gives the prompt's id."""
        answer = self.post_prompt(workflow, **more)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["prompt_id"])

    def find(self, generation_id: str) -> Json | None:
        """A generation; None for one that the sidecar has not heard of yet."""
        answer = self.http.get(f"{self.sidecar_url}/api/v1/generations/{generation_id}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        assert answer.status_code == httpx.codes.OK, answer.text
        found: Json = answer.json()
        return found

    def generation(self, generation_id: str) -> Json:
        found = self.find(generation_id)
        assert found is not None, f"The sidecar does not know {generation_id}."
        return found

    def history(self) -> list[Json]:
        """Every generation, newest first."""
        items: list[Json] = []
        cursor: str | None = ""
        while cursor is not None:
            params: dict[str, str | int] = {"limit": 200, **({"cursor": cursor} if cursor else {})}
            page = self.http.get(f"{self.sidecar_url}/api/v1/generations", params=params).json()
            items += page["items"]
            cursor = page["next_cursor"]
        return items

    def wait_for_state(self, generation_id: str, *states: str, within_s: float = USUAL_WAIT_S) -> Json:
        return until(
            lambda: wanted(self.generation(generation_id), states),
            within_s=within_s,
            what=f"Generation {generation_id} is {' or '.join(states)}",
        )

    def wait_until_kept(self, generation_id: str) -> Json:
        """It has completed and its images are in the store."""

        def kept() -> Json | None:
            generation = self.find(generation_id)
            if generation is None:
                return None
            assert generation["state"] in OPEN_STATES | {"completed"}, generation
            images = generation["images"]
            done = generation["state"] == "completed" and all(image["state"] != "expected" for image in images)
            return generation if done else None

        return until(kept, what=f"Generation {generation_id} is completed and kept")

    def wait_until_nothing_is_open(self, *, within_s: float = USUAL_WAIT_S) -> list[Json]:
        """Every generation has ended; gives them all."""

        def ended() -> list[Json] | None:
            history = self.history()
            return None if any(generation["state"] in OPEN_STATES for generation in history) else history

        return until(ended, within_s=within_s, what="Every generation has ended")

    def queue(self) -> tuple[list[str], list[str]]:
        """ComfyUI's own view: ids of what runs and of what is pending."""
        lists = self.http.get(f"{self.url}/queue").json()
        return [item[1] for item in lists["queue_running"]], [item[1] for item in lists["queue_pending"]]

    def output_file(self, named: Json) -> Path:
        """A file as ComfyUI names it, in its output folder."""
        return self.base / "output" / str(named["subfolder"]) / str(named["filename"])

    def ask_pack(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask the pack what only the sidecar may ask."""
        secret = (self.data / "pairing-secret").read_text(encoding="ascii").strip()
        return self.http.request(method, f"{self.url}{path}", auth=AsSidecar(secret), **more)


DRAWING = {"nodes": [{"id": 1, "type": "KSampler", "pos": [10, 20]}], "version": 0.4}
"""What the page sends beside the workflow: how it is drawn."""


def found_comfyui() -> ComfyUIProgram:
    """The real ComfyUI from the cache. A test fetches nothing: 2 GB take longer than a test may."""
    assert locations.read_marker(locations.cache_folder() / "real" / f"comfyui-{VERSION}") is not None, (
        "The real ComfyUI is not here yet: run `python3 install.py test`, which fetches it."
    )
    return fetch_comfyui()


def found_sidecar_command() -> list[str]:
    command = locations.sidecar_command(CHECKOUT, "sidecar.cli", "serve")
    assert command is not None, "The sidecar's environment is not here yet: run `python3 install.py`, which makes it."
    return command


def until(found: Callable[[], Found | None], *, within_s: float = USUAL_WAIT_S, what: str) -> Found:
    """Look again and again until there is something."""
    deadline = time.monotonic() + within_s
    pause = pauses(LOOK_AT_LEAST_EVERY_S)
    while not (value := found()):
        assert time.monotonic() < deadline, f"{what}: that did not happen within {within_s:.0f} s."
        time.sleep(next(pause))
    return value


def wanted(generation: Json, states: Iterable[str]) -> Json | None:
    return generation if generation["state"] in states else None


def is_running(pid: int) -> bool:
    """A process that has ended and that nobody has waited for counts as ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
