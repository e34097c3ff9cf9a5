"""What an API client sees."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sidecar.identity import uuid7
from sidecar.pairing import PAIRING_HEADER

from .conftest import PAIRED, WORKFLOW, Client


async def test_parameters_become_a_generation(client: Client):
    """Everything that was asked for can be read back, and a seed is drawn where none was given."""
    parameters = {"prompt": "a lighthouse", "checkpoint": "tiny.safetensors", "width": 64, "height": 128}
    response = await client.post("/api/v1/generations", json={"parameters": parameters, "title": "Sea"})
    generation = response.json()

    assert response.status_code == 202
    assert generation["state"] == "pending"
    assert (generation["prompt"], generation["width"], generation["height"]) == ("a lighthouse", 64, 128)
    assert generation["title"] == "Sea"
    assert isinstance(generation["sampler"]["seed"], int)


async def test_all_field_errors_come_together(client: Client):
    """Nobody has to submit five times to learn of five mistakes."""
    parameters = {"prompt": "x", "checkpoint": "../secret", "width": 65, "steps": 0}
    response = await client.post("/api/v1/generations", json={"parameters": parameters})
    problem = response.json()

    assert response.status_code == 400
    assert response.headers["content-type"].startswith("application/problem+json")
    assert problem["code"] == "invalid_parameters"
    assert [error["field"] for error in problem["errors"]] == ["checkpoint", "width", "steps"]


async def test_all_wrong_types_come_together(client: Client):
    """Also those by which a request could not even be read."""
    parameters = {
        "prompt": 5,
        "width": "wide",
        "loras": [{"name": "a", "strength_clip": "much"}, {}, {"name": "c", "weight": 1}, {"name": 4}],
        "step": 5,
    }
    body = {"parameters": parameters, "title": 7, "tags": [1, "two", 3]}
    response = await client.post("/api/v1/generations", json=body)
    problem = response.json()

    assert response.status_code == 400
    assert {(error["field"], error["code"]) for error in problem["errors"]} == {
        ("title", "wrong_type"),
        ("tags[0]", "wrong_type"),
        ("tags[2]", "wrong_type"),
        ("prompt", "wrong_type"),
        ("width", "wrong_type"),
        ("loras[0].strength_clip", "wrong_type"),
        ("loras[1].name", "required"),
        ("loras[2].weight", "unknown_field"),
        ("loras[3].name", "wrong_type"),
        ("step", "unknown_field"),
    }


WRONG = [
    ({"parameters": {"checkpoint": "a", "width": 65}}, "width", "out_of_range"),
    ({"parameters": {"checkpoint": "a", "width": "wide"}}, "width", "wrong_type"),
    ({"parameters": {"checkpoint": "a", "loras": [{"name": "b"}, {"name": "c", "strength_clip": 21}]}},
     "loras[1].strength_clip", "out_of_range"),
    ({"parameters": {"checkpoint": "a", "loras": [{"name": "b"}, {"name": "c", "strength_clip": "much"}]}},
     "loras[1].strength_clip", "wrong_type"),
    ({"parameters": {"checkpoint": "a", "loras": [{"name": ""}]}}, "loras[0].name", "required"),
    ({"parameters": {"checkpoint": "a", "loras": [{}]}}, "loras[0].name", "required"),
    ({"parameters": {"checkpoint": "a", "step": 5}}, "step", "unknown_field"),
    ({"workflow": WORKFLOW, "title": "x" * 201}, "title", "too_long"),
    ([], "", "wrong_type"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "field", "code"), WRONG)
async def test_every_field_error_has_one_shape(client: Client, body: Any, field: str, code: str):
    """Whether msgspec or our own check finds the fault, a field has one name, a code and a sentence."""
    response = await client.post("/api/v1/generations", json=body)
    (error,) = response.json()["errors"]

    assert response.status_code == 400
    assert response.headers["content-type"].startswith("application/problem+json")
    assert set(error) == {"field", "code", "message"}
    assert (error["field"], error["code"]) == (field, code)
    assert re.fullmatch("[A-Z].*[.?]", error["message"])


async def test_a_body_that_no_json_reader_takes_has_a_sentence(client: Client):
    """NaN and numbers without end are no JSON."""
    for body in ('{"parameters": {"cfg": NaN}}', '{"parameters": {"cfg": 1e999}}', '{"parameters": {"cfg": Infinity}}'):
        response = await client.post("/api/v1/generations", content=body)

        assert response.status_code == 400
        assert response.json()["code"] == "invalid_request"
        assert response.json()["detail"]


@pytest.mark.parametrize("body", [{}, {"parameters": {"checkpoint": "a"}, "workflow": WORKFLOW}])
async def test_either_parameters_or_a_workflow(client: Client, body: dict[str, Any]):
    """Neither and both are refused with the same sentence."""
    response = await client.post("/api/v1/generations", json=body)

    assert response.status_code == 400
    assert "either" in response.json()["detail"]


async def test_a_list_is_paged_by_cursor_and_newest_first(client: Client):
    """Every generation comes once, whatever the page size."""
    numbers = [
        (await client.post("/api/v1/generations", json={"workflow": WORKFLOW})).json()["number"] for _ in range(5)
    ]
    seen: list[int] = []
    cursor = None
    while True:
        params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await client.get("/api/v1/generations", params=params)).json()
        seen += [item["number"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == numbers[::-1]


async def test_a_cursor_that_is_none_of_ours_is_refused(client: Client):
    """A clear error, not a server error."""
    response = await client.get("/api/v1/generations", params={"cursor": "nonsense!"})

    assert (response.status_code, response.json()["code"]) == (400, "invalid_request")


async def test_the_gate_must_show_the_pairing_secret(client: Client):
    """Nobody else may submit in somebody's name."""
    body = {"id": str(uuid7()), "workflow": WORKFLOW}
    refused = await client.post("/internal/prompts", json=body, headers={PAIRING_HEADER: "wrong"})
    admitted = await client.post("/internal/prompts", json=body, auth=PAIRED)

    assert (refused.status_code, refused.json()["code"]) == (401, "not_paired")
    assert (admitted.status_code, admitted.json()["id"]) == (202, body["id"])


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:3000", "Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example:8190", "Origin": "http://evil.example:8190"},
        {"Host": "evil.example", "X-Forwarded-Host": "127.0.0.1:8188"},
    ],
    ids=[
        "another site",
        "a sandboxed frame",
        "another program on this machine",
        "a browser that says so",
        "a name that points here",
        "with a lie",
    ],
)
async def test_a_foreign_page_can_submit_nothing(client: Client, headers: dict[str, str]):
    """Any website may send requests to this machine; its browser says whose page it is."""
    response = await client.post("/api/v1/generations", json={"workflow": WORKFLOW}, headers=headers)

    assert (response.status_code, response.json()["code"]) == (403, "foreign_origin")
    assert (await client.get("/api/v1/generations")).json()["items"] == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://127.0.0.1:8188", "X-Forwarded-Host": "127.0.0.1:8188", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://192.168.1.5:8188", "X-Forwarded-Host": "192.168.1.5:8188"},
        {"Host": "localhost:8190", "Origin": "http://localhost:8190", "Sec-Fetch-Site": "same-origin"},
    ],
    ids=["no browser", "ComfyUI's page", "ComfyUI's page from another machine", "the page of the API"],
)
async def test_comfyuis_own_page_can_submit(client: Client, headers: dict[str, str]):
    """At whatever address it was opened."""
    response = await client.post("/api/v1/generations", json={"workflow": WORKFLOW}, headers=headers)

    assert response.status_code == 202


