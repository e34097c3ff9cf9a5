"""
Who was refused here, told to the sidecar for its audit: in the background, and never so that anybody waits for it.

    mark_refused(request, "admins_only")     whoever refuses something: the middleware, a route, the gate
    Refusals.hear(request)                   the doorkeeper, when the request is over

What is repeated is told once a minute, and of everybody together no more than some, as the sidecar does with its own
(`sidecar/accounts/refusals.py`). What is not told one by one is counted, also while the sidecar is away, and the count
is told.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from .access_rules import path_of
from .caller import Caller
from .sidecar_client import SidecarAway, SidecarRefused
from .wire import request_key

log = logging.getLogger("genonaut.refusals")

REFUSED, ASKED_BY = request_key("genonaut_refused", str), request_key("genonaut_asked_by", Caller)
ONCE_IN_S = 60.0
IN_THAT_TIME_AT_MOST = 100
KEPT_AT_MOST = 100
TOGETHER_S = 1.0
LONGEST_METHOD, LONGEST_ROUTE = 20, 200
AGAIN_FIRST_S, AGAIN_MOST_S = 2.0, 60.0

Told = dict[str, Any]


def mark_refused(request: web.Request, code: str) -> None:
    """Say that this was refused by a rule, and by which."""
    request[REFUSED] = code


class Refusals:
    """
    Tells of them. One a process, on ComfyUI's event loop; closed when that ends.

    Args:
        tell: Hands some over to the sidecar, with the number of those that are not among them.
    """

    def __init__(self, tell: Callable[[list[Told], int], Awaitable[None]]) -> None:
        self._tell = tell
        self._told_at: dict[tuple[str, str], float] = {}
        self._waiting: deque[Told] = deque()
        self._untold = 0
        self._telling: asyncio.Task[None] | None = None

    def hear(self, request: web.Request) -> None:
        """Take note of a request that is over, if it was refused by a rule."""
        code: str | None = request.get(REFUSED)
        if code is None:
            return
        person: Caller | None = request.get(ASKED_BY)
        address = request.remote or ""
        if not self._is_worth_telling((person.user_id if person else "") or address, code):
            self._untold += 1
        else:
            self._waiting.append(
                {
                    "code": code,
                    "at": time.time(),
                    "method": request.method[:LONGEST_METHOD],
                    "route": (path_of(request) or "")[:LONGEST_ROUTE],
                    "user_id": person.user_id if person and person.user_id else None,
                    "name": person.name if person else "",
                    "address": address,
                    "forwarded_for": request.headers.get("X-Forwarded-For"),
                }
            )
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_all())

    async def close(self) -> None:
        """What could not be told goes to the log: nobody else would ever hear of it."""
        if self._telling is not None:
            self._telling.cancel()
        if left := len(self._waiting) + self._untold:
            log.warning("%d refused requests are missing in the audit: the sidecar could not be told of them.", left)

    def _is_worth_telling(self, who: str, code: str) -> bool:
        """Not told lately, and there is room for it; if so, it is told now."""
        key, at = (who, code), time.monotonic()
        self._told_at = {known: moment for known, moment in self._told_at.items() if at - moment < ONCE_IN_S}
        is_repeated = key in self._told_at or len(self._told_at) >= IN_THAT_TIME_AT_MOST
        if is_repeated or len(self._waiting) >= KEPT_AT_MOST:
            return False
        self._told_at[key] = at
        return True

    async def _tell_all(self) -> None:
        again_s, told_at = AGAIN_FIRST_S, time.monotonic()
        while self._waiting or self._untold:
            await asyncio.sleep(TOGETHER_S)
            if not self._waiting and time.monotonic() - told_at < ONCE_IN_S:
                continue  # what is only counted waits for company
            told, untold = list(self._waiting), self._untold
            try:
                await self._tell(told, untold)
            except SidecarAway:
                await asyncio.sleep(again_s)
                again_s = min(2 * again_s, AGAIN_MOST_S)
                continue
            except SidecarRefused:
                log.exception("The sidecar does not take note of what was refused here.")
            again_s, told_at = AGAIN_FIRST_S, time.monotonic()
            for _ in told:
                self._waiting.popleft()
            self._untold -= untold
