"""What ComfyUI's own page sees and does: its queue panel, its Cancel button, its validation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from acceptance.installation import Installation, Json, found_comfyui, until
from acceptance.workflows import Workflow, checkpoint_picture, quick_picture, slow_picture
from real import models
from real.processes import start_comfyui

FED_AHEAD = 1
HELD = 3


@pytest.fixture
def running(genonaut: Installation) -> Iterator[str]:
    """Something that ComfyUI works on for a while, and that is taken back at the end."""
    prompt_id = genonaut.submit(slow_picture(500))
    until(lambda: prompt_id in genonaut.queue()[0], what="The slow prompt runs")
    yield prompt_id
    genonaut.http.post(f"{genonaut.url}/queue", json={"clear": True})
    genonaut.http.post(f"{genonaut.url}/interrupt")
    genonaut.wait_until_nothing_is_open()


@pytest.fixture
def waiting(genonaut: Installation, running: str) -> list[str]:
    """What waits behind it: one in ComfyUI's own queue, the others held by the sidecar."""
    ids = [genonaut.submit(quick_picture()) for _ in range(FED_AHEAD + HELD)]
    genonaut.wait_for_state(ids[0], "submitted")
    return ids


def numbers_of(genonaut: Installation) -> list[float]:
    """The numbers of what is held, as the page shows them."""
    pending = genonaut.http.get(f"{genonaut.url}/queue").json()["queue_pending"]
    return [item[0] for item in pending][FED_AHEAD:]


def test_held_prompts_are_pending_in_comfyuis_queue(genonaut: Installation, running: str, waiting: list[str]) -> None:
    """One queue for the page: what runs, what is fed ahead, what is held, in the order of turns; and it is counted."""
    remaining = genonaut.http.get(f"{genonaut.url}/prompt").json()["exec_info"]["queue_remaining"]

    assert genonaut.queue() == ([running], waiting)
    assert numbers_of(genonaut) == [genonaut.generation(held)["number"] for held in waiting[FED_AHEAD:]]
    assert remaining == 1 + FED_AHEAD + HELD


def test_a_held_generation_knows_its_place(genonaut: Installation, running: str, waiting: list[str]) -> None:
    """Nought is next; what ComfyUI has already has no place any more."""
    assert genonaut.generation(running)["place"] is None
    assert [genonaut.generation(held)["place"] for held in waiting] == [None, *range(HELD)]


def test_deleting_a_held_prompt_in_the_queue_panel_cancels_it(genonaut: Installation, waiting: list[str]) -> None:
    """Only that one, for good, and the list has it no longer."""
    deleted = waiting[2]
    genonaut.http.post(f"{genonaut.url}/queue", json={"delete": [deleted]}).raise_for_status()
    generation = genonaut.wait_for_state(deleted, "cancelled")

    assert generation["finished_at"]
    kept = [prompt_id for prompt_id in waiting if prompt_id != deleted]
    assert genonaut.queue()[1] == kept
    assert {genonaut.generation(prompt_id)["state"] for prompt_id in kept} == {"submitted", "pending"}


def test_deleting_what_comfyui_has_already_cancels_it_too(genonaut: Installation, waiting: list[str]) -> None:
    """The person sees one queue and need not know who holds what."""
    genonaut.http.post(f"{genonaut.url}/queue", json={"delete": [waiting[0]]}).raise_for_status()

    assert genonaut.wait_for_state(waiting[0], "cancelled", "completed")["state"] == "cancelled"
    genonaut.wait_for_state(waiting[1], "submitted")


def test_clearing_the_queue_cancels_everything_that_waits(
    genonaut: Installation, running: str, waiting: list[str]
) -> None:
    """As in ComfyUI alone: all that is pending goes, what runs goes on."""
    genonaut.http.post(f"{genonaut.url}/queue", json={"clear": True}).raise_for_status()

    assert {genonaut.wait_for_state(prompt_id, "cancelled")["state"] for prompt_id in waiting} == {"cancelled"}
    assert genonaut.queue() == ([running], [])
    assert genonaut.generation(running)["state"] == "running"


