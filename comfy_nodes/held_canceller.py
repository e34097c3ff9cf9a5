"""Cancels at the sidecar what it holds: one prompt after the other, however many somebody deletes at once."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any

from .held_prompts import HeldPrompt, HeldPrompts
from .sidecar_client import SidecarAway, SidecarClient, SidecarRefused

log = logging.getLogger("genonaut.canceller")


class HeldCanceller:
    """
    Works through what is to be cancelled, in one task on ComfyUI's event loop. Asked from any thread; nobody waits.

    All at once, a thousand requests would wait for each other until none of them is answered in time.
    """

    def __init__(self, server: Any, sidecar: SidecarClient, held: HeldPrompts) -> None:
        self._server = server
        self._sidecar = sidecar
        self._held = held
        self._lock = threading.Lock()
        self._waiting: dict[str, HeldPrompt] = {}
        self._cleared_at_ms: dict[str | None, int] = {}
        """By owner; what was cleared for everybody stands under None."""
        self._task: asyncio.Task[None] | None = None

    def cancel(self, *prompts: HeldPrompt) -> None:
        """Show these no longer, and cancel them."""
        if not prompts:
            return
        for prompt in prompts:
            self._held.remove(prompt.prompt_id)
        with self._lock:
            self._waiting.update((prompt.prompt_id, prompt) for prompt in prompts)
        self._server.queue_updated()
        self._server.loop.call_soon_threadsafe(self._start)

    def clear(self, owner_id: str | None = None) -> None:
        """Cancel all that is held now for somebody, or for all (None), also what the list was too short to tell."""
        told = self._held.now()
        with self._lock:
            if self._held.count() > len(told):
                self._cleared_at_ms[owner_id] = int(time.time() * 1000)
        self.cancel(*(prompt for prompt in told if owner_id in (None, prompt.owner_id)))

    def list_was_told(self) -> None:
        """The sidecar's list may bring what waits to be cancelled, and the next ones of those that were cleared."""
        told = self._held.now()
        with self._lock:
            chosen = [prompt for prompt in told if prompt.prompt_id in self._waiting or self._is_cleared(prompt)]
            if not chosen and self._held.count() == len(told):
                self._cleared_at_ms.clear()
        self.cancel(*chosen)

    def _is_cleared(self, prompt: HeldPrompt) -> bool:
        cleared_at_ms = [self._cleared_at_ms.get(owner_id, -1) for owner_id in (None, prompt.owner_id)]
        return prompt.created_at_ms <= max(cleared_at_ms)

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = self._server.loop.create_task(self._work())

    async def _work(self) -> None:
        while (prompt := self._first()) is not None:
            try:
                await self._sidecar.cancel(prompt.prompt_id, owner_id=prompt.owner_id)
            except SidecarRefused as exc:
                log.info("Prompt %s was not cancelled: %s", prompt.prompt_id, exc)
            except SidecarAway as exc:
                self._give_up(exc)
                return
            # Once more, because a list that the sidecar wrote just before may still be on its way.
            self._held.remove(prompt.prompt_id)
            with self._lock:
                self._waiting.pop(prompt.prompt_id, None)

    def _first(self) -> HeldPrompt | None:
        with self._lock:
            return next(iter(self._waiting.values()), None)

    def _give_up(self, reason: SidecarAway) -> None:
        with self._lock:
            kept, self._waiting, self._cleared_at_ms = list(self._waiting.values()), {}, {}
        log.warning("%d prompts could not be cancelled and are still held: %s", len(kept), reason)
        for prompt in kept:
            self._held.restore(prompt)
        self._server.queue_updated()
