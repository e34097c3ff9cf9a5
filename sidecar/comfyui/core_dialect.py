"""A ComfyUI as it comes: what it does is read from its queue and its history."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct, field

from sidecar.comfyui.conversation import CoreConversation, Hello
from sidecar.comfyui.dialect import CancelledWhile, Expected, Prompt, Queued
from sidecar.comfyui.history_entries import HistoryEntry, to_outcome
from sidecar.comfyui.http import SUBMIT_TIMEOUT, ComfyUIHttp, expect_success, read
from sidecar.comfyui.outcomes import Finished, Look
from sidecar.comfyui.own_nodes import without_own_nodes
from sidecar.comfyui.rejections import as_rejection, is_refusal
from sidecar.errors import PromptFinishedAlready


class Queue(Struct):
    """`GET /queue`: each item is `[number, prompt_id, ...]`."""

    queue_running: list[list[Any]] = field(default_factory=list)
    queue_pending: list[list[Any]] = field(default_factory=list)

    @property
    def running(self) -> list[str]:
        return [str(item[1]) for item in self.queue_running]

    @property
    def pending(self) -> list[str]:
        return [str(item[1]) for item in self.queue_pending]


class CoreDialect:
    """Outcomes come from ComfyUI's history, which is kept in memory: the last 10 000, until ComfyUI ends."""

    def __init__(self, http: ComfyUIHttp, instance_id: UUID) -> None:
        self._http = http
        self._journal = f"history-{instance_id}"
        # Of ComfyUI's two clients with one id only the latest is told anything: it must be nobody else's.
        self._client_id = f"genonaut-{instance_id}"
        self._taken_out: dict[str, float] = {}
        """The prompts that were deleted from its queue, and when: its history never hears of them."""
        self._seen: set[str] | None = None
        """The prompts that were in its queue since it is listened to without a break; None while it is not."""

    async def listen(self) -> CoreConversation:
        """From here on it is the same process: what leaves its queue without a trace was deleted there by somebody."""
        stats = read(await self._http.get("/system_stats"), dict[str, Any])
        version = (stats.get("system") or {}).get("comfyui_version")
        hello = Hello(comfyui_version=str(version or ""))
        conversation = await CoreConversation.begin(self._http, self._client_id, hello)
        self._seen = set()
        return conversation

    def stop_listening(self) -> None:
        """When it is there again it may be another process, whose queue is empty because it is new."""
        self._seen = None

    async def submit_prompt(self, prompt: Prompt) -> None:
        queue = await self._queue()
        if prompt.id in queue.running or prompt.id in queue.pending:
            return  # its answer was lost the last time
        if await self._entry(prompt.id) is not None:
            raise PromptFinishedAlready
        body = replace(prompt, workflow=without_own_nodes(prompt.workflow)).body(client_id=self._client_id)
        response = await self._http.post("/prompt", body, timeout=SUBMIT_TIMEOUT)
        if is_refusal(response):
            raise as_rejection(response)
        read(response, Queued)
        if self._seen is not None:
            self._seen.add(prompt.id)

    async def cancel_prompt(self, prompt_id: str) -> CancelledWhile:
        queue = await self._queue()
        if prompt_id in queue.pending:
            expect_success(await self._http.post("/queue", {"delete": [prompt_id]}))
            if prompt_id not in (await self._queue()).running:
                self._taken_out[prompt_id] = time.time()
                return "pending"
        elif prompt_id not in queue.running:
            return "absent"
        expect_success(await self._http.post("/interrupt", {"prompt_id": prompt_id}))
        return "running"

    async def look(self, *, after: int, expected: Expected, term: int | None = None) -> Look:
        del term  # it takes prompts from whomever they come
        wanted = await expected()
        self._taken_out = {prompt_id: at for prompt_id, at in self._taken_out.items() if prompt_id in wanted}
        seen = frozenset(self._seen or ())
        # The queue before the history: a prompt enters the one in the same moment in which it leaves the other.
        queue = await self._queue_without_doubles(wanted)
        queued = {*queue.running, *queue.pending}
        if self._seen is not None:
            self._seen = (self._seen & set(wanted)) | queued
        outcomes = [
            outcome
            for prompt_id in wanted
            if prompt_id not in queued
            and (outcome := await self._outcome(prompt_id, was_there=prompt_id in seen)) is not None
        ]
        outcomes.sort(key=lambda outcome: outcome.finished_at)
        for sequence, outcome in enumerate(outcomes, start=after + 1):
            outcome.sequence = sequence
        entries = [msgspec.Raw(msgspec.json.encode(outcome)) for outcome in outcomes]
        return Look(journal=self._journal, entries=entries, running=queue.running, pending=queue.pending)

    async def confirm_outcomes(self, *, journal: str, through: int) -> None:
        """Its history forgets by itself, and sequences are counted here."""
        del journal, through

    async def _queue(self) -> Queue:
        return read(await self._http.get("/queue"), Queue)

    async def _queue_without_doubles(self, wanted: Collection[str]) -> Queue:
        """
        A prompt whose answer took too long was perhaps sent a second time, and the first one arrived all the same.

        ComfyUI deletes one of them for each time that it is asked to.
        """
        queue = await self._queue()
        counts = Counter(queue.running + queue.pending)
        doubles = [prompt_id for prompt_id in set(queue.pending) & set(wanted) if counts[prompt_id] > 1]
        if not doubles:
            return queue
        expect_success(await self._http.post("/queue", {"delete": doubles}))
        return await self._queue()

    async def _entry(self, prompt_id: str) -> HistoryEntry | None:
        return read(await self._http.get(f"/history/{prompt_id}"), dict[str, HistoryEntry]).get(prompt_id)

    async def _outcome(self, prompt_id: str, *, was_there: bool) -> Finished | None:
        entry = await self._entry(prompt_id)
        if entry is not None:
            return to_outcome(prompt_id, entry)
        taken_out_at = self._taken_out.get(prompt_id) or (time.time() if was_there else None)
        if taken_out_at is None:
            return None
        return Finished(sequence=0, prompt_id=prompt_id, status="cancelled", finished_at=taken_out_at)
