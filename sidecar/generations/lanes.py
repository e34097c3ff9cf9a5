"""What is on its way to the ComfyUIs."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from sidecar.generations.models import Generation
from sidecar.tasks import end

log = structlog.get_logger(__name__)


class Lane:
    """
    What is on its way to one instance: one prompt after the other, in the order of turns.

    Each instance has its own: one that takes a minute to answer must not hold up the others.
    """

    def __init__(self, send: Callable[[Generation], Awaitable[None]]) -> None:
        self._send = send
        self._queue: deque[Generation] = deque()
        self._working: asyncio.Task[None] | None = None

    @property
    def is_in_use(self) -> bool:
        return self._working is not None and not self._working.done()

    def put(self, generation: Generation) -> None:
        self._queue.append(generation)
        if not self.is_in_use:
            self._working = asyncio.create_task(self._work())

    async def _work(self) -> None:
        while self._queue:
            generation = self._queue.popleft()
            try:
                await self._send(generation)
            except Exception:
                # A fault of ours or of the database: reconciling finds out what became of the prompt.
                log.exception("sending_failed", generation_id=str(generation.id))

    async def close(self) -> None:
        if self._working is not None:
            await end(self._working)