def test_interrupting_what_runs_ends_it_as_cancelled(genonaut: Installation, running: str, waiting: list[str]) -> None:
    """ComfyUI's Cancel button; whoever waits comes next."""
    genonaut.http.post(f"{genonaut.url}/interrupt").raise_for_status()

    assert genonaut.wait_for_state(running, "cancelled", "failed", "completed")["state"] == "cancelled"
    assert [genonaut.wait_until_kept(prompt_id)["state"] for prompt_id in waiting] == ["completed"] * len(waiting)


@pytest.mark.parametrize("which", [None, 0, 1], ids=["running", "fed ahead", "held"])
def test_a_generation_is_cancelled_through_the_api(
    genonaut: Installation, running: str, waiting: list[str], which: int | None
) -> None:
    """The panel's Cancel button: wherever it is, it ends as cancelled, and a second click changes nothing."""
    chosen = running if which is None else waiting[which]
    answers = [genonaut.http.post(f"{genonaut.api}/generations/{chosen}/cancel") for _ in range(2)]

    assert genonaut.wait_for_state(chosen, "cancelled", "failed", "completed")["state"] == "cancelled"
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json()["cancel_requested"]
    others = {running, *waiting} - {chosen}
    assert "cancelled" not in {genonaut.generation(other)["state"] for other in others}


def test_what_has_ended_cannot_be_cancelled(genonaut: Installation) -> None:
    """The answer says so, and it stays as it ended."""
    generation_id = genonaut.wait_until_kept(genonaut.submit(quick_picture()))["id"]
    answer = genonaut.http.post(f"{genonaut.api}/generations/{generation_id}/cancel")

    assert (answer.status_code, answer.json()["code"]) == (409, "not_cancellable")
    assert genonaut.generation(generation_id)["state"] == "completed"


@pytest.fixture(scope="module")
def comfyui_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same ComfyUI without Genonaut."""
    base: Path = tmp_path_factory.mktemp("alone")
    program = found_comfyui()
    models.link_models(models.make_models(program), base)
    with start_comfyui(program, base=base, environment={"OMP_NUM_THREADS": "1"}, forked=True) as comfyui:
        yield comfyui.url


def without_a_sampler_input() -> Workflow:
    workflow = checkpoint_picture(save_node="SaveImage")
    del workflow["6"]["inputs"]["steps"]
    return workflow


def with_an_unknown_checkpoint() -> Workflow:
    workflow = checkpoint_picture(save_node="SaveImage")
    workflow["1"]["inputs"]["ckpt_name"] = "missing.safetensors"
    return workflow


def with_a_wrong_type() -> Workflow:
    workflow = quick_picture()
    workflow["1"]["inputs"]["width"] = "wide"
    return workflow


def with_an_unknown_node() -> Workflow:
    return {**quick_picture(), "3": {"class_type": "NotInstalled", "inputs": {}}}


def without_an_output() -> Workflow:
    return {"1": quick_picture()["1"]}


def valid_in_part() -> Workflow:
    return {**quick_picture(), "3": {"class_type": "SaveImage", "inputs": {"filename_prefix": "tests/half"}}}


MISTAKES = [
    without_a_sampler_input,
    with_an_unknown_checkpoint,
    with_a_wrong_type,
    with_an_unknown_node,
    without_an_output,
    valid_in_part,
]


def without_what_differs_each_time(answer: httpx.Response) -> tuple[int, Json]:
    return answer.status_code, {**answer.json(), "prompt_id": None, "number": None}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_a_mistake_is_answered_exactly_as_comfyui_alone_answers(
    genonaut: Installation, comfyui_alone: str, mistake: Callable[[], Workflow]
) -> None:
    """The page marks the nodes from these words, so that not one of them may differ."""
    body = {"prompt": mistake(), "client_id": "browser"}
    ours = genonaut.http.post(f"{genonaut.url}/prompt", json=body)
    theirs = genonaut.http.post(f"{comfyui_alone}/prompt", json=body)

    assert set(ours.json()) == set(theirs.json())
    assert without_what_differs_each_time(ours) == without_what_differs_each_time(theirs)


def test_what_is_valid_in_part_runs_in_part(genonaut: Installation) -> None:
    """The good output is made and recorded; the other one was told in the answer."""
    answer = genonaut.post_prompt(valid_in_part())
    generation = genonaut.wait_until_kept(answer.json()["prompt_id"])

    assert list(answer.json()["node_errors"]) == ["3"]
    assert len(generation["images"]) == 1
