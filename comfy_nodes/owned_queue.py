"""
ComfyUI's queue as Genonaut needs it: what ends is journalled, what is held is shown, what is deleted is cancelled.

The class is put in place by assigning ``queue.__class__``, so that everybody who holds the queue has it. ComfyUI's
worker thread calls ``get`` and ``task_done`` without any net: an exception in one of them would end it for good. So
whatever these hooks do is wrapped, and arguments they do not know are passed on as they came.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .held_prompts import HeldPrompt, HeldPrompts
from .outcome_journal import OutcomeJournal

log = logging.getLogger("genonaut.queue")

FROM_SIDECAR = "sidecar"
FROM_PAGE = "page"
FROM_OUTSIDE = "outside"

arriving_from: ContextVar[str] = ContextVar("genonaut_arriving_from", default=FROM_OUTSIDE)
"""Who puts a prompt into the queue; the gate says so, anybody else comes from outside."""

# Places in ComfyUI's queue item (execution.py, PromptQueue.put).
NUMBER, PROMPT_ID, WORKFLOW, EXTRA_DATA, OUTPUTS, SECRETS = range(6)


@dataclass
class QueueHooks:
    """What the queue needs to do its part; hung on the queue before its class is changed."""

    journal: OutcomeJournal
    held: HeldPrompts
    cancel_held: Callable[[HeldPrompt], None]
    """Take a held prompt out and have the sidecar cancel it; called from any thread, never waits."""

    clear_held: Callable[[], None] = lambda: None
    """The same for all that is held."""

    secret_keys: tuple[str, ...] = ()
    """Keys of ``extra_data`` that must not be written anywhere."""

    started_at: dict[str, float] = field(default_factory=dict)
    deleting: bool = False

    def accepted(self, item: tuple[Any, ...]) -> None:
        """Journal a prompt that the sidecar does not know, before it can end."""
        if arriving_from.get() == FROM_SIDECAR:
            return
        posted = item[EXTRA_DATA] if isinstance(item[EXTRA_DATA], dict) else {}
        extra_data = {key: value for key, value in posted.items() if key not in self.secret_keys}
        facts = {
            "accepted_at": time.time(),
            "source": arriving_from.get(),
            "workflow": item[WORKFLOW],
            "extra_data": extra_data,
            "client_id": extra_data.get("client_id"),
        }
        self.append("accepted", str(item[PROMPT_ID]), facts)

    def started(self, item: tuple[Any, ...]) -> None:
        """Journal that a prompt begins to run: should ComfyUI die, this tells it from those that only waited."""
        prompt_id = str(item[PROMPT_ID])
        self.started_at[prompt_id] = time.time()
        self.append("started", prompt_id, {"started_at": self.started_at[prompt_id]})

    def finished(self, item: tuple[Any, ...], history_result: dict[str, Any], status: Any) -> None:
        """Journal how a prompt ended."""
        prompt_id = str(item[PROMPT_ID])
        outcome = read_outcome(status)
        outcome["started_at"] = self.started_at.pop(prompt_id, None)
        outcome["finished_at"] = time.time()
        outcome["outputs"] = history_result.get("outputs", {})
        self.append("finished", prompt_id, outcome)

    def taken_out(self, item: tuple[Any, ...]) -> None:
        """Journal a prompt that somebody deleted before it ran."""
        facts: dict[str, Any] = {"status": "cancelled", "started_at": None, "finished_at": time.time(), "outputs": {}}
        self.append("finished", str(item[PROMPT_ID]), {**facts, "error": None, "cached": []})

    def append(self, kind: str, prompt_id: str, facts: dict[str, Any]) -> None:
        try:
            self.journal.append(kind, prompt_id, facts)
        except Exception:  # the worker calls this without a net
            log.exception("What happened to prompt %s could not be written to %s.", prompt_id, self.journal.file)


def read_outcome(status: Any) -> dict[str, Any]:
    """Read status, error and cached nodes out of the messages that ComfyUI's executor left behind."""
    messages: dict[str, Any] = dict(getattr(status, "messages", None) or [])
    # Not ``status.completed``: ComfyUI does not reset it when a prompt starts.
    if "execution_interrupted" in messages:
        ended = "cancelled"
    elif "execution_error" in messages:
        ended = "failed"
    else:
        ended = "completed" if "execution_success" in messages or getattr(status, "completed", True) else "failed"
    error = messages.get("execution_error")
    return {
        "status": ended,
        "error": None if error is None else read_error(error),
        "cached": list(messages.get("execution_cached", {}).get("nodes", [])),
    }


def read_error(message: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": message.get("exception_type", ""),
        "message": str(message.get("exception_message", "")).strip(),
        "node_id": message.get("node_id"),
        "node_type": message.get("node_type"),
        "traceback": message.get("traceback") or [],
    }


