"""What happens beside ComfyUI's queue when a prompt comes, begins to run, or ends: it is journalled."""

from __future__ import annotations

import hmac
import logging
import secrets
import time
import uuid
from collections.abc import Callable, Collection
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from .caller import only_theirs
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

    clear_held: Callable[[str | None, Collection[str]], None] = lambda owner_id, elsewhere: None
    """The same for all that is held for somebody, or for all of it, but for what ComfyUI has already."""

    secret_keys: tuple[str, ...] = ()
    """Keys of ``extra_data`` that must not be written anywhere."""

    started_at: dict[str, float] = field(default_factory=dict)
    deleting: bool = False
    placeholder_key: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def accepted(self, item: tuple[Any, ...]) -> None:
        """Journal a prompt that the sidecar does not know, before it can end."""
        if arriving_from.get() == FROM_SIDECAR:
            return
        posted = item[EXTRA_DATA] if isinstance(item[EXTRA_DATA], dict) else {}
        extra_data = {key: value for key, value in posted.items() if key not in self.secret_keys}
        caller = only_theirs()
        facts = {
            "accepted_at": time.time(),
            "source": arriving_from.get(),
            "workflow": item[WORKFLOW],
            "extra_data": extra_data,
            "client_id": extra_data.get("client_id"),
            "owner_id": None if caller is None else caller.user_id or None,
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

    def placeholder(self, item: tuple[Any, ...]) -> tuple[Any, ...]:
        """
        Show that a prompt of somebody else is there, and nothing of it.

        Its id stays the same while it waits, and nothing can be done or found with it.
        """
        digest = hmac.digest(self.placeholder_key, str(item[PROMPT_ID]).encode(), "sha256")
        extra_data = {"client_id": "", "create_time": item[EXTRA_DATA].get("create_time", 0)}
        return (item[NUMBER], str(uuid.UUID(bytes=digest[:16])), {}, extra_data, [], {})


def owner_by_tag(extra_data: Any) -> str | None:
    """Whose prompt its tag says that this is; None: nobody's."""
    tag = extra_data.get("genonaut") if isinstance(extra_data, dict) else None
    owner_id = tag.get("owner_id") if isinstance(tag, dict) else None
    return owner_id if isinstance(owner_id, str) else None


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
