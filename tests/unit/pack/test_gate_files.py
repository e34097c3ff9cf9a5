"""The gate lets a workflow name its owner's files alone, whichever way it comes in."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from fakes.comfyui_files import ADA, BOB, Inhabited
from fakes.paired import as_sidecar

from comfy_nodes.caller import Caller, calling
from comfy_nodes.graph_files import OWNER_INPUT, GraphFiles
from comfy_nodes.held_prompts import HeldPrompts
from comfy_nodes.outcome_journal import OutcomeJournal
from comfy_nodes.ownership import ACTING_FOR, OwnedFiles, SeenOutputs
from comfy_nodes.pairing import PAIRING_HEADER
from comfy_nodes.places import Folders
from comfy_nodes.prompt_gate import PromptGate
from comfy_nodes.sidecar_client import SidecarAway
from comfy_nodes.wire import encode_json

ada = Caller(ADA, "ada", "member", frozenset({"read", "submit"}))

Browser = TestClient[Any, Any]


class LoadImage:
    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        return {"required": {"image": ([], {"image_upload": True})}}


class Save:
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        return {}


class World:
    """ComfyUI around the gate, and the sidecar behind it; remembers what each of them was given."""

    def __init__(self, folder: Path, journal: OutcomeJournal) -> None:
        self.submitted: list[dict[str, Any]] = []
        self.validated: list[dict[str, Any]] = []
        self.validated_for: list[str | None] = []
        self.queued: list[tuple[Any, ...]] = []
        self.mutex = threading.RLock()
        self.genonaut = SimpleNamespace(held=HeldPrompts())
        self.owner_is_known = True
        files = OwnedFiles(Folders(Inhabited(folder).folder_paths), SeenOutputs(), self.owner_of_output)
        server = SimpleNamespace(
            prompt_queue=self, number=1, trigger_on_prompt=lambda body: body, queue_updated=lambda: None
        )
        execution = SimpleNamespace(SENSITIVE_EXTRA_DATA_KEYS=(), validate_prompt=self.validate_prompt)
        self.gate = PromptGate(
            server,
            execution,
            self,  # type: ignore[arg-type] # all that is used of it
            journal,
            pairing_secret="paired",
            graphs=GraphFiles(files, {"LoadImage": LoadImage, "Save": Save}),
        )

    async def submit(self, submission: dict[str, Any], **_said: Any) -> dict[str, Any]:
        self.submitted.append(submission)
        return {"number": 1}

    async def owner_of_output(self, kind: str, subfolder: str, filename: str) -> str | None:
        if not self.owner_is_known:
            raise SidecarAway("nobody answers")
        return None

    async def validate_prompt(self, prompt_id: str, workflow: Any, targets: Any) -> tuple[Any, ...]:
        self.validated.append(workflow)
        self.validated_for.append(ACTING_FOR.get())
        return True, None, ["2"], {}

    def own_ids(self) -> set[str]:
        return set()

    def put(self, item: tuple[Any, ...]) -> None:
        self.queued.append(item)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    journal = OutcomeJournal(tmp_path / "outcomes.jsonl")
    yield World(tmp_path / "comfyui", journal)
    journal.close()


@pytest.fixture
async def browser(world: World) -> AsyncIterator[Browser]:
    @web.middleware
    async def doorkeeper(request: web.Request, handler: Any) -> web.StreamResponse:
        with calling(None if PAIRING_HEADER in request.headers else ada):
            answer: web.StreamResponse = await handler(request)
            return answer

    app = web.Application(middlewares=[doorkeeper])
    app.router.add_post("/prompt", world.gate.answer)
    async with TestClient(TestServer(app)) as browser:
        yield browser


def workflow(image: str) -> dict[str, Any]:
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": image}},
        "2": {"class_type": "Save", "inputs": {"images": ["1", 0]}},
    }


async def dispatch(
    browser: Browser, image: str, owner_id: str | None = ADA, **more: bool
) -> tuple[int, dict[str, Any]]:
    tag = {} if owner_id is None else {"genonaut": {"owner_id": owner_id, **more}}
    body = encode_json({"prompt": workflow(image), "prompt_id": "x", "extra_data": tag})
    answer = await browser.post("/prompt", data=body, headers=as_sidecar("POST", "/prompt", body))
    return answer.status, await answer.json()


async def test_a_foreign_file_is_refused_before_anybody_has_the_prompt(browser: Browser, world: World) -> None:
    """With ComfyUI's own kind of error, which its page shows at the node."""
    answer = await browser.post("/prompt", json={"prompt": workflow(f"genonaut/{BOB}/bob.png")})
    told = await answer.json()

    assert (answer.status, told["error"]["type"]) == (400, "prompt_outputs_failed_validation")
    assert told["node_errors"]["1"]["errors"][0]["extra_info"] == {"input_name": "image"}
    assert (world.submitted, world.validated, world.queued) == ([], [], [])


async def test_it_is_recorded_as_it_was_asked_for_and_runs_with_full_names(browser: Browser, world: World) -> None:
    """What ComfyUI validates and runs names the owner's own file and carries the owner; the record does not."""
    await browser.post("/prompt", json={"prompt": workflow("ada.png")})
    await dispatch(browser, "ada.png")

    ready = workflow(f"genonaut/{ADA}/ada.png")
    ready["2"]["inputs"][OWNER_INPUT] = ADA
    assert (world.submitted[0]["workflow"], world.submitted[0]["owner_id"]) == (workflow("ada.png"), ADA)
    assert world.validated == [ready, ready]
    assert world.validated_for == [ADA, ADA]
    assert world.queued[0][2] == ready


async def test_only_the_sidecar_says_what_is_under_review(browser: Browser, world: World) -> None:
    """It is saved elsewhere then, so ComfyUI's cache is to know the one from the other."""
    await dispatch(browser, "ada.png", review=True)
    tag = {"genonaut": {"owner_id": ADA, "review": True}}
    await browser.post("/prompt", json={"prompt": workflow("ada.png"), "extra_data": tag})

    assert [ready["2"]["inputs"][OWNER_INPUT] for ready in world.validated] == [f"review/{ADA}", ADA]


async def test_what_comes_in_by_the_sidecars_own_door_is_looked_at_as_well(browser: Browser, world: World) -> None:
    """A workflow that was posted to the API is seen here for the first time."""
    status, told = await dispatch(browser, f"genonaut/{BOB}/bob.png")

    assert (status, list(told["node_errors"]), world.queued) == (400, ["1"], [])


async def test_what_nobody_can_answer_is_not_decided(browser: Browser, world: World) -> None:
    """The sidecar tries again."""
    world.owner_is_known = False

    assert (await dispatch(browser, "old.png [output]"))[0] == 503
    assert world.queued == []
