"""
Copies ComfyUI's execution events to the sidecar that observes it.

The tap sits in ``send_sync``, which ComfyUI calls from its worker thread and from its event loop. It encodes, puts
the text into a bounded queue and returns: it never waits and never raises. Each observer is written to by a task of its
own, so that a frozen one holds up nobody else, least of all the sockets of ComfyUI's page.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from aiohttp import web

from .wire import encode_json

log = logging.getLogger("genonaut.events")

COPIED_EVENTS = frozenset(
    {
        "execution_start",
        "execution_cached",
        "executing",
        "progress_state",
        "progress",
        "executed",
        "execution_success",
        "execution_error",
        "execution_interrupted",
    }
)
MOST_WAITING = 10_000
MOST_AT_ONCE = 100
SEND_TIMEOUT_S = 20.0
"""An observer that does not take so many for this long is dropped; the sidecar connects again and reconciles."""


class Observer:
    """One observing socket and what waits for it. Lives as long as the connection."""

    def __init__(
        self,
        websocket: web.WebSocketResponse,
        transport: asyncio.BaseTransport | None = None,
        *,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._socket = websocket
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._something_waits = asyncio.Event()
        self._most_waiting = most_waiting
        self._lock = threading.Lock()
        self._waiting: deque[str] = deque()
        self._dropped = 0

    def offer(self, message: str) -> None:
        """Queue a message, from any thread; drop and count it where too many wait already."""
        with self._lock:
            if len(self._waiting) >= self._most_waiting:
                self._dropped += 1
                return
            self._waiting.append(message)
            wake = len(self._waiting) == 1
        if wake:
            self._loop.call_soon_threadsafe(self._something_waits.set)

    async def write(self) -> None:
        """Write what waits, for as long as the socket is open."""
        while not self._socket.closed:
            await self._something_waits.wait()
            self._something_waits.clear()
            # Some at once: each time-out costs a task of its own, and a prompt has a dozen messages.
            while await asyncio.wait_for(self._write_some(), SEND_TIMEOUT_S) == MOST_AT_ONCE:
                pass

    async def _write_some(self) -> int:
        """Write the first of what waits; tells how many they were."""
        written = 0
        for message in islice(self._take_all(), MOST_AT_ONCE):
            await self._socket.send_str(message)
            written += 1
        return written

    def hang_up(self) -> None:
        """Cut the line, also when the event loop has ended and nobody would answer a closing message any more."""
        connection = self._transport and self._transport.get_extra_info("socket")
        if connection:
            with contextlib.suppress(OSError):  # the other side was quicker
                connection.shutdown(socket.SHUT_RDWR)

    def _take_all(self) -> Iterator[str]:
        # One at a time: what has been taken and not been sent would not count against the bound.
        while True:
            with self._lock:
                if not self._waiting:
                    dropped, self._dropped = self._dropped, 0
                    break
                message = self._waiting.popleft()
            yield message
        if dropped:
            yield as_message("gap", encode_json({"dropped": dropped}))


class EventTap:
    """Hands every copied event to every observer. One a process."""

    def __init__(self) -> None:
        self.observers: list[Observer] = []
        self.on_execution_start: Callable[[str], None] = lambda prompt_id: None
        """Called with the prompt's id in ComfyUI's worker thread, after ComfyUI has reset its interrupt flag."""
        self.on_executed: Callable[[dict[str, Any]], None] = lambda told: None
        """Called with what a node has made, before anybody hears of it."""

    def hang_up(self) -> None:
        """ComfyUI ends: let the sidecar notice at once."""
        for observer in tuple(self.observers):
            observer.hang_up()

    def wrap(self, send_sync: Callable[..., None]) -> Callable[..., None]:
        """Make a ``send_sync`` that does what the given one does, after the tap has seen it."""

        def tapped_send_sync(event: Any, data: Any, *args: Any, **kwargs: Any) -> None:
            try:
                self.see(event, data)
            except Exception:  # an exception here would end ComfyUI's worker
                log.exception("The event %s could not be copied to the sidecar.", event)
            send_sync(event, data, *args, **kwargs)

        return tapped_send_sync

    def see(self, event: Any, data: Any) -> None:
        if not isinstance(event, str) or event not in COPIED_EVENTS:
            return
        if event == "execution_start":
            self.on_execution_start(data["prompt_id"])
        if event == "executed":
            self.on_executed(data)
        self.tell(event, data)

    def tell(self, kind: str, data: Any) -> None:
        """Send a message of our own to every observer, from any thread."""
        if self.observers:
            # Encoded now: ComfyUI goes on changing the objects that it sends.
            self.tell_encoded(kind, encode_json(data))

    def tell_encoded(self, kind: str, data: bytes) -> None:
        """The same for what is JSON already."""
        observers = tuple(self.observers)
        if observers:
            message = as_message(kind, data)
            for observer in observers:
                observer.offer(message)


def as_message(kind: str, data: bytes) -> str:
    return (b'{"type":"%s","at":%d,"data":%s}' % (kind.encode(), time.time() * 1000, data)).decode("utf-8")
