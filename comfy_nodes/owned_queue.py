"""
ComfyUI's queue as Genonaut needs it: what ends is journalled, what is held is shown, what is deleted is cancelled.

Who asks as a person (`caller.only_theirs`) sees and touches their own prompts alone. Those of others are placeholders
in the queue, so that one's own place in it is right, and in the history they are not there. This holds for every route
of every version and of other packs, since all of them ask this queue. ComfyUI's worker and the sidecar see everything.

The class is put in place by assigning ``queue.__class__``, so that everybody who holds the queue has it. ComfyUI's
worker thread calls ``get`` and ``task_done`` without any net: an exception in one of them would end it for good. So
whatever these hooks do is wrapped, and arguments they do not know are passed on as they came.
"""

from __future__ import annotations

import logging
import operator
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from .caller import CALLER, Caller, only_theirs
from .queue_hooks import EXTRA_DATA, FROM_OUTSIDE, NUMBER, PROMPT_ID, QueueHooks, arriving_from, owner_by_tag
from .under_review import is_marked, without_outputs

log = logging.getLogger("genonaut.queue")


def owner_of(item: Sequence[Any]) -> str | None:
    """Whose a prompt is, by the tag that the sidecar, the gate or `attributed` has given it; None: nobody's."""
    return owner_by_tag(item[EXTRA_DATA])


