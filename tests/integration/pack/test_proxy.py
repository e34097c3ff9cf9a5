"""The sidecar behind ComfyUI's own address."""

from __future__ import annotations

import io
import time

import aiohttp
import pytest
from fakes.sidecar import PatientSidecar
from real.processes import RunningComfyUI


@pytest.mark.parametrize("prefix", ["/genonaut", "/api/genonaut"])
async def test_what_is_asked_of_the_sidecar_reaches_it_as_it_was_asked(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession, prefix: str
) -> None:
    """Method, encoded path, query and body; without the prefix, and never with a pairing header from outside."""
    headers = {"X-Genonaut-Pairing": "guessed", "X-Own": "kept", "Connection": "keep-alive, X-Hop", "X-Hop": "dropped"}
    url = f"{comfyui.url}{prefix}/api/v1/x%20y?a=b%26c"
    async with page.put(url, data=io.BytesIO(b"x" * 3_000_000), headers=headers) as answer:
        told = await answer.json()

    assert (told["method"], told["path"], told["bytes"]) == ("PUT", "/api/v1/x%20y?a=b%26c", 3_000_000)
    assert told["headers"]["X-Own"] == "kept"
    assert {"X-Genonaut-Pairing", "X-Hop"} & set(told["headers"]) == set()
    assert told["headers"]["X-Forwarded-Host"] == comfyui.url.removeprefix("http://")


async def test_events_arrive_when_they_are_sent(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession
) -> None:
    """A stream of events is not held back until it ends (the stand-in pauses a second between two)."""
    async with page.get(f"{comfyui.url}/genonaut/api/v1/events") as answer:
        first = await answer.content.readuntil(b"\n\n")
        first_came = time.monotonic()
        rest = await answer.content.read()
        pause_s = time.monotonic() - first_came

    assert answer.content_type == "text/event-stream"
    assert first.startswith(b"event: hello")
    assert pause_s > 0.5
    assert rest.startswith(b"event: bye")


@pytest.mark.parametrize(
    "path", ["internal/prompts", "%69nternal/prompts", "/internal/x", "INTERNAL", "a/%2e%2e/internal"]
)
async def test_the_inside_of_the_sidecar_is_not_for_browsers(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession, path: str
) -> None:
    """However it is written, it is not there."""
    async with page.get(f"{comfyui.url}/genonaut/{path}") as answer:
        pass

    assert answer.status == 404


async def test_a_sidecar_that_is_away_is_said_in_a_plain_sentence(
    comfyui: RunningComfyUI, page: aiohttp.ClientSession
) -> None:
    """The panels get problem details and know when to try again."""
    async with page.get(f"{comfyui.url}/genonaut/api/v1/generations") as answer:
        told = await answer.json()

    assert answer.status == 503
    assert answer.content_type == "application/problem+json"
    assert int(answer.headers["Retry-After"]) > 0
    assert told["detail"].startswith("Genonaut's sidecar does not answer at the moment.")


@pytest.mark.parametrize("request_line", ["POST /prompt", "POST /api/prompt", "GET /genonaut/api/v1/generations"])
async def test_a_website_that_has_taken_our_address_gets_nothing(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession, request_line: str
) -> None:
    """This ComfyUI listens on loopback alone, so whoever calls it by another name was led here."""
    method, path = request_line.split()
    async with page.request(method, comfyui.url + path, headers={"Host": "evil.example"}) as answer:
        pass

    assert answer.status == 403
