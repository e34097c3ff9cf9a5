"""ComfyUI's one interrupt flag, and the moments at which it is reset."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from fakes.knowing_sidecar import id_of, person

from comfy_nodes.caller import ANONYMOUS, calling, read_caller
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


class PeoplesQueue(RunningQueue):
    """A prompt of Ada's runs."""

    def running_for(self) -> list[tuple[str, str]]:
        return [("of ada", id_of("ada"))]


@pytest.mark.parametrize(
    ("who", "body", "set_how_often"),
    [
        ("ada", b"", 1),
        ("ada", b"{}", 1),
        ("ada", b'{"prompt_id": "of ada"}', 1),
        ("ada", b'{"prompt_id": "of bob"}', 0),
        ("ada", b'{"prompt_id": ["of ada"]}', 0),
        ("ada", b"[1]", 1),
        ("bob", b"", 0),
        ("bob", b'{"prompt_id": "of ada"}', 0),
        ("nobody", b"", 0),
    ],
)
async def test_what_runs_is_interrupted_by_its_owner_alone(who: str, body: bytes, set_how_often: int) -> None:
    """With its id or without any; whoever else asks is answered as ComfyUI answers, and nothing happens."""
    flags: list[str] = []
    interrupts = Interrupts(PeoplesQueue(), lambda: flags.append("set"))
    app = web.Application()
    app.router.add_post("/interrupt", interrupts.answer)
    with calling(ANONYMOUS if who == "nobody" else read_caller(person(who))):
        async with TestClient(TestServer(app)) as page:
            answer = await page.post("/interrupt", data=body)

    assert answer.status == 200
    assert len(flags) == set_how_often
