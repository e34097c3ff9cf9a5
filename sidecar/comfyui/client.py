"""What is asked of a ComfyUI, and its errors translated."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

import httpx
import msgspec

from sidecar.addresses import is_loopback
from sidecar.comfyui.outcomes import Look
from sidecar.errors import (
    ComfyUIBroken,
    ComfyUITimeout,
    ComfyUIUnreachable,
    OutputGone,
    PromptFinishedAlready,
    PromptRejected,
)

PAIRING_HEADER = "X-Genonaut-Pairing"
TIMEOUT = httpx.Timeout(10.0, connect=3.0)
SUBMIT_TIMEOUT = httpx.Timeout(60.0, connect=3.0)  # ComfyUI validates in its event loop, behind whatever else it does
FETCH_TIMEOUT = httpx.Timeout(120.0, connect=3.0)
NODES_NAMED_AT_MOST = 5
REASON_CHARACTERS = 500  # "not in list" names the whole list, and there are people with thousands of LoRAs


class OutputFile(Protocol):
    """A file as ComfyUI names it. `type` is `output`, `temp` or `input`."""

    @property
    def filename(self) -> str: ...
    @property
    def subfolder(self) -> str: ...
    @property
    def type(self) -> str: ...


class System(msgspec.Struct):
    """The part of `/system_stats` that is about ComfyUI itself."""

    comfyui_version: str = ""


class SystemStats(msgspec.Struct):
    """What `/system_stats` tells."""

    system: System = msgspec.field(default_factory=System)
    devices: list[dict[str, Any]] = msgspec.field(default_factory=list)


CancelledWhile = Literal["pending", "running", "absent"]


class ComfyUIClient:
    """Speaks HTTP to one ComfyUI with the pack. One a process; closed when the process stops."""

    def __init__(self, url: str, pairing_secret: str) -> None:
        self.url = url
        self.directories: dict[str, Path] = {}
        """ComfyUI's output, temp and input folders, where they can be read from here; told by the pack's hello."""
        self.headers = {PAIRING_HEADER: pairing_secret}
        self._http = httpx.AsyncClient(base_url=url, headers=self.headers, timeout=TIMEOUT, trust_env=False)

    async def close(self) -> None:
        await self._http.aclose()

    async def submit_prompt(
        self,
        prompt_id: str,
        *,
        workflow: Mapping[str, Any],
        extra_data: Mapping[str, Any],
        client_id: str,
        partial_execution_targets: list[str] | None = None,
    ) -> None:
        """
        Put a prompt into ComfyUI's queue. Safe to repeat: a known id is not queued twice.

        Raises:
            PromptRejected: The workflow does not pass ComfyUI's validation, with its errors node by node.
            PromptFinishedAlready: It has run; the journal has its outcome.
            ComfyUIAway: It cannot be said whether ComfyUI has it.
        """
        body: dict[str, Any] = {
            "prompt": workflow,
            "prompt_id": prompt_id,
            "client_id": client_id,
            "extra_data": extra_data,
        }
        if partial_execution_targets is not None:
            body["partial_execution_targets"] = partial_execution_targets
        with translated():
            response = await self._http.post("/prompt", json=body, timeout=SUBMIT_TIMEOUT)
        if response.status_code == httpx.codes.CONFLICT:
            raise PromptFinishedAlready
        if response.is_client_error:
            raise as_rejection(response)
        expect_success(response)

    async def cancel_prompt(self, prompt_id: str) -> CancelledWhile:
        """Take a prompt out of the queue, or interrupt it if it is the one that runs; never another one."""
        with translated():
            response = await self._http.post("/genonaut/cancel", json={"prompt_id": prompt_id})
        expect_success(response)
        was: CancelledWhile = response.json()["was"]
        return was

    async def look(self, *, after: int) -> Look:
        """What is queued, what runs, and what the journal tells after a sequence number."""
        with translated():
            response = await self._http.get("/genonaut/outcomes", params={"after": after})
            expect_success(response)
            return msgspec.json.decode(response.content, type=Look)

    async def confirm_outcomes(self, *, through: int) -> None:
        """Let the journal forget what is committed here."""
        with translated():
            response = await self._http.post("/genonaut/outcomes/confirm", json={"through": through})
        expect_success(response)

    async def system_stats(self) -> SystemStats:
        """Its version and its devices; cheap."""
        with translated():
            response = await self._http.get("/system_stats")
            expect_success(response)
            return msgspec.json.decode(response.content, type=SystemStats)

    async def object_info(self) -> dict[str, Any]:
        """Every node class with its inputs and what may be chosen there; some MB where many packs are installed."""
        with translated():
            response = await self._http.get("/object_info", timeout=FETCH_TIMEOUT)
        expect_success(response)
        return await asyncio.to_thread(read_object_info, response.content)

    def set_directories(self, directories: Mapping[str, str]) -> None:
        """Remember ComfyUI's folders if it runs on this machine, so that its files need not travel through HTTP."""
        if is_loopback(self.url):
            self.directories = {kind: Path(path) for kind, path in directories.items()}

    def local_path(self, file: OutputFile) -> Path | None:
        """The file itself, if it lies on this machine and inside ComfyUI's own folder of that kind."""
        folder = self.directories.get(file.type)
        if folder is None:
            return None
        path = (folder / file.subfolder / file.filename).resolve()
        if not path.is_relative_to(folder.resolve()) or not path.is_file():
            return None
        return path

    async def fetch(self, file: OutputFile) -> bytes:
        """
        Fetch one output file.

        Raises:
            OutputGone: ComfyUI does not have it (any more).
        """
        params = {"filename": file.filename, "subfolder": file.subfolder, "type": file.type}
        with translated():
            response = await self._http.get("/view", params=params, timeout=FETCH_TIMEOUT)
        if response.is_client_error:
            raise OutputGone
        expect_success(response)
        return response.content


