"""
Keeps ComfyUI's worker alive when its executor fails outside any node.

ComfyUI prepares a prompt (cache keys, ancestry) before it runs a node, and looks at nodes that its validation never
saw. A chain of a thousand unconnected nodes is enough to raise there, and its worker thread, which has no net, is gone
for good while the server goes on taking prompts. Here the prompt fails instead, as one with a broken node would.
"""

from __future__ import annotations

import functools
import logging
import traceback
from collections.abc import Callable
from typing import Any

log = logging.getLogger("genonaut.executor")


def guard_execute(execute: Callable[..., Any]) -> Callable[..., Any]:
    """Make an ``execute`` for ComfyUI's ``PromptExecutor`` that never raises."""

    @functools.wraps(execute)
    def guarded_execute(executor: Any, prompt: Any, prompt_id: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return execute(executor, prompt, prompt_id, *args, **kwargs)
        except Exception as exc:
            log.exception("ComfyUI could not execute prompt %s.", prompt_id)
            fail(executor, prompt_id, exc)
            return None

    return guarded_execute


def fail(executor: Any, prompt_id: str, exc: Exception) -> None:
    """Leave the executor as a failed node would have left it, with caches as new."""
    messages = list(executor.status_messages)
    executor.reset()
    executor.status_messages = messages
    executor.success = False
    executor.history_result = {"outputs": {}, "meta": {}}
    error: dict[str, Any] = {
        "prompt_id": prompt_id,
        "node_id": None,
        "node_type": None,
        "executed": [],
        "exception_message": f"ComfyUI could not prepare this workflow: {exc}",
        "exception_type": type(exc).__name__,
        "traceback": traceback.format_exception(type(exc), exc, exc.__traceback__)[-20:],
        "current_inputs": {},
        "current_outputs": [],
    }
    executor.add_message("execution_error", error, broadcast=False)
