"""
Listening to one ComfyUI.

The pack copies every execution event to this websocket. What is heard is only a hint of what happens; what is true
stands in the journal, which is read after each connect, after each `gap` and after each silence.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal, Protocol

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from sidecar.comfyui.client import ComfyUIClient
from sidecar.errors import Away

SILENCE_S = 15.0
HELD_INTERVAL_S = 0.5
BACKOFF_FIRST_S = 0.25
BACKOFF_MOST_S = 5.0
PING_INTERVAL_S = 20.0
CLOSE_WITHIN_S = 1.0  # a ComfyUI that is ending waits for us and no longer answers our goodbye
MAX_MESSAGE_BYTES = 64 * 1024**2

log = structlog.get_logger(__name__)


class ObserverEvent(msgspec.Struct):
    """One message of the pack. `at` is unix milliseconds."""

    type: str
    at: int = 0
    data: dict[str, Any] = msgspec.field(default_factory=dict)


class Listener(Protocol):
    """Who is told what ComfyUI does."""

    async def connected(self) -> None:
        """ComfyUI is there (again): bring everything up to date."""

    def disconnected(self) -> None:
        """ComfyUI is away."""

    async def heard(self, event: ObserverEvent) -> None:
        """Something happened."""

    async def silence(self) -> None:
        """Nothing was heard for a while."""


@dataclass
class Presence:
    """Whether ComfyUI is there, since when, and what was last said of it."""

    url: str
    state: Literal["connected", "away"] = "away"
    since: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    reason: str = "not asked yet"
    comfyui_version: str = ""
    pack_version: str = ""

    def change(self, state: Literal["connected", "away"], reason: str = "") -> None:
        if state != self.state:
            self.state = state
            self.since = datetime.now(timezone.utc)
        self.reason = reason


class Observer:
    """Follows one ComfyUI for as long as the process lives, across all its restarts."""

    def __init__(
        self, comfyui: ComfyUIClient, listener: Listener, read_held: Callable[[], Awaitable[dict[str, Any]]]
    ) -> None:
        self.presence = Presence(comfyui.url)
        self._comfyui = comfyui
        self._listener = listener
        self._read_held = read_held
        self._held_changed = asyncio.Event()

    def held_changed(self) -> None:
        """Tell ComfyUI's own queue panel soon that other prompts are held."""
        self._held_changed.set()

    async def follow(self) -> None:
        """Connect, listen, reconnect, until cancelled."""
        backoff_s = BACKOFF_FIRST_S
        while True:
            began = time.monotonic()
            try:
                await self._listen()
            except (OSError, asyncio.TimeoutError, WebSocketException, msgspec.DecodeError, Away) as exc:
                self._away(f"{type(exc).__name__}: {exc}")
            except Exception:
                # A fault of ours or of the database: told in full, and tried again like any other trouble.
                log.exception("following_comfyui_failed", url=self._comfyui.url)
            if time.monotonic() - began > BACKOFF_MOST_S:
                backoff_s = BACKOFF_FIRST_S
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, BACKOFF_MOST_S)

    def _away(self, reason: str) -> None:
        if self.presence.state == "connected" or self.presence.reason != reason:
            log.warning("comfyui_away", url=self._comfyui.url, reason=reason)
        self.presence.change("away", reason)

    async def _listen(self) -> None:
        url = "ws" + self._comfyui.url.removeprefix("http") + "/genonaut/observer"
        async with connect(
            url,
            additional_headers=self._comfyui.headers,
            proxy=None,
            max_size=MAX_MESSAGE_BYTES,
            ping_interval=PING_INTERVAL_S,
            ping_timeout=PING_INTERVAL_S,
            close_timeout=CLOSE_WITHIN_S,
        ) as connection:
            self._greeted(await receive(connection))
            try:
                await until_one_ends(self._hear(connection), self._tell_held(connection))
            finally:
                self._listener.disconnected()
                self._away("the connection was closed")

    def _greeted(self, hello: ObserverEvent | None) -> None:
        data = hello.data if hello is not None else {}
        self._comfyui.set_directories(data.get("directories") or {})
        self.presence.comfyui_version = str(data.get("comfyui_version") or "")
        self.presence.pack_version = str(data.get("pack_version") or "")
        self.presence.change("connected")
        log.info("comfyui_connected", url=self._comfyui.url, version=self.presence.comfyui_version)

    async def _hear(self, connection: ClientConnection) -> None:
        await self._listener.connected()
        while True:
            event = await receive(connection)
            if event is None:
                await self._listener.silence()
            else:
                await self._listener.heard(event)

    async def _tell_held(self, connection: ClientConnection) -> None:
        self._held_changed.set()
        while True:
            await self._held_changed.wait()
            self._held_changed.clear()
            held = await self._read_held()
            await connection.send(msgspec.json.encode({"type": "held", "data": held}).decode())
            await asyncio.sleep(HELD_INTERVAL_S)


async def until_one_ends(*doings: Coroutine[Any, Any, None]) -> None:
    """Do several things at once until the first of them ends or fails; then stop the others and fail as it did."""
    tasks = [asyncio.create_task(doing) for doing in doings]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def receive(connection: ClientConnection) -> ObserverEvent | None:
    """The next message; None after a silence."""
    try:
        message = await asyncio.wait_for(connection.recv(), SILENCE_S)
    except asyncio.TimeoutError:
        return None
    return msgspec.json.decode(message, type=ObserverEvent)
