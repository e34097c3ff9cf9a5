"""ComfyUI's one interrupt flag, and the moments at which it is reset."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from comfy_nodes.held_prompts import HeldPrompts
from comfy_nodes.interrupts import Interrupts


class RunningQueue:
    """ComfyUI 0.3.75 at work on one prompt."""

    def __init__(self) -> None:
        self.mutex = threading.RLock()
        self.genonaut = SimpleNamespace(held=HeldPrompts())

    def own_queue(self) -> tuple[list[str], list[str]]:
        return ["running"], []


class NewerRunningQueue(RunningQueue):
    """ComfyUI 0.30, which can interrupt one prompt by its id."""

    def __init__(self) -> None:
        super().__init__()
        self.interrupted: list[str] = []

    def interrupt_if_running(self, prompt_id: str) -> bool:
        self.interrupted.append(prompt_id)
        return True


@pytest.mark.parametrize("queue", [RunningQueue(), NewerRunningQueue()])
def test_a_cancel_just_before_the_start_counts_after_it(queue: Any) -> None:
    """The start resets the flag, so it is set once more, for that prompt alone and only once."""
    flags: list[str] = []
    interrupts = Interrupts(queue, lambda: flags.append("set"))
    was = interrupts.cancel("running")
    flags.clear()
    interrupts.started("another")
    interrupts.started("running")
    interrupts.started("running")

    assert was == "running"
    assert flags == ["set"]


def test_a_newer_comfyui_is_asked_for_that_prompt_alone() -> None:
    """Its own way is free of races; the flag for everybody is left alone."""
    queue, flags = NewerRunningQueue(), list[str]()
    Interrupts(queue, lambda: flags.append("set")).cancel("running")

    assert (queue.interrupted, flags) == (["running"], [])
