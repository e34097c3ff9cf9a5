"""
Who listens hears what changed: events for the owner's browsers.

Nothing is kept: a listener that was away reads the state anew (`hello` tells it to).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

WAITING_AT_MOST = 500  # a browser this far behind reads the state anew instead


@dataclass(frozen=True)
class LiveEvent:
    """One thing that changed. `name` is the SSE event, `data` its JSON-ready content."""

    name: str
    generation_id: UUID
    data: Any


ENDED = LiveEvent("ended", UUID(int=0), None)
"""The stream ends: nothing comes after this."""


Whom = tuple[UUID, str | None]
"""An owner; and where nobody logs in, from which address somebody else asks."""


@dataclass(eq=False)
class Listener:
    """One open event stream. None in its queue says that events were dropped and the state must be read anew."""

    generation_id: UUID | None
    """The only one that it is about; None: it is about all of them."""
    address: str | None = None
    queue: asyncio.Queue[LiveEvent | None] = field(default_factory=lambda: asyncio.Queue(WAITING_AT_MOST))

    def offer(self, event: LiveEvent | None) -> None:
        try:
            self.queue.put_nowait(event)
        except asyncio.QueueFull:
            while not self.queue.empty():
                self.queue.get_nowait()
            self.queue.put_nowait(event if event is ENDED else None)


class LiveEvents:
    """Hands events to the streams of their owner. One a process."""

    def __init__(self) -> None:
        self._listeners: dict[UUID, set[Listener]] = defaultdict(set)

    def anybody_listens(self) -> bool:
        return bool(self._listeners)

    def listening_now(self) -> set[UUID]:
        """Whose streams are open here."""
        return set(self._listeners)

    def audience(self) -> set[Whom]:
        """Everybody who listens here, one by one."""
        return {whom for owner_id in self._listeners for whom in self.audience_of(owner_id)}

    def audience_of(self, owner_id: UUID) -> set[Whom]:
        """Everybody who listens as this owner."""
        return {(owner_id, listener.address) for listener in self._listeners.get(owner_id, ())}

    def streams_of(self, whom: Whom) -> set[UUID | None]:
        """What the streams of one of them are about: a generation, or everything."""
        return {listener.generation_id for listener in self._of(whom)}

    def heard_by_anybody(self, owner_id: UUID) -> bool:
        return owner_id in self._listeners

    def publish(self, owner_id: UUID, event: LiveEvent) -> None:
        for listener in self._listeners.get(owner_id, ()):
            if listener.generation_id in (None, event.generation_id):
                listener.offer(event)

    def publish_to(self, whom: Whom, event: LiveEvent, about: UUID | None = None) -> None:
        """To the streams of one of them that are about this generation, or about everything."""
        for listener in self._of(whom):
            if listener.generation_id == about:
                listener.offer(event)

    def start_anew(self) -> None:
        """Let every stream read the state anew: something was missed."""
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.offer(None)

    def end(self) -> None:
        """Close every stream, so that a server that stops need not wait for its browsers."""
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.offer(ENDED)

    def end_of(self, owner_id: UUID) -> None:
        """Close this person's streams: whoever may still come in opens them again."""
        for listener in self._listeners.get(owner_id, ()):
            listener.offer(ENDED)

    def _of(self, whom: Whom) -> list[Listener]:
        owner_id, address = whom
        return [listener for listener in self._listeners.get(owner_id, ()) if listener.address == address]

    @contextmanager
    def listening(
        self, owner_id: UUID, generation_id: UUID | None = None, *, address: str | None = None
    ) -> Iterator[Listener]:
        """
        Args:
            address: Where somebody listens who is somebody else by it.
        """
        listener = Listener(generation_id, address)
        self._listeners[owner_id].add(listener)
        try:
            yield listener
        finally:
            self._listeners[owner_id].discard(listener)
            if not self._listeners[owner_id]:
                del self._listeners[owner_id]
