"""Cancels at the sidecar what it holds: one request after the other, however many prompts somebody deletes at once."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from .held_prompts import HeldPrompt, HeldPrompts
from .sidecar_client import SidecarAway, SidecarClient, SidecarRefused

SHOWN_AT_MOST = 1000  # the sidecar tells no more, and takes no more

log = logging.getLogger("genonaut.canceller")


@dataclass
class Clearing:
    """Everything that is held for somebody is cancelled, in as many requests as that takes."""

    shown: list[HeldPrompt]
    """What was shown of it in ComfyUI's queue; there may be more. Some of it may just be on its way to ComfyUI."""
    through: int | None = None
    """Up to which prompt, once the sidecar has said so."""


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
        self._clearings: dict[str | None, Clearing] = {}
        """By owner; None: the local one."""
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

    def clear(self, owner_id: str | None = None, elsewhere: Collection[str] = ()) -> None:
        """
        Cancel all that is held now for somebody, also what the sidecar's list was too short to tell.

        Args:
            elsewhere: What ComfyUI has already: it is held no longer, whatever was told last.
        """
        shown = [prompt for prompt in self._held.now(elsewhere) if owner_id in (None, prompt.owner_id)]
        for prompt in shown:
            self._held.remove(prompt.prompt_id)
        with self._lock:
            self._clearings[owner_id] = Clearing(shown)
        self._server.queue_updated()
        self._server.loop.call_soon_threadsafe(self._start)

    def list_was_told(self) -> None:
        """The sidecar's list may bring what waits to be cancelled."""
        told = self._held.now()
        with self._lock:
            chosen = [prompt for prompt in told if prompt.prompt_id in self._waiting]
        self.cancel(*chosen)

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = self._server.loop.create_task(self._work())

    async def _work(self) -> None:
        try:
            while self._clearings or self._waiting:
                for owner_id, clearing in list(self._clearings.items()):
                    await self._clear_some(owner_id, clearing)
                prompt = self._first()
                if prompt is not None:
                    await self._cancel(prompt)
        except SidecarAway as exc:
            self._give_up(exc)

    async def _clear_some(self, owner_id: str | None, clearing: Clearing) -> None:
        try:
            shown = [prompt.prompt_id for prompt in clearing.shown[:SHOWN_AT_MOST]]
            clearing.through, more = await self._sidecar.clear(owner_id=owner_id, through=clearing.through, shown=shown)
        except SidecarRefused as exc:
            log.info("Nothing is cleared for %s: %s", owner_id, exc)
            more = False
        with self._lock:
            # They may have cleared once more meanwhile.
            if not more and self._clearings[owner_id] is clearing:
                del self._clearings[owner_id]

    async def _cancel(self, prompt: HeldPrompt) -> None:
        try:
            await self._sidecar.cancel(prompt.prompt_id, owner_id=prompt.owner_id)
        except SidecarRefused as exc:
            log.info("Prompt %s was not cancelled: %s", prompt.prompt_id, exc)
        # Once more, because a list that the sidecar wrote just before may still be on its way.
        self._held.remove(prompt.prompt_id)
        with self._lock:
            self._waiting.pop(prompt.prompt_id, None)

    def _first(self) -> HeldPrompt | None:
        with self._lock:
            return next(iter(self._waiting.values()), None)

    def _give_up(self, reason: SidecarAway) -> None:
        with self._lock:
            kept = [*self._waiting.values()]
            kept += [prompt for clearing in self._clearings.values() for prompt in clearing.shown]
            self._waiting, self._clearings = {}, {}
        log.warning("%d prompts could not be cancelled and are still held: %s", len(kept), reason)
        for prompt in kept:
            self._held.restore(prompt)
        self._server.queue_updated()
