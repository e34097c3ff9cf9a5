"""What is asked of a ComfyUI, with the pack in it or without."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import msgspec
import structlog

from sidecar.addresses import is_loopback
from sidecar.comfyui.conversation import Conversation, NoPack
from sidecar.comfyui.core_dialect import CoreDialect
from sidecar.comfyui.dialect import CancelledWhile, Dialect, Expected, Prompt
from sidecar.comfyui.http import FETCH_TIMEOUT, ComfyUIHttp, expect_success, read
from sidecar.comfyui.outcomes import Look
from sidecar.comfyui.pack_dialect import PackDialect
from sidecar.comfyui.paired_http import PairedHttp
from sidecar.errors import ComfyUIBroken, ComfyUINotProven, OutputGone
from sidecar.pairing import pairing_of

PACK_IS_GONE = (
    "What answers there has no pack, and the ComfyUI that was met there had it, so nothing is given to it: it may be "
    "another program, and without the pack nobody's files are kept from anybody. If that is meant to be, make the "
    "instance active once more."
)

log = structlog.get_logger(__name__)


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


class ComfyUIClient:
    """Speaks with one ComfyUI. One an instance and process; closed when either ends."""

    def __init__(
        self, url: str, pairing_secret: str, *, instance_id: UUID, followed_at: dict[str, str] | None = None
    ) -> None:
        """
        Args:
            followed_at: At which address each process of a ComfyUI is listened to; all clients share it.
        """
        self.url = url
        self._followed_at = {} if followed_at is None else followed_at
        self.directories: dict[str, Path] = {}
        """ComfyUI's output, temp and input folders, where they can be read from here; told by the pack's hello."""
        # A ComfyUI without the pack has no use for proofs: only the pack's own doors are shown any.
        self._http = ComfyUIHttp(url)
        self._paired_http = PairedHttp(url, pairing_of(pairing_secret), self._followed_at)
        self._pack = PackDialect(self._paired_http)
        self._core = CoreDialect(self._http, instance_id)
        self._dialect: Dialect = self._pack
        self._has_pack = False
        self.listens = False
        """Does this process follow it?"""
        self.had_pack = False
        """Was it met with the pack? Then whoever answers there without it, perhaps in its place, is given nothing."""

    async def close(self) -> None:
        await self._http.close()
        await self._paired_http.close()

    def learn(self, *, has_pack: bool, directories: Mapping[str, str]) -> None:
        """What whoever follows it has found out; who listens to it here knows better."""
        if not self.listens:
            self._dialect = self._pack if has_pack else self._core
            self._has_pack = has_pack
            self.set_directories(directories)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Conversation]:
        """
        Hear what it does, for the length of the block. Whether it has the pack is found out each time anew.

        Raises:
            OSError, asyncio.TimeoutError, WebSocketException: It cannot be heard.
            ComfyUINotProven: It does not prove that it is the ComfyUI that had the pack.
            ComfyUIAway: It does not say what it is.
        """
        try:
            conversation: Conversation = await self._pack.listen()
            self._followed_at[self._paired_http.process] = self.url
            self._dialect, self._has_pack, self.had_pack = self._pack, True, True
        except NoPack as exc:
            if self.had_pack:
                raise ComfyUINotProven(PACK_IS_GONE) from exc
            conversation = await self._core.listen()
            self._dialect, self._has_pack = self._core, False
        self.listens = True
        self.set_directories(conversation.hello.directories)
        try:
            yield conversation
        finally:
            self.listens = False
            for process in [process for process, url in self._followed_at.items() if url == self.url]:
                del self._followed_at[process]
            self._core.stop_listening()
            await conversation.close()

    async def submit_prompt(self, prompt: Prompt) -> None:
        """
        Put a prompt into ComfyUI's queue. Safe to repeat: a known id is not queued twice.

        Raises:
            PromptRejected: The workflow does not pass ComfyUI's validation, with its errors node by node.
            PromptFinishedAlready: It has run; the next look has its outcome, or nobody has.
            ComfyUIAway: It cannot be said whether ComfyUI has it.
        """
        await self._dialect.submit_prompt(prompt)

    async def cancel_prompt(self, prompt_id: str) -> CancelledWhile:
        """Take a prompt out of the queue, or interrupt it if it is the one that runs; never another one."""
        return await self._dialect.cancel_prompt(prompt_id)

    async def look(self, *, after: int, expected: Expected, term: int | None = None) -> Look:
        """
        What is queued, what runs, and what has ended: of the journal, what comes after a sequence number.

        Args:
            term: Of whoever leads: what was sent in earlier ones and is not there yet is refused from here on, if
                this ComfyUI can do that (`refuses_earlier_terms`).
        """
        return await self._dialect.look(after=after, expected=expected, term=term)

    @property
    def refuses_earlier_terms(self) -> bool:
        return self._has_pack

    async def confirm_outcomes(self, *, journal: str, through: int) -> None:
        """Outcomes up to this one are committed here, and may be forgotten there."""
        await self._dialect.confirm_outcomes(journal=journal, through=through)

    @property
    def _own_routes(self) -> ComfyUIHttp:
        """For ComfyUI's own routes. Where people have accounts, the pack lets nobody to them without credentials."""
        return self._paired_http if self._has_pack else self._http

    async def system_stats(self) -> SystemStats:
        """Its version and its devices; cheap."""
        return read(await self._own_routes.get("/system_stats"), SystemStats)

    async def object_info(self) -> dict[str, Any]:
        """Every node class with its inputs and what may be chosen there; some MB where many packs are installed."""
        response = await self._own_routes.get("/object_info", timeout=FETCH_TIMEOUT)
        expect_success(response)
        return await asyncio.to_thread(read_object_info, response.content)

    async def free_memory(self) -> None:
        """Have it forget its models and everything that it remembers between prompts, as soon as nothing runs."""
        response = await self._own_routes.post("/free", {"unload_models": True, "free_memory": True})
        if response.is_client_error:  # somebody has locked that door: whatever wants memory is tried without it
            log.warning("memory_not_freed", url=self.url, status=response.status_code)
        else:
            expect_success(response)

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
        response = await self._own_routes.get("/view", params, timeout=FETCH_TIMEOUT)
        if response.is_client_error:
            raise OutputGone
        expect_success(response)
        return response.content


def read_object_info(content: bytes) -> dict[str, Any]:
    try:
        # Not msgspec: inputs may have `Infinity` as their greatest value, and files names that are no Unicode.
        found = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise ComfyUIBroken("ComfyUI's description of its nodes cannot be read.") from exc
    if not isinstance(found, dict):
        raise ComfyUIBroken("ComfyUI's description of its nodes is not of the form that it should have.")
    return found
