"""
Listening to one ComfyUI.

The pack copies every execution event to this websocket. What is heard is only a hint of what happens; what is true
stands in the journal, which is read after each connect, after each `gap` and after each silence.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

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


class Hello(msgspec.Struct):
    """What a ComfyUI says of itself. `directories` are its own output, temp and input folders."""

    comfyui_version: str = ""
    pack_version: str = ""
    directories: dict[str, str] = msgspec.field(default_factory=dict)


class Listener(Protocol):
    """Who is told what ComfyUI does."""

    async def connected(self, hello: Hello) -> None:
        """ComfyUI is there (again): bring everything up to date."""

    async def disconnected(self, reason: str) -> None:
        """ComfyUI is away, or away for another reason than before."""

    async def heard(self, event: ObserverEvent) -> None:
        """Something happened."""

    async def silence(self) -> None:
        """Nothing was heard for a while."""


class Observer:
    """Follows one ComfyUI for as long as the process lives, across all its restarts."""

    def __init__(
        self, comfyui: ComfyUIClient, listener: Listener, read_held: Callable[[], Awaitable[dict[str, Any]]]
    ) -> None:
        self._comfyui = comfyui
        self._listener = listener
        self._read_held = read_held
        self._held_changed = asyncio.Event()
        self._away_because = ""

    def held_changed(self) -> None:
        """Tell ComfyUI's own queue panel soon that other prompts are held."""
        self._held_changed.set()

    async def follow(self) -> None:
        """Connect, listen, reconnect, until cancelled."""
        backoff_s = BACKOFF_FIRST_S
        while True:
            began = time.monotonic()
            reason = await self._listen_until_away()
            try:
                await self._away(reason)
            except Exception:
                log.exception("away_not_told", url=self._comfyui.url)
            if time.monotonic() - began > BACKOFF_MOST_S:
                backoff_s = BACKOFF_FIRST_S
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, BACKOFF_MOST_S)

    async def _listen_until_away(self) -> str:
        """Listen for as long as that goes; tells why it ended."""
        try:
            await self._listen()
        except (OSError, asyncio.TimeoutError, WebSocketException, msgspec.DecodeError, Away) as exc:
            return f"{type(exc).__name__}: {exc}"
        except Exception:
            # A fault of ours or of the database: told in full, and tried again like any other trouble.
            log.exception("following_comfyui_failed", url=self._comfyui.url)
            return "something went wrong in the sidecar; its log says what"
        return "the connection was closed"

    async def _away(self, reason: str) -> None:
        if self._away_because != reason:
            log.warning("comfyui_away", url=self._comfyui.url, reason=reason)
            await self._listener.disconnected(reason)
            self._away_because = reason

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
            hello = read_hello(await receive(connection))
            self._comfyui.set_directories(hello.directories)
            await until_one_ends(self._hear(connection, hello), self._tell_held(connection))

    async def _hear(self, connection: ClientConnection, hello: Hello) -> None:
        self._away_because = ""
        await self._listener.connected(hello)
        log.info("comfyui_connected", url=self._comfyui.url, version=hello.comfyui_version)
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


def read_hello(event: ObserverEvent | None) -> Hello:
    return msgspec.convert(event.data, Hello) if event is not None else Hello()


async def receive(connection: ClientConnection) -> ObserverEvent | None:
    """The next message; None after a silence."""
    try:
        message = await asyncio.wait_for(connection.recv(), SILENCE_S)
    except asyncio.TimeoutError:
        return None
    return msgspec.json.decode(message, type=ObserverEvent)
