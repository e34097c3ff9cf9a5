"""
Listening to one ComfyUI.

What is heard is only a hint of what happens. What is true stands in the pack's journal, or in ComfyUI's history where
there is no pack; it is looked at after each connect, after each `gap` and after each silence.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol
from uuid import UUID

import msgspec
import structlog
from websockets.exceptions import WebSocketException

from sidecar.comfyui.client import ComfyUIClient
from sidecar.comfyui.conversation import Conversation, Hello, ObserverEvent
from sidecar.errors import Away
from sidecar.tasks import until_one_ends

HELD_AFTER_S = 0.1  # what came through this ComfyUI is shown there already, and on an idle one it has gone by then
HELD_INTERVAL_S = 0.5
HELD_INTERVAL_EACH_S = 0.002  # nobody sees how a list of hundreds grows shorter, and it costs both sides
BACKOFF_FIRST_S = 0.25
BACKOFF_MOST_S = 5.0

log = structlog.get_logger(__name__)


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
        self,
        comfyui: ComfyUIClient,
        listener: Listener,
        read_held: Callable[[], Awaitable[Mapping[str, Any]]],
        *,
        access: str,
        changed_callers: Iterable[UUID] = (),
    ) -> None:
        self._comfyui = comfyui
        self._listener = listener
        self._read_held = read_held
        self._held_changed = asyncio.Event()
        self._access = access
        self._changed_callers = set(changed_callers)
        self._callers_changed = asyncio.Event()
        self._away_because = ""

    def held_changed(self) -> None:
        """Tell ComfyUI's own queue panel soon that other prompts are held."""
        self._held_changed.set()

    def callers_changed(self, user_id: UUID) -> None:
        """Tell ComfyUI at once, or when it is back, that this person may be let in no longer."""
        self._changed_callers.add(user_id)
        self._callers_changed.set()

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
        async with self._comfyui.listening() as conversation:
            await conversation.tell("access", {"access": self._access})
            await until_one_ends(
                self._hear(conversation), self._tell_held(conversation), self._tell_callers(conversation)
            )

    async def _hear(self, conversation: Conversation) -> None:
        self._away_because = ""
        await self._listener.connected(conversation.hello)
        log.info("comfyui_connected", url=self._comfyui.url, version=conversation.hello.comfyui_version)
        while True:
            event = await conversation.receive()
            if event is None:
                await self._listener.silence()
            else:
                await self._listener.heard(event)

    async def _tell_held(self, conversation: Conversation) -> None:
        self._held_changed.set()
        while True:
            await self._held_changed.wait()
            await asyncio.sleep(HELD_AFTER_S)
            self._held_changed.clear()
            held = await self._read_held()
            await conversation.tell("held", held)
            await asyncio.sleep(HELD_INTERVAL_S + HELD_INTERVAL_EACH_S * len(held["held"]))

    async def _tell_callers(self, conversation: Conversation) -> None:
        while True:
            for user_id in list(self._changed_callers):
                await conversation.tell("callers_changed", {"user_id": str(user_id)})
                self._changed_callers.discard(user_id)
            await self._callers_changed.wait()
            self._callers_changed.clear()
