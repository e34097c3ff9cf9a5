"""
ComfyUI's ``status`` event, as each person is told it: how many of their own prompts have not ended.

A page is told when it connects, and after that only when something of its person's has changed: what others do is not
heard. It counts as a change, too, when one of theirs begins to run, since ComfyUI's page looks at the queue then.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from .client_sockets import ClientSockets

STATUS = "status"


class Own(NamedTuple):
    """What a page knows of its person's prompts."""

    remaining: int
    running: int

    def as_status(self) -> dict[str, Any]:
        return {"exec_info": {"queue_remaining": self.remaining}}


class OwnStatus:
    """
    Remembers what each page was told last. One a process, asked from any thread.

    Whoever asks holds the queue's lock until what is told is on its way: where two threads told it in the wrong order,
    a page would keep the older number for good.
    """

    def __init__(self, queue: Any, sockets: ClientSockets) -> None:
        self._queue = queue
        self._sockets = sockets
        self._told: dict[str, Own] = {}

    def changes(self) -> list[tuple[str, dict[str, Any]]]:
        """Give the client ids whose person's prompts have changed, each with what it is told."""
        now = self._now()
        changed = [client_id for client_id, own in now.items() if self._told.get(client_id) != own]
        self._told = now
        return [(client_id, {"status": now[client_id].as_status()}) for client_id in changed]

    def greeting(self, client_id: str, told: dict[str, Any]) -> dict[str, Any]:
        """Give what is told to a page that has just connected, in the place of what ComfyUI tells it."""
        own = self._now().get(client_id)
        if own is None:
            return told
        # What it was told a moment before may come after this: then it is told again at the next opportunity.
        if self._told.pop(client_id, None) is None:
            self._told[client_id] = own
        return {**told, "status": own.as_status()}

    def _now(self) -> dict[str, Own]:
        remaining = self._queue.remaining_by_owner()
        running = Counter(owner for _, owner in self._queue.running_for())
        return {
            client_id: Own(remaining[user_id], running[user_id]) for client_id, user_id in self._sockets.everybody()
        }
