"""Asks the sidecar whose credentials these are, and remembers what it said."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from .caller import Caller, read_caller
from .credentials import Credentials
from .sidecar_client import SidecarAway, SidecarClient, SidecarRefused

REFUSAL_VALID_S = 2.0
OUTLASTS_S = 12 * 3600.0
MOST_KNOWN = 10_000
MOST_REFUSED = 1000


@dataclass(frozen=True)
class Known:
    caller: Caller
    valid_until: float
    outlasts_until: float


class Callers:
    """
    Asks the sidecar who somebody is, and remembers that for seconds. One a process, on ComfyUI's event loop.

    A page asks for dozens of things at once: the same credentials are asked about once.

    Args:
        known_outlast: While the sidecar is away, go on believing what it said of somebody in the last hours.
    """

    def __init__(self, sidecar: SidecarClient, *, known_outlast: bool = False) -> None:
        self._sidecar = sidecar
        self._outlasts_s = OUTLASTS_S if known_outlast else 0.0
        self._known: OrderedDict[bytes, Known] = OrderedDict()
        # Of their own: whoever tries credentials by the thousand must not push out those that are good.
        self._refused: OrderedDict[bytes, tuple[SidecarRefused, float]] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[Caller]] = {}

    async def find(self, credentials: Credentials) -> Caller:
        """
        Find out whose credentials these are.

        Raises:
            SidecarRefused: Nobody's, or nobody's any more; or too many were tried.
            SidecarAway: Nobody can say.
        """
        key = credentials.key()
        known = self._known.get(key)
        if known is not None and time.monotonic() < known.valid_until:
            return known.caller
        refused = self._refused.get(key)
        if refused is not None and time.monotonic() < refused[1]:
            raise refused[0].with_traceback(None)  # or it would remember every request that was refused with it
        try:
            return await self._ask_once(key, credentials)
        except SidecarAway:
            if known is None or time.monotonic() > known.outlasts_until or key not in self._known:
                raise
            return known.caller

    def forget(self, user_id: str | None) -> None:
        """Ask anew about somebody, or about everybody (None): something has changed."""
        self._refused.clear()
        self._asking.clear()  # who waits for these answers gets them, and they are not remembered
        for key in [key for key, known in self._known.items() if user_id in (None, known.caller.user_id)]:
            del self._known[key]

    async def _ask_once(self, key: bytes, credentials: Credentials) -> Caller:
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._ask(key, credentials))
            asking.add_done_callback(hear)
        # Whoever waits may go away; the others still want to know.
        return await asyncio.shield(asking)

    async def _ask(self, key: bytes, credentials: Credentials) -> Caller:
        this = asyncio.current_task()
        try:
            told = await self._sidecar.identify(credentials.as_question(), forwarded_for=credentials.forwarded_for)
            caller = read_caller(told)
        except SidecarRefused as exc:
            if self._asking.get(key) is this:
                remember(self._refused, key, (exc, time.monotonic() + REFUSAL_VALID_S), most=MOST_REFUSED)
                self._known.pop(key, None)
            raise
        else:
            if self._asking.get(key) is this:
                valid_until = time.monotonic() + float(told.get("valid_for_s") or 0)
                known = Known(caller, valid_until, valid_until + self._outlasts_s)
                remember(self._known, key, known, most=MOST_KNOWN)
            return caller
        finally:
            if self._asking.get(key) is this:
                del self._asking[key]


def hear(asked: asyncio.Task[Caller]) -> None:
    """Take note of an answer for which nobody waits any more."""
    if not asked.cancelled():
        asked.exception()


def remember(memory: OrderedDict[bytes, Any], key: bytes, value: Any, *, most: int) -> None:
    memory.pop(key, None)
    memory[key] = value
    while len(memory) > most:
        memory.popitem(last=False)
