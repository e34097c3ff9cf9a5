"""An executor that fails outside any node."""

from __future__ import annotations

from typing import Any

from comfy_nodes.executor_guard import guard_execute


def test_an_executor_that_raises_ends_the_prompt_as_failed() -> None:
    """What ComfyUI's worker reads from the executor afterwards is all there."""
    messages: list[Any] = []

    class Executor:
        status_messages: list[Any] = messages
        success = True

        def reset(self) -> None:
            self.status_messages = []

        def add_message(self, event: str, data: Any, *, broadcast: bool) -> None:
            self.status_messages.append((event, data))

        def execute(self, prompt: Any, prompt_id: str) -> None:
            messages.append(("execution_start", {}))
            raise RecursionError

    executor: Any = Executor()
    guard_execute(Executor.execute)(executor, {}, "id")

    assert executor.success is False
    assert executor.history_result == {"outputs": {}, "meta": {}}
    assert [event for event, _ in executor.status_messages] == ["execution_start", "execution_error"]