async def test_secrets_of_comfy_org_are_not_stored(client: Client, tmp_path: Path):
    """Even if a gate should hand them over."""
    extra_data = {"api_key_comfy_org": "the-secret-key", "extra_pnginfo": {"workflow": {"nodes": []}}}
    body = {"id": str(uuid7()), "workflow": WORKFLOW, "extra_data": extra_data}
    await client.post("/internal/prompts", json=body, auth=PAIRED)
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("genonaut.sqlite3*"))

    assert b"the-secret-key" not in stored


async def test_the_workflow_comes_back_as_it_was_drawn(client: Client):
    """The page can load it again."""
    body = {"id": str(uuid7()), "workflow": WORKFLOW, "extra_data": {"extra_pnginfo": {"workflow": {"nodes": [7]}}}}
    await client.post("/internal/prompts", json=body, auth=PAIRED)
    response = await client.get(f"/api/v1/generations/{body['id']}/workflow")

    assert response.json() == {"workflow": WORKFLOW, "ui_workflow": {"nodes": [7]}}


async def test_an_unknown_generation_is_a_404_with_a_code(client: Client):
    """In the same shape as every other error."""
    response = await client.get(f"/api/v1/generations/{uuid7()}")

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_what_has_ended_cannot_be_cancelled_but_cancelling_twice_is_fine(client: Client):
    """Cancel is idempotent."""
    generation = (await client.post("/api/v1/generations", json={"workflow": WORKFLOW})).json()
    responses = [await client.post(f"/api/v1/generations/{generation['id']}/cancel") for _ in range(2)]

    assert [(response.status_code, response.json()["state"]) for response in responses] == [(202, "cancelled")] * 2


async def test_a_comfyui_that_is_away_does_not_make_the_sidecar_unready(client: Client):
    """It goes on accepting, and says since when ComfyUI is away."""
    response = await client.get("/health/ready")
    health = response.json()

    assert (response.status_code, health["ready"], health["instances"][0]["state"]) == (200, True, "away")


async def test_the_page_of_the_api_needs_nothing_from_the_internet(client: Client):
    """Every file that it refers to comes from the sidecar itself."""
    page = (await client.get("/schema")).text
    script = await client.get("/schema-files/swagger-ui-bundle.js")

    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://127.0.0.1:", "")
    assert "https://" not in page
    assert script.status_code == 200


async def test_a_method_that_there_is_not_is_refused_with_those_that_there_are(client: Client):
    """RFC 9110, 15.5.6."""
    response = await client.delete("/health/live")

    assert response.status_code == 405
    assert "GET" in response.headers["allow"]
