"""The scripted twin answers as the real sidecar does: what the panel is tested against is what people have."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from fakes.sidecar_api import API, ScriptedSidecar, failed, generation, generation_id, image, opened, progress

from sidecar.generations.schemas import GenerationPage, GenerationView, ProgressEvent, WaitingEvent, WorkflowView

STATES = ("pending", "submitted", "running", "completed", "failed", "cancelled", "lost")


@pytest.fixture
def twin() -> Iterator[ScriptedSidecar]:
    with ScriptedSidecar(total=3).serving() as twin:
        yield twin


def ask(twin: ScriptedSidecar, path: str, *, method: str = "GET") -> bytes:
    request = urllib.request.Request(f"{twin.url}{API}{path}", method=method)
    with urllib.request.urlopen(request, timeout=5) as answer:
        content: bytes = answer.read()
    return content


def names_in(shape: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(shape)}


def test_a_page_has_the_shape_of_the_real_one(twin: ScriptedSidecar) -> None:
    """
    Every generation of a page is one that the sidecar's own schema takes, with no name too many or too few.
    """
    content = ask(twin, "/generations?limit=2")

    page = msgspec.json.decode(content, type=GenerationPage)
    assert [one.number for one in page.items] == [3, 2]
    assert page.next_cursor is not None
    assert json.loads(content)["items"][0].keys() == names_in(GenerationView)


@pytest.mark.parametrize("state", STATES)
def test_a_generation_in_any_state_has_the_shape_of_the_real_one(state: str) -> None:
    """
    Those that a test makes up too: open, failed, with several images or none.
    """
    made_up: list[dict[str, Any]] = [
        opened(1, state=state, progress=progress(0.5), place=4),
        generation(1, state=state, images=[image(1, 0), image(1, 1, state="missing", thumbhash=None)]),
        {**failed(1, "It ran out of memory."), "state": state},
    ]

    for one in made_up:
        assert msgspec.convert(one, GenerationView, strict=False).state == state
        assert one.keys() == names_in(GenerationView)


def test_the_other_answers_have_the_shapes_of_the_real_ones(twin: ScriptedSidecar) -> None:
    """
    One generation, its workflow, and cancelling.
    """
    twin.put(opened(4))

    shown = msgspec.json.decode(ask(twin, f"/generations/{generation_id(2)}"), type=GenerationView)
    workflow = msgspec.json.decode(ask(twin, f"/generations/{generation_id(2)}/workflow"), type=WorkflowView)
    cancelled = msgspec.json.decode(
        ask(twin, f"/generations/{generation_id(4)}/cancel", method="POST"), type=GenerationView
    )

    assert shown.number == 2
    assert workflow.ui_workflow is None
    assert cancelled.cancel_requested


def test_the_stream_begins_with_hello_and_tells_in_the_real_shapes(twin: ScriptedSidecar) -> None:
    """
    `hello` first, then whole generations and progress.
    """
    with urllib.request.urlopen(f"{twin.url}{API}/events", timeout=5) as stream:
        first = next_event(stream)
        twin.put(opened(4))
        twin.publish("progress", {"id": generation_id(4), "progress": progress(0.25)})
        told = dict(next_event(stream) for _ in range(3))

    assert first == ("hello", b"{}")
    assert told.keys() == {"generation", "waiting", "progress"}
    assert msgspec.json.decode(told["generation"], type=GenerationView).number == 4
    assert msgspec.json.decode(told["waiting"], type=WaitingEvent).count == 0
    assert msgspec.json.decode(told["progress"], type=ProgressEvent).progress.fraction == 0.25


def test_refusals_are_problem_details(twin: ScriptedSidecar) -> None:
    """
    An unknown generation and a sidecar that is away are told in the shape of RFC 9457, with a code and a sentence.
    """
    with pytest.raises(urllib.error.HTTPError) as unknown:
        ask(twin, f"/generations/{generation_id(99)}")
    twin.go_away()
    with pytest.raises(urllib.error.HTTPError) as away:
        ask(twin, "/generations?limit=2")

    for error, status in ((unknown.value, 404), (away.value, 503)):
        with error:
            problem = json.loads(error.read())
        assert error.code == problem["status"] == status
        assert error.headers["Content-Type"] == "application/problem+json"
        assert {"type", "title", "detail", "code"} <= problem.keys()


def next_event(stream: Any) -> tuple[str, bytes]:
    """The next one that is not a comment: its name and its data."""
    name = ""
    while True:
        line = stream.readline().strip()
        if line.startswith(b"event: "):
            name = line.removeprefix(b"event: ").decode()
        elif line.startswith(b"data: "):
            return name, line.removeprefix(b"data: ")