if TYPE_CHECKING:

    class QueueOfComfyUI:
        """What is relied on in ComfyUI's ``PromptQueue``, which exists only inside ComfyUI."""

        server: Any
        mutex: Any
        queue: list[tuple[Any, ...]]
        currently_running: dict[int, tuple[Any, ...]]

        def put(self, item: tuple[Any, ...]) -> None: ...
        def get(self, *args: Any, **kwargs: Any) -> Any: ...
        def task_done(self, *args: Any, **kwargs: Any) -> None: ...
        def get_current_queue(self) -> tuple[list[Any], list[Any]]: ...
        def get_current_queue_volatile(self) -> tuple[list[Any], list[Any]]: ...
        def get_tasks_remaining(self) -> int: ...
        def delete_queue_item(self, function: Callable[[Any], bool]) -> bool: ...
        def wipe_queue(self) -> None: ...

else:
    QueueOfComfyUI = object


class OwnedQueue(QueueOfComfyUI):
    """Stands in front of ComfyUI's class (`owned_queue_class`)."""

    genonaut: QueueHooks

    def put(self, item: tuple[Any, ...]) -> None:
        with self.mutex:
            if (item[NUMBER], item[PROMPT_ID]) in [(other[NUMBER], other[PROMPT_ID]) for other in self.queue]:
                # Two equal keys make the heap compare the workflows, which ends ComfyUI's worker.
                raise ValueError(f"Prompt {item[PROMPT_ID]} is in the queue already.")
            self.genonaut.accepted(item)
            super().put(item)
            self.genonaut.held.remove(item[PROMPT_ID])

    def get(self, *args: Any, **kwargs: Any) -> Any:
        taken = super().get(*args, **kwargs)
        if taken is not None:
            self.genonaut.started(taken[0])
        return taken

    def task_done(self, item_id: int, history_result: Any, status: Any = None, *args: Any, **kwargs: Any) -> None:
        item = self.currently_running.get(item_id)
        if item is not None:
            try:
                self.genonaut.finished(item, history_result, status)
            except Exception:  # the worker calls this without a net
                log.exception("The outcome of prompt %s cannot be read.", item[PROMPT_ID])
        super().task_done(item_id, history_result, status, *args, **kwargs)

    def get_current_queue(self) -> tuple[list[Any], list[Any]]:
        return self._with_held(*super().get_current_queue())

    def get_current_queue_volatile(self) -> tuple[list[Any], list[Any]]:
        return self._with_held(*super().get_current_queue_volatile())

    def get_tasks_remaining(self) -> int:
        with self.mutex:
            return super().get_tasks_remaining() + self.genonaut.held.count(self.own_ids())

    def own_ids(self) -> set[str]:
        """Ids of what is in ComfyUI's own hands: pending or running."""
        with self.mutex:
            return {item[PROMPT_ID] for item in (*self.queue, *self.currently_running.values())}

    def own_queue(self) -> tuple[list[str], list[str]]:
        """Ids of what runs and of what is pending, one consistent look."""
        with self.mutex:
            running = [item[PROMPT_ID] for item in self.currently_running.values()]
            return running, [item[PROMPT_ID] for item in sorted(self.queue, key=lambda item: item[:2])]

    def delete_queue_item(self, function: Callable[[Any], bool]) -> bool:
        with self.mutex:
            item = next((item for item in self.queue if function(item)), None)
            if item is not None:
                self.genonaut.taken_out(item)
                return self._delete_own(function)
            held = self.genonaut.held.now(self.own_ids())
        chosen = next((prompt for prompt in held if function(prompt.as_queue_item())), None)
        if chosen is not None:
            self.genonaut.cancel_held(chosen)
        return chosen is not None

    def wipe_queue(self) -> None:
        with self.mutex:
            if self.genonaut.deleting:
                # ComfyUI's own ``delete_queue_item`` empties the queue this way when it deletes the last item.
                super().wipe_queue()
                return
            for item in self.queue:
                self.genonaut.taken_out(item)
            super().wipe_queue()
        self.genonaut.clear_held()

    def _delete_own(self, function: Callable[[Any], bool]) -> bool:
        self.genonaut.deleting = True
        try:
            return super().delete_queue_item(function)
        finally:
            self.genonaut.deleting = False

    def _with_held(self, running: list[Any], pending: list[Any]) -> tuple[list[Any], list[Any]]:
        own = {item[PROMPT_ID] for item in (*running, *pending)}
        return running, [*pending, *(prompt.as_queue_item() for prompt in self.genonaut.held.now(own))]


def owned_queue_class(base: type[Any]) -> type[Any]:
    """Put our class in front of the queue class that this ComfyUI has, whatever other packs have made of it."""
    return type("OwnedQueue", (OwnedQueue, base), {})
