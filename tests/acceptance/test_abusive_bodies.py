"""Bodies that would end ComfyUI's worker, or its page, if they reached them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from acceptance.installation import Installation, Json
from acceptance.workflows import quick_picture

FIELDS_OF_AN_ERROR = {"type", "message", "details", "extra_info"}
MEGABYTES_200 = 200 * 1024**2
PIECE = b"x" * 1024**2


def with_fields(**fields: str) -> str:
    """A good prompt, and beside it these fields, written as JSON as they stand here."""
    prompt = json.dumps(quick_picture())
    return f'{{"prompt": {prompt}, {", ".join(f"{json.dumps(name)}: {value}" for name, value in fields.items())}}}'


REFUSED: dict[str, tuple[str, str]] = {
    "nothing": ("", "invalid_json"),
    "no JSON": ("{", "invalid_json"),
    "a list": ("[1, 2]", "invalid_request"),
    "a number": ("7", "invalid_request"),
    "no prompt": ("{}", "no_prompt"),
    "a prompt that is text": ('{"prompt": "draw me a sheep"}', "invalid_prompt"),
    "nodes that are no objects": ('{"prompt": {"1": [1]}}', "invalid_prompt"),
    "a number that is none": (with_fields(number='"nan"'), "invalid_number"),
    "a number that is null": (with_fields(number="null"), "invalid_number"),
    "NaN": (with_fields(number="NaN"), "invalid_json"),
    "NaN in the workflow": (
        '{"prompt": {"1": {"class_type": "EmptyImage", "inputs": {"width": NaN}}}}',
        "invalid_json",
    ),
    "minus infinity": (with_fields(number="-1e999"), "invalid_number"),
    "a client that is a list": (with_fields(client_id="[1]"), "invalid_request"),
    "nested without end": (with_fields(extra_data="[" * 100_000 + "]" * 100_000), "invalid_json"),
}


def runs_prompts(genonaut: Installation) -> bool:
    return bool(genonaut.wait_until_kept(genonaut.submit(quick_picture()))["state"] == "completed")


def check_error(told: Json, kind: str) -> None:
    """The shape that ComfyUI's page can show."""
    assert set(told) == {"error", "node_errors"}
    assert set(told["error"]) == FIELDS_OF_AN_ERROR
    assert told["error"]["type"] == kind
    assert told["error"]["message"].endswith((".", "provided"))


@pytest.mark.parametrize("abuse", REFUSED)
def test_what_is_no_prompt_is_refused_in_words_and_prompts_still_run(genonaut: Installation, abuse: str) -> None:
    """A sentence in ComfyUI's own error shape; nothing of it reaches the history or the worker."""
    body, kind = REFUSED[abuse]
    before = len(genonaut.history())
    answer = genonaut.http.post(f"{genonaut.url}/prompt", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 400
    check_error(answer.json(), kind)
    assert len(genonaut.history()) == before
    assert runs_prompts(genonaut)


def endless(size: int) -> Iterator[bytes]:
    yield b'{"prompt": "'
    for _ in range(size // len(PIECE)):
        yield PIECE
    yield b'"}'


def test_two_hundred_megabytes_are_refused_in_words_and_prompts_still_run(genonaut: Installation) -> None:
    """ComfyUI alone says it in plain text, which its own page cannot show."""
    with genonaut.http.stream("POST", f"{genonaut.url}/prompt", content=endless(MEGABYTES_200)) as answer:
        answer.read()

    assert answer.status_code == 413
    check_error(answer.json(), "body_too_large")
    assert runs_prompts(genonaut)


def test_the_same_prompt_id_many_times_at_once_is_no_error(genonaut: Installation) -> None:
    """Two equal (number, prompt_id) end the worker of ComfyUI alone; here each gets an id of its own and runs."""
    body = {"prompt": quick_picture(), "prompt_id": "11111111-1111-4111-8111-111111111111", "number": 5}
    with ThreadPoolExecutor(6) as people:
        answers = list(people.map(lambda _: genonaut.http.post(f"{genonaut.url}/prompt", json=body), range(6)))
    ids = {answer.json()["prompt_id"] for answer in answers}

    assert [answer.status_code for answer in answers] == [200] * 6
    assert len(ids) == 6
    assert body["prompt_id"] not in ids
    assert {genonaut.wait_until_kept(prompt_id)["state"] for prompt_id in ids} == {"completed"}


def test_nobody_jumps_the_queue_by_a_number(genonaut: Installation) -> None:
    """`number` and `front` are for the server to say."""
    first = genonaut.submit(quick_picture())
    second = genonaut.submit(quick_picture(), number=-1e300, front=True)
    numbers = [genonaut.wait_until_kept(prompt_id)["number"] for prompt_id in (first, second)]

    assert numbers == sorted(numbers)


@pytest.mark.parametrize(
    "path",
    ["/genonaut/internal/prompts", "/genonaut/%69nternal/prompts", "/genonaut/api/v1/../../internal/prompts"],
)
def test_what_is_for_the_pack_alone_cannot_be_reached_through_the_page(genonaut: Installation, path: str) -> None:
    """However it is written, and even with a header that claims to be the pack."""
    answer = genonaut.http.post(f"{genonaut.url}{path}", json={"id": "x"}, headers={"X-Genonaut-Pairing": "guessed"})

    assert answer.status_code in (404, 405)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/genonaut/observer"),
        ("GET", "/genonaut/outcomes"),
        ("POST", "/genonaut/outcomes/confirm"),
        ("POST", "/genonaut/cancel"),
        ("POST", "/api/genonaut/cancel"),
    ],
)
def test_the_packs_own_routes_are_for_the_sidecar_alone(genonaut: Installation, method: str, path: str) -> None:
    """Without the pairing secret nobody reads outcomes, confirms them, or cancels past the history."""
    answer = genonaut.http.request(method, f"{genonaut.url}{path}", json={})

    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "not_paired"
