"""
ComfyUI's queue as our class relies on it, without ComfyUI (the real one is asked in the integration tests):

    OlderQueue      as 0.3.75 has it
    NewerQueue      can also interrupt one prompt alone (0.30)
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Collection
from types import SimpleNamespace
from typing import Any

from comfy_nodes.held_prompts import HeldPrompt, HeldPrompts
from comfy_nodes.owned_queue import owned_queue_class
from comfy_nodes.queue_hooks import QueueHooks

Item = tuple[Any, ...]


class OlderQueue:
    def __init__(self) -> None:
        self.server = SimpleNamespace(queue_updated=lambda: None)
        self.mutex = threading.RLock()
        self.queue: list[Item] = []
        self.currently_running: dict[int, Item] = {}
        self.history: dict[str, dict[str, Any]] = {}

    def put(self, item: Item) -> None:
        heapq.heappush(self.queue, item)

    def get(self) -> tuple[Item, int]:
        item = heapq.heappop(self.queue)
        number = len(self.history) + len(self.currently_running)
        self.currently_running[number] = item
        return item, number

    def task_done(self, item_id: int, history_result: dict[str, Any], status: Any = None) -> None:
        item = self.currently_running.pop(item_id)
        self.history[item[1]] = {"prompt": item[:5], "status": status, **history_result}

    def get_current_queue(self) -> tuple[list[Item], list[Item]]:
        return list(self.currently_running.values()), list(self.queue)

    get_current_queue_volatile = get_current_queue

    def get_tasks_remaining(self) -> int:
        return len(self.queue) + len(self.currently_running)

    def wipe_queue(self) -> None:
        self.queue = []

    def delete_queue_item(self, function: Callable[[Item], bool]) -> bool:
        for place, item in enumerate(self.queue):
            if function(item):
                if len(self.queue) == 1:
                    self.wipe_queue()
                else:
                    self.queue.pop(place)
                    heapq.heapify(self.queue)
                return True
        return False

    def get_history(
        self, prompt_id: str | None = None, max_items: int | None = None, offset: int = -1
    ) -> dict[str, dict[str, Any]]:
        if prompt_id is not None:
            return {prompt_id: self.history[prompt_id]} if prompt_id in self.history else {}
        keys = list(self.history)
        first = max(0, len(keys) - max_items) if offset < 0 and max_items is not None else max(offset, 0)
        return {key: self.history[key] for key in keys[first:][:max_items]}

    def wipe_history(self) -> None:
        self.history = {}

    def delete_history_item(self, id_to_delete: str) -> None:
        self.history.pop(id_to_delete, None)


class NewerQueue(OlderQueue):
    def __init__(self) -> None:
        super().__init__()
        self.interrupted: list[str] = []

    def interrupt_if_running(self, prompt_id: str) -> bool:
        if any(item[1] == prompt_id for item in self.currently_running.values()):
            self.interrupted.append(prompt_id)
            return True
        return False


class NoJournal:
    """Keeps what it is told as a list."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str]] = []
        self.facts: list[dict[str, Any]] = []

    def append(self, kind: str, prompt_id: str, facts: dict[str, Any]) -> None:
        self.entries.append((kind, prompt_id))
        self.facts.append(facts)


def owned(base: OlderQueue) -> Any:
    """Put our class in front of a queue, as the pack does; what is held and cancelled is kept in lists."""
    queue: Any = base
    held = HeldPrompts()
    cancelled: list[HeldPrompt | str | None] = []

    def clear(owner_id: str | None, elsewhere: Collection[str]) -> None:
        cancelled.append(owner_id)
        queue.cleared_but_for = set(elsewhere)

    queue.genonaut = QueueHooks(NoJournal(), held, cancelled.append, clear_held=clear)  # type: ignore[arg-type] # all that is used of it
    queue.cancelled = cancelled
    queue.__class__ = owned_queue_class(type(base))
    return queue


def item(number: float, prompt_id: str, owner_id: str | None, *, client_id: str = "") -> Item:
    """One prompt as it stands in ComfyUI's queue, with the sidecar's tag."""
    extra_data: dict[str, Any] = {"client_id": client_id, "create_time": 1000 + number, "secret": "hidden"}
    if owner_id is not None:
        extra_data["genonaut"] = {"owner_id": owner_id}
    return (
        number,
        prompt_id,
        {"1": {"class_type": "SaveImage", "inputs": {"prompt": "hidden"}}},
        extra_data,
        ["1"],
        {},
    )
