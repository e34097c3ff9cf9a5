"""What the sidecar holds for ComfyUI: admitted, not yet in ComfyUI's own queue, and shown there as pending."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

OWN_ENTRY_SURVIVES_S = 5.0
"""An entry that the gate added is kept this long even if the sidecar's list does not have it yet."""


@dataclass(frozen=True)
class HeldPrompt:
    prompt_id: str
    number: float
    client_id: str | None
    created_at_ms: int
    outputs: tuple[str, ...] = ()
    owner_id: str | None = None
    """Whose it is; in open access nobody asks."""

    def as_queue_item(self) -> tuple[Any, ...]:
        """
        Show it in the shape that ComfyUI's queue has: number, id, workflow, extra data, outputs, secrets.

        The workflow stays with the sidecar: thousands of them would have to be copied at each look at the queue.
        """
        extra_data: dict[str, Any] = {"client_id": self.client_id or "", "create_time": self.created_at_ms}
        if self.owner_id is not None:
            extra_data["genonaut"] = {"owner_id": self.owner_id}
        return (self.number, self.prompt_id, {}, extra_data, list(self.outputs), {})


class HeldPrompts:
    """The held prompts in turn order, as last told by the sidecar. Used from any thread."""

    def __init__(self) -> None:
        self.on_told: Callable[[], None] = lambda: None
        """Called after each list of the sidecar's."""
        self._lock = threading.Lock()
        self._told: dict[str, HeldPrompt] = {}
        self._untold_total = 0
        self._own: dict[str, tuple[HeldPrompt, float]] = {}
        self._gone: dict[str, float] = {}

    def replace(self, told: list[HeldPrompt], total: int) -> None:
        """Take over the sidecar's list; ``total`` counts also those that the list is too short for."""
        with self._lock:
            self._forget_old()
            self._told = {prompt.prompt_id: prompt for prompt in told if prompt.prompt_id not in self._gone}
            self._untold_total = max(0, total - len(told))
        self.on_told()

    def add(self, prompt: HeldPrompt) -> None:
        """Add what the gate has just handed over, before the sidecar's list has it."""
        with self._lock:
            self._forget_old()
            if prompt.prompt_id not in self._gone:
                self._own[prompt.prompt_id] = (prompt, time.monotonic())

    def remove(self, prompt_id: str) -> bool:
        """
        Take one out: it has moved on, or somebody deleted it.

        A list that the sidecar wrote a moment before does not bring it back.

        Returns:
            Whether it was there.
        """
        with self._lock:
            self._gone[prompt_id] = time.monotonic()
            was_told = self._told.pop(prompt_id, None) is not None
            return self._own.pop(prompt_id, None) is not None or was_told

    def restore(self, prompt: HeldPrompt) -> None:
        """Put back what was taken out by mistake: the sidecar still holds it."""
        with self._lock:
            self._gone.pop(prompt.prompt_id, None)
            self._own[prompt.prompt_id] = (prompt, time.monotonic())

    def now(self, elsewhere: Collection[str] = ()) -> list[HeldPrompt]:
        """List the held prompts in turn order, without those that are known elsewhere already."""
        with self._lock:
            self._forget_old()
            own = [prompt for prompt, _ in self._own.values() if prompt.prompt_id not in self._told]
            return [prompt for prompt in (*self._told.values(), *own) if prompt.prompt_id not in elsewhere]

    def count(self, elsewhere: Collection[str] = ()) -> int:
        return len(self.now(elsewhere)) + self._untold_total

    def _forget_old(self) -> None:
        oldest = time.monotonic() - OWN_ENTRY_SURVIVES_S
        self._own = {key: (prompt, since) for key, (prompt, since) in self._own.items() if since > oldest}
        self._gone = {key: since for key, since in self._gone.items() if since > oldest}
