"""
A ComfyUI under the watch: when each prompt was done, told by the server itself rather than found by asking.

ComfyUI's page learns over its websocket that a prompt has ended, right after it went into ComfyUI's history. With
Genonaut the sidecar's event stream tells, in addition, when it is recorded.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from comfy_nodes.locations import SetupFailed

CLIENT_ID = "genonaut-benchmark"
WITHIN_S = 30.0

Moments = dict[str, "asyncio.Future[float]"]


def unknown_moments() -> Moments:
    """Whoever comes first, the answer to the prompt or the event, makes the place for the moment."""
    return defaultdict(asyncio.get_running_loop().create_future)


@dataclass
class Submitted:
    """One prompt: how long the answer took and when it was asked for (`time.perf_counter`)."""

    prompt_id: str
    began: float
    answered_s: float


@dataclass
class WatchedComfyUI:
    url: str
    http: aiohttp.ClientSession
    with_genonaut: bool
    ended: Moments = field(default_factory=unknown_moments)
    """In ComfyUI's history."""
    recorded: Moments = field(default_factory=unknown_moments)
    """In Genonaut's."""

    async def submit(self, workflow: dict[str, Any]) -> Submitted:
        began = time.perf_counter()
        async with self.http.post(f"{self.url}/prompt", json={"prompt": workflow, "client_id": CLIENT_ID}) as answer:
            content = await answer.json()
        if answer.status != 200:
            raise SetupFailed(f"ComfyUI did not take the benchmark's prompt: {content}")
        return Submitted(content["prompt_id"], began, time.perf_counter() - began)

    async def until_ended(self, submitted: Submitted) -> float:
        """Seconds from the question to ComfyUI's history."""
        return await self._moment(self.ended, submitted) - submitted.began

    async def until_done(self, submitted: Submitted) -> float:
        """Seconds until whoever keeps the history has it: Genonaut where it is there, else ComfyUI."""
        return await self._moment(self.recorded if self.with_genonaut else self.ended, submitted) - submitted.began

    def deaf(self, listening: asyncio.Task[None]) -> None:
        """Nothing more is heard: whoever waits must not wait in vain."""
        if listening.cancelled():
            return
        reason = listening.exception() or EOFError(f"{self.url} has closed the stream of its events.")
        for moment in (*self.ended.values(), *self.recorded.values()):
            if not moment.done():
                moment.set_exception(reason)

    async def _moment(self, moments: Moments, submitted: Submitted) -> float:
        try:
            return await asyncio.wait_for(moments[submitted.prompt_id], WITHIN_S)
        except asyncio.TimeoutError as exc:
            raise SetupFailed(
                f"Prompt {submitted.prompt_id} was not done within {WITHIN_S:.0f} s at {self.url}; "
                "the logs in its folder may say why."
            ) from exc

    async def hear_comfyui(self, socket: aiohttp.ClientWebSocketResponse[Any]) -> None:
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            event = json.loads(message.data)
            if event["type"] == "executing" and event["data"].get("node") is None:
                note(self.ended, event["data"]["prompt_id"])

    async def hear_genonaut(self, stream: aiohttp.ClientResponse) -> None:
        async for line in stream.content:
            if not line.startswith(b"data: {"):  # other lines say which event it is, or only keep the stream awake
                continue
            generation = json.loads(line[len(b"data: ") :])
            if generation.get("state") == "completed":
                note(self.recorded, generation["id"])


def note(moments: Moments, prompt_id: str) -> None:
    if not moments[prompt_id].done():
        moments[prompt_id].set_result(time.perf_counter())


@asynccontextmanager
async def watched(url: str, *, with_genonaut: bool) -> AsyncIterator[WatchedComfyUI]:
    """Listen to a ComfyUI, and to the sidecar behind it, for the length of the block."""
    unlimited = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=unlimited) as http:
        comfyui = WatchedComfyUI(url, http, with_genonaut)
        async with http.ws_connect(f"{url}/ws", params={"clientId": CLIENT_ID}, max_msg_size=0) as socket:
            listening = [asyncio.create_task(comfyui.hear_comfyui(socket))]
            if with_genonaut:
                stream = await http.get(f"{url}/genonaut/api/v1/events", read_bufsize=2**20)
                listening.append(asyncio.create_task(comfyui.hear_genonaut(stream)))
            for task in listening:
                task.add_done_callback(comfyui.deaf)
            try:
                yield comfyui
            finally:
                for task in listening:
                    task.cancel()
                await asyncio.gather(*listening, return_exceptions=True)
