"""Cancelling one prompt of those that ComfyUI has in its hands, whatever it is doing with it at that moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from aiohttp import web

from .caller import ANONYMOUS, CALLER, Caller
from .queue_hooks import PROMPT_ID

MOST_REMEMBERED_INTERRUPTS = 100


class Interrupts:
    """
    Cancels what ComfyUI has in its hands.

    ComfyUI's interrupt is one flag for the whole process, and it is reset when a prompt starts. Set between the moment
    at which the worker takes a prompt and that reset, it would be lost; so it is remembered, and set again after it.
    """

    def __init__(self, queue: Any, interrupt_processing: Callable[[], None]) -> None:
        self._queue = queue
        self._interrupt_processing = interrupt_processing
        self._lock = threading.Lock()
        self._wanted: list[str] = []

    def cancel(self, prompt_id: str) -> str:
        """
        Take a prompt out of the queue, or interrupt it, in one step.

        Returns:
            What it was: ``pending``, ``running`` or ``absent``.
        """
        with self._queue.mutex:  # while this is held, the worker can neither take a prompt nor finish one
            self._queue.genonaut.held.remove(prompt_id)
            running, pending = self._queue.own_queue()
            if prompt_id in pending:
                self._queue.delete_queue_item(lambda item: item[PROMPT_ID] == prompt_id)
                return "pending"
            if prompt_id in running:
                self._interrupt(prompt_id)
                return "running"
        return "absent"

    def interrupt(self, caller: Caller, prompt_id: str | None = None) -> None:
        """Interrupt what runs of this person's: this prompt, or whichever it is. What only waits is left alone."""
        with self._queue.mutex:  # what runs now runs until this is done
            for running, owner_id in self._queue.running_for():
                if caller.owns(owner_id) and prompt_id in (None, running):
                    self._interrupt(running)

    async def answer(self, request: web.Request) -> web.Response:
        """Answer ``POST /interrupt`` where ComfyUI would end whatever runs, whoever asks."""
        try:
            body = await request.json()
        except ValueError:
            body = {}
        prompt_id = body.get("prompt_id") if isinstance(body, dict) else None
        # An id that is none is nobody's; without any, ComfyUI's page means what it shows as running.
        self.interrupt(CALLER.get() or ANONYMOUS, str(prompt_id) if prompt_id else None)
        return web.Response()

    def started(self, prompt_id: str) -> None:
        """Interrupt a prompt that starts only now and was cancelled a moment ago."""
        with self._lock:
            if prompt_id not in self._wanted:
                return
            self._wanted.remove(prompt_id)
        self._interrupt_processing()

    def _interrupt(self, prompt_id: str) -> None:
        with self._lock:
            self._wanted = [*self._wanted[-MOST_REMEMBERED_INTERRUPTS:], prompt_id]
        interrupt_if_running = getattr(self._queue, "interrupt_if_running", None)
        if interrupt_if_running is not None:  # since 0.30 or so
            interrupt_if_running(prompt_id)
        else:
            self._interrupt_processing()
