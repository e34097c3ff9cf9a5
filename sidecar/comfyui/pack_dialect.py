"""A ComfyUI with the pack in it (sidecar/README.md, "Sidecar to pack")."""

from __future__ import annotations

from contextlib import suppress
from typing import Literal

import httpx
from msgspec import Struct
from websockets.exceptions import ConnectionClosed

from sidecar.comfyui.conversation import PackConversation
from sidecar.comfyui.dialect import CancelledWhile, Expected, Prompt, Queued
from sidecar.comfyui.http import SUBMIT_TIMEOUT, expect_success, read
from sidecar.comfyui.outcomes import Look
from sidecar.comfyui.paired_http import PairedHttp
from sidecar.comfyui.rejections import as_rejection, is_refusal
from sidecar.errors import ComfyUIBroken, PromptFinishedAlready, TermIsOver

HEADLESS_CLIENT_ID = "genonaut"  # without any client id ComfyUI would broadcast its previews to every browser


class Cancelled(Struct):
    """What the pack answers to a cancel."""

    was: Literal["pending", "running", "absent"]


class PackDialect:
    """Outcomes come from the pack's journal, which is kept until they are confirmed."""

    def __init__(self, http: PairedHttp) -> None:
        self._http = http
        self._conversation: PackConversation | None = None
        """The latest one."""

    async def listen(self) -> PackConversation:
        """
        Raises:
            NoPack: It has none.
        """
        self._conversation = await PackConversation.begin(self._http)
        return self._conversation

    async def submit_prompt(self, prompt: Prompt) -> None:
        body = {**prompt.body(client_id=prompt.client_id or HEADLESS_CLIENT_ID), "genonaut_term": prompt.term}
        response = await self._http.post("/prompt", body, timeout=SUBMIT_TIMEOUT)
        if response.status_code == httpx.codes.CONFLICT:
            raise PromptFinishedAlready
        if response.status_code == httpx.codes.PRECONDITION_FAILED:
            raise TermIsOver(latest_term(response))
        if is_refusal(response):
            raise as_rejection(response)
        read(response, Queued)

    async def cancel_prompt(self, prompt_id: str) -> CancelledWhile:
        return read(await self._http.post("/genonaut/cancel", {"prompt_id": prompt_id}), Cancelled).was

    async def look(self, *, after: int, expected: Expected, term: int | None = None) -> Look:
        del expected  # the journal tells of every prompt
        asked = {"after": after} if term is None else {"after": after, "term": term}
        return read(await self._http.get("/genonaut/outcomes", asked), Look)

    async def confirm_outcomes(self, *, journal: str, through: int) -> None:
        """Without an answer where it can be told on the way: what was not heard is told again with the next look."""
        if self._conversation is not None:
            with suppress(ConnectionClosed):
                await self._conversation.tell("recorded", {"journal": journal, "through": through})
                return
        expect_success(await self._http.post("/genonaut/outcomes/confirm", {"through": through}))


def latest_term(response: httpx.Response) -> int:
    """Of which term the pack has heard that refuses an earlier one."""
    try:
        return int(response.json()["error"]["details"])
    except (ValueError, KeyError, TypeError) as exc:
        raise ComfyUIBroken from exc