@contextmanager
def translated() -> Iterator[None]:
    """ComfyUI's troubles in our words; the cause stays for the log."""
    try:
        yield
    except httpx.ConnectError as exc:
        raise ComfyUIUnreachable from exc
    except httpx.TimeoutException as exc:
        raise ComfyUITimeout from exc
    except (httpx.HTTPError, msgspec.DecodeError, RecursionError) as exc:
        raise ComfyUIBroken from exc


def read_object_info(content: bytes) -> dict[str, Any]:
    try:
        # Not msgspec: inputs may have `Infinity` as their greatest value, and files names that are no Unicode.
        found = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise ComfyUIBroken("ComfyUI's description of its nodes cannot be read.") from exc
    if not isinstance(found, dict):
        raise ComfyUIBroken("ComfyUI's description of its nodes is not of the form that it should have.")
    return found


def expect_success(response: httpx.Response) -> None:
    if not response.is_success:
        raise ComfyUIBroken(f"ComfyUI answered {response.status_code} to {response.request.url.path}.")


def as_rejection(response: httpx.Response) -> PromptRejected:
    """ComfyUI's refusal as it worded it."""
    try:
        answer = response.json()
        error = answer["error"]
        node_errors = answer.get("node_errors") or {}
        message = error if isinstance(error, str) else " ".join(filter(None, (error["message"], error.get("details"))))
        return PromptRejected(". ".join([message, *reasons_of(node_errors)]), node_errors=node_errors)
    except (ValueError, KeyError, TypeError, AttributeError):
        return PromptRejected(f"ComfyUI refused the workflow with status {response.status_code}.")


def reasons_of(node_errors: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the nodes, node by node: ComfyUI's own sentence says only that something is."""
    for node_id, found in itertools.islice(node_errors.items(), NODES_NAMED_AT_MOST):
        for reason in found["errors"]:
            said = ": ".join(filter(None, (reason.get("message"), reason.get("details"))))
            yield f"{found['class_type']} (node {node_id}): {said}"[:REASON_CHARACTERS]
