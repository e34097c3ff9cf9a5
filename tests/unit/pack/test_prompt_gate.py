"""What the gate knows of prompts that come to it twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from comfy_nodes.held_prompts import HeldPrompts
from comfy_nodes.outcome_journal import OutcomeJournal
from comfy_nodes.prompt_gate import FinishedPrompts, PromptGate
from comfy_nodes.sidecar_client import SidecarAway
from comfy_nodes.wire import PAIRING_HEADER

PROMPT = {"1": {"class_type": "SaveImage", "inputs": {}}}


class Queue:
    """Takes prompts, as ComfyUI's queue does."""

    def __init__(self) -> None:
        self.mutex = threading.RLock()
        self.genonaut = SimpleNamespace(held=HeldPrompts())
        self.taken: list[str] = []

    def own_ids(self) -> set[str]:
        return set()

    def put(self, item: tuple[Any, ...]) -> None:
        self.taken.append(item[1])


class FinishingSidecar:
    """Takes the prompt and has it run to its end, but its answer is lost."""

    def __init__(self) -> None:
        self.after: Any = lambda prompt_id: None

    async def submit(self, submission: dict[str, Any]) -> dict[str, Any]:
        self.after(submission["id"])
        raise SidecarAway("it did not answer in time")


async def validate_prompt(prompt_id: str, workflow: Any, targets: Any) -> tuple[Any, ...]:
    return True, None, ["1"], {}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[OutcomeJournal]:
    journal = OutcomeJournal(tmp_path / "outcomes.jsonl")
    yield journal
    journal.close()


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def sidecar() -> FinishingSidecar:
    return FinishingSidecar()


@pytest.fixture
def gate(journal: OutcomeJournal, queue: Queue, sidecar: FinishingSidecar) -> PromptGate:
    server = SimpleNamespace(prompt_queue=queue, number=1, trigger_on_prompt=lambda body: body)
    execution = SimpleNamespace(SENSITIVE_EXTRA_DATA_KEYS=(), validate_prompt=validate_prompt)
    return PromptGate(server, execution, sidecar, journal, pairing_secret="paired")  # type: ignore[arg-type] # all that is used of it


def app_of(gate: PromptGate) -> web.Application:
    app = web.Application()
    app.router.add_post("/prompt", gate.answer)
    return app


async def test_a_prompt_whose_outcome_is_confirmed_never_runs_again(
    gate: PromptGate, journal: OutcomeJournal, queue: Queue
) -> None:
    """The journal has forgotten it by then; a dispatch that comes late is told so all the same."""
    gate.prompt_has_finished("done")
    async with TestClient(TestServer(app_of(gate))) as sidecar:
        posted = await sidecar.post(
            "/prompt", json={"prompt": PROMPT, "prompt_id": "done"}, headers={PAIRING_HEADER: "paired"}
        )
        told = await posted.json()

    assert not journal.is_finished("done")
    assert (posted.status, told["error"]["type"]) == (409, "already_finished")
    assert queue.taken == []


async def test_a_prompt_that_ran_while_its_answer_was_lost_does_not_run_again(
    gate: PromptGate, queue: Queue, sidecar: FinishingSidecar
) -> None:
    """Whoever posted it is told its id, as for any other."""
    ended: list[str] = []

    def run_to_its_end(prompt_id: str) -> None:
        ended.append(prompt_id)
        gate.prompt_has_finished(prompt_id)

    sidecar.after = run_to_its_end
    async with TestClient(TestServer(app_of(gate))) as page:
        posted = await page.post("/prompt", json={"prompt": PROMPT})
        told = await posted.json()

    assert (posted.status, [told["prompt_id"]]) == (200, ended)
    assert queue.taken == []


def test_only_the_last_ones_are_remembered() -> None:
    """Memory stays bounded however long ComfyUI runs."""
    finished = FinishedPrompts(most=2)
    for prompt_id in ("a", "b", "c"):
        finished.remember(prompt_id)

    assert [one in finished for one in ("a", "b", "c")] == [False, True, True]
