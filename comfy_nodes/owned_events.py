"""
Whom each of ComfyUI's events is sent to: the owner of the prompt that it tells of, and nobody else.

ComfyUI sends an event to a client id, or to every browser where it has none: previews of prompts without a client,
progress as text, interruptions, whatever other packs send while a prompt runs. What tells of nobody's prompt goes to
whoever asked for it, and otherwise to the administrators.

Of a prompt under review its owner hears ComfyUI's own events of how it goes, and nothing of what it makes: no previews,
no outputs, nothing that other packs tell of it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any

from .caller import only_theirs
from .client_sockets import ClientSockets
from .event_tap import COPIED_EVENTS
from .own_status import STATUS, OwnStatus
from .under_review import without_content

log = logging.getLogger("genonaut.events")

FOR_ADMINISTRATORS = frozenset({"logs"})
"""ComfyUI's log, which whoever subscribed to it gets, as long as they are one."""


class OwnedEvents:
    """Decides for every event. Asked from any thread; one a process."""

    def __init__(self, queue: Any, sockets: ClientSockets) -> None:
        self._queue = queue
        self._sockets = sockets
        self._status = OwnStatus(queue, sockets)

    def wrap_send_sync(self, send_sync: Callable[..., None]) -> Callable[..., None]:
        """Make a ``send_sync`` that tells an event to those alone whom it concerns."""

        def send_to_owner(event: Any, data: Any, sid: str | None = None, *args: Any, **kwargs: Any) -> None:
            with self._queue.mutex if event == STATUS else nullcontext():
                try:
                    letters = self.letters(event, data, sid)
                except Exception:  # ComfyUI's worker calls this without a net
                    log.exception("Nobody can say whom the event %s is for, so nobody gets it.", event)
                    return
                for addressee, content in letters:
                    send_sync(event, content, addressee, *args, **kwargs)

        return send_to_owner

    def wrap_send(self, send: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        """Make a ``send`` that broadcasts nothing which another pack gives to it past ``send_sync``."""

        async def send_to_owner(event: Any, data: Any, sid: str | None = None, *args: Any, **kwargs: Any) -> None:
            # By here comes also what `send_sync` was given; only to whoever connects ComfyUI says which id is theirs.
            if event == STATUS and sid is not None and "sid" in data:
                with self._queue.mutex:
                    data = self._status.greeting(sid, data)
            for addressee, content in self.letters(event, data, None) if sid is None else [(sid, data)]:
                await send(event, content, addressee, *args, **kwargs)

        return send_to_owner

    def letters(self, event: Any, data: Any, client_id: str | None) -> list[tuple[str, Any]]:
        """Give the client ids that this event is sent to, each with what it is told."""
        if client_id is None and event == STATUS:
            return self._status.changes()
        if client_id is not None:
            listening = [client_id] if self._may_hear(client_id, event, data) else []
        else:
            owner = self._owner_of(data)
            listening = self._sockets.ids_of(owner) if owner else self._sockets.ids_of_administrators()
        if event == STATUS:
            return [(listener, data) for listener in listening]
        return [letter for listener in listening for letter in self._letter_to(listener, event, data)]

    def _letter_to(self, client_id: str, event: Any, data: Any) -> list[tuple[str, Any]]:
        if not self._is_withheld_from(client_id, data):
            return [(client_id, data)]
        if event == "executed":
            return [(client_id, {**data, "output": without_content(data.get("output"))})]
        return [(client_id, data)] if event in COPIED_EVENTS else []

    def _is_withheld_from(self, client_id: str, data: Any) -> bool:
        """Is this about a prompt that administrators look at before this listener does?"""
        holder = self._sockets.holder_of(client_id)
        if holder is not None and holder.is_admin:
            return False
        named = prompt_of(data)
        if named is not None:
            return bool(self._queue.is_under_review(named))
        # Previews and what other packs tell do not always say what they are of.
        running = [told for told, owner in self._queue.running_for() if holder is None or owner == holder.user_id]
        return any(self._queue.is_under_review(told) for told in running)

    def _may_hear(self, client_id: str, event: Any, data: Any) -> bool:
        holder = self._sockets.holder_of(client_id)
        if holder is None:
            return True  # nobody listens there
        if event in FOR_ADMINISTRATORS:
            return holder.is_admin
        owner = self._queue.whose(prompt_of(data) or "")
        return owner is None or owner == holder.user_id or (owner == "" and holder.is_admin)

    def _owner_of(self, data: Any) -> str:
        """Whose is what an event without addressee tells of? The empty text: nobody's."""
        told = self._queue.whose(prompt_of(data) or "")
        if told is not None:
            return str(told)
        caller = only_theirs()
        if caller is not None:
            return caller.user_id
        running = self._queue.running_for()
        return running[0][1] if running else ""


def prompt_of(data: Any) -> str | None:
    """Which prompt does an event name? Previews come as (picture, facts)."""
    facts = data[1] if isinstance(data, tuple) and len(data) == 2 else data
    prompt_id = facts.get("prompt_id") if isinstance(facts, dict) else None
    return prompt_id if isinstance(prompt_id, str) else None