def as_told(entry: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """An entry of the history as its owner may see it."""
    is_withheld = not caller.is_admin and is_marked(entry["prompt"][EXTRA_DATA])
    return without_outputs(entry) if is_withheld else entry


def attributed(item: tuple[Any, ...]) -> tuple[Any, ...]:
    """
    Give a prompt that another pack puts into the queue to the person who asked that pack for it.

    Whatever tag it carries is not believed then, since that person may have written it. What no person asked for, and
    everything in open access, is left as it is.
    """
    caller = CALLER.get()
    if arriving_from.get() != FROM_OUTSIDE or caller is None or caller.has_everything:
        return item
    extra_data = {**item[EXTRA_DATA], "genonaut": {"owner_id": caller.user_id}}
    return (*item[:EXTRA_DATA], extra_data, *item[EXTRA_DATA + 1 :])


if TYPE_CHECKING:

    class QueueOfComfyUI:
        """What is relied on in ComfyUI's ``PromptQueue``, which exists only inside ComfyUI."""

        server: Any
        mutex: Any
        queue: list[tuple[Any, ...]]
        currently_running: dict[int, tuple[Any, ...]]
        history: dict[str, dict[str, Any]]

        def put(self, item: tuple[Any, ...]) -> None: ...
        def get(self, *args: Any, **kwargs: Any) -> Any: ...
        def task_done(self, *args: Any, **kwargs: Any) -> None: ...
        def get_current_queue(self) -> tuple[list[Any], list[Any]]: ...
        def get_current_queue_volatile(self) -> tuple[list[Any], list[Any]]: ...
        def get_tasks_remaining(self) -> int: ...
        def delete_queue_item(self, function: Callable[[Any], bool]) -> bool: ...
        def wipe_queue(self) -> None: ...
        def get_history(self, *args: Any, **kwargs: Any) -> dict[str, Any]: ...
        def wipe_history(self) -> None: ...
        def delete_history_item(self, id_to_delete: str) -> None: ...
        def interrupt_if_running(self, prompt_id: str) -> bool: ...

else:
    QueueOfComfyUI = object


class OwnedQueue(QueueOfComfyUI):
    """Stands in front of ComfyUI's class (`owned_queue_class`)."""

    genonaut: QueueHooks

    def put(self, item: tuple[Any, ...]) -> None:
        item = attributed(item)
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
        caller = only_theirs()
        if caller is None:
            with self.mutex:
                return super().get_tasks_remaining() + self.genonaut.held.count(self.own_ids())
        return self.remaining_by_owner()[caller.user_id]

    def remaining_by_owner(self) -> Counter[str | None]:
        """
        Count what has not ended, for each person.

        Somebody's own are what a person waits for, and what pages and programs do: they go on when none remains.
        """
        with self.mutex:
            items = [*self.currently_running.values(), *self.queue]
        held = self.genonaut.held.now({item[PROMPT_ID] for item in items})
        return Counter([*map(owner_of, items), *(prompt.owner_id for prompt in held)])

    def own_ids(self) -> set[str]:
        """Ids of what is in ComfyUI's own hands: pending or running."""
        with self.mutex:
            return {item[PROMPT_ID] for item in (*self.queue, *self.currently_running.values())}

    def own_queue(self) -> tuple[list[str], list[str]]:
        """Ids of what runs and of what is pending, one consistent look."""
        with self.mutex:
            running = [item[PROMPT_ID] for item in self.currently_running.values()]
            return running, [item[PROMPT_ID] for item in sorted(self.queue, key=lambda item: item[:2])]

    def whose(self, prompt_id: str) -> str | None:
        """Whose a prompt is that runs, waits or has ended; the empty text for one that is nobody's, None: not known."""
        found = self._item_of(prompt_id)
        return None if found is None else owner_of(found) or ""

    def is_under_review(self, prompt_id: str) -> bool:
        """Do administrators look at what this prompt makes before its owner does?"""
        found = self._item_of(prompt_id)
        return found is not None and is_marked(found[EXTRA_DATA])

    def running_for(self) -> list[tuple[str, str]]:
        """Ids of what runs, each with whose it is."""
        with self.mutex:
            return [(item[PROMPT_ID], owner_of(item) or "") for item in self.currently_running.values()]

    def is_anothers_client(self, client_id: str, user_id: str) -> bool:
        """Does a prompt that has not ended tell its events to this client, and is not this person's?"""
        with self.mutex:
            items = [*self.currently_running.values(), *self.queue]
        items += [prompt.as_queue_item() for prompt in self.genonaut.held.now()]
        return any(item[EXTRA_DATA].get("client_id") == client_id and owner_of(item) != user_id for item in items)

    def delete_queue_item(self, function: Callable[[Any], bool]) -> bool:
        caller = only_theirs()

        def is_meant(item: Any) -> bool:
            return (caller is None or caller.owns(owner_of(item))) and function(item)

        with self.mutex:
            item = next((item for item in self.queue if is_meant(item)), None)
            if item is not None:
                self.genonaut.taken_out(item)
                return self._delete_own(is_meant)
            held = self.genonaut.held.now(self.own_ids())
        chosen = next((prompt for prompt in held if is_meant(prompt.as_queue_item())), None)
        if chosen is not None:
            self.genonaut.cancel_held(chosen)
        return chosen is not None

    def wipe_queue(self) -> None:
        caller = only_theirs()
        with self.mutex:
            if self.genonaut.deleting:
                # ComfyUI's own ``delete_queue_item`` empties the queue this way when it deletes the last item.
                super().wipe_queue()
                return
            if caller is None:
                for item in self.queue:
                    self.genonaut.taken_out(item)
                super().wipe_queue()
            else:
                self._delete_all_of(caller)
        self.genonaut.clear_held(None if caller is None else caller.user_id, self.own_ids())

    def get_history(self, prompt_id: str | None = None, *args: Any, **kwargs: Any) -> dict[str, Any]:
        caller = only_theirs()
        if caller is None:
            return super().get_history(prompt_id, *args, **kwargs)
        with self.mutex:
            everything = self.history
            # ComfyUI counts, pages and copies for itself; it is shown a history in which there is nothing else.
            self.history = {
                key: as_told(entry, caller)
                for key, entry in everything.items()
                if prompt_id in (None, key) and caller.owns(owner_of(entry["prompt"]))
            }
            try:
                return super().get_history(prompt_id, *args, **kwargs)
            finally:
                self.history = everything

    def wipe_history(self) -> None:
        caller = only_theirs()
        if caller is None:
            super().wipe_history()
            return
        with self.mutex:
            for prompt_id in [key for key, entry in self.history.items() if caller.owns(owner_of(entry["prompt"]))]:
                super().delete_history_item(prompt_id)

    def delete_history_item(self, id_to_delete: str) -> None:
        caller = only_theirs()
        with self.mutex:
            if caller is None or caller.owns(self.whose(id_to_delete)):
                super().delete_history_item(id_to_delete)

    def _item_of(self, prompt_id: str) -> tuple[Any, ...] | None:
        with self.mutex:
            items = (*self.currently_running.values(), *self.queue)
            found = next((item for item in items if item[PROMPT_ID] == prompt_id), None)
            if found is None and prompt_id in self.history:
                found = self.history[prompt_id]["prompt"]
        return found

    def _delete_own(self, function: Callable[[Any], bool]) -> bool:
        self.genonaut.deleting = True
        try:
            return super().delete_queue_item(function)
        finally:
            self.genonaut.deleting = False

    def _delete_all_of(self, caller: Caller) -> None:
        theirs = [item for item in self.queue if caller.owns(owner_of(item))]
        for item in theirs:
            self.genonaut.taken_out(item)
            self._delete_own(partial(operator.is_, item))

    def _with_held(self, running: list[Any], pending: list[Any]) -> tuple[list[Any], list[Any]]:
        own = {item[PROMPT_ID] for item in (*running, *pending)}
        held = [prompt.as_queue_item() for prompt in self.genonaut.held.now(own)]
        return self._as_seen(running), self._as_seen([*pending, *held])

    def _as_seen(self, items: list[Any]) -> list[Any]:
        caller = only_theirs()
        if caller is None:
            return items
        return [item if caller.owns(owner_of(item)) else self.genonaut.placeholder(item) for item in items]


class InterruptingQueue(QueueOfComfyUI):
    """The same for what only newer queues can (0.30)."""

    currently_running: dict[int, tuple[Any, ...]]

    def interrupt_if_running(self, prompt_id: str) -> bool:
        caller = only_theirs()
        with self.mutex:
            theirs = {
                item[PROMPT_ID]
                for item in self.currently_running.values()
                if caller is None or caller.owns(owner_of(item))
            }
            return prompt_id in theirs and super().interrupt_if_running(prompt_id)


def owned_queue_class(base: type[Any]) -> type[Any]:
    """Put our class in front of the queue class that this ComfyUI has, whatever other packs have made of it."""
    newer = (InterruptingQueue,) if hasattr(base, "interrupt_if_running") else ()
    return type("OwnedQueue", (OwnedQueue, *newer, base), {})
