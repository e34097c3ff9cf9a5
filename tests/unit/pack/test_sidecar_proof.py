"""Who has taken the sidecar's port is handed nothing, and nothing that he says is believed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from fakes.sidecar import PatientSidecar
from fakes.stranger import first_lines, stranger
from real.processes import free_port

from comfy_nodes.pairing import ANSWER_HEADER, pairing_of
from comfy_nodes.sidecar_client import SidecarAway, SidecarClient, SidecarStranger
from comfy_nodes.sidecar_proof import Answering, who_answers
from comfy_nodes.sidecar_proxy import SidecarProxy

SECRETS = {"Cookie": "genonaut_session=the-session", "Authorization": "Basic dGhlLXBhc3N3b3Jk"}
Browser = TestClient[web.Request, web.Application]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
async def client(port: int) -> AsyncIterator[SidecarClient]:
    client = SidecarClient(f"http://127.0.0.1:{port}", "paired", timeout_s=2)
    yield client
    await client.close()


@pytest.fixture
async def browser(client: SidecarClient) -> AsyncIterator[Browser]:
    """A browser that asks for everything through ComfyUI."""
    proxy = SidecarProxy(client.url, client.proof)
    app = web.Application()
    app.router.add_route("*", "/genonaut/{path:.*}", proxy.pass_on)
    async with TestClient(TestServer(app), headers=SECRETS) as browser:
        yield browser
    await proxy.close()


QUESTIONS: dict[str, Callable[[SidecarClient], Awaitable[Any]]] = {
    "whose a cookie is": lambda client: client.identify({"cookie": "the-session"}),
    "who is let in": lambda client: client.access(),
    "whose a file is": lambda client: client.owner_of_output("temp", "", "a.png"),
    "take this prompt": lambda client: client.submit({"id": "x"}),
    "cancel it": lambda client: client.cancel("x", owner_id=None),
}


@pytest.mark.parametrize("question", QUESTIONS)
async def test_a_stranger_is_asked_for_a_proof_and_nothing_else(
    client: SidecarClient, port: int, caplog: pytest.LogCaptureFixture, question: str
) -> None:
    """Though he says that everybody is an administrator; the log tells whoever can end him, once."""
    async with stranger(port) as (_, told):
        for _ in range(2):
            with pytest.raises(SidecarStranger):
                await QUESTIONS[question](client)

    assert first_lines(told) == {"GET /internal/pairing"}
    assert "the-session" not in "".join(told)
    assert len([record for record in caplog.records if "another program answers there" in record.message]) == 1


async def test_no_cookie_and_no_password_is_passed_on_to_a_stranger(browser: Browser, port: int) -> None:
    """Not to one who was there first, nor to one who comes when the sidecar has gone; whoever asks reads why."""
    answers = []
    async with stranger(port) as (_, first):
        answers.append(await browser.post("/genonaut/api/v1/sessions", json={"password": "typed"}))
        said = await answers[-1].json()
    async with PatientSidecar(port):
        answers.append(await browser.get("/genonaut/api/v1/me"))
    async with stranger(port) as (_, second):
        answers.append(await browser.get("/genonaut/api/v1/me"))

    assert [answer.status for answer in answers] == [503, 200, 503]
    assert said["code"] == "sidecar_is_a_stranger"
    assert said["detail"].startswith("Another program answers in the place of Genonaut's sidecar")
    assert first_lines([*first, *second]) == {"GET /internal/pairing"}
    assert "the-session" not in "".join([*first, *second])


class Doubtful(PatientSidecar):
    """Proves who it is, and then somebody in between changes what it says."""

    async def take(self, request: web.Request) -> web.StreamResponse:
        answer = await super().take(request)
        answer.headers["X-Changed"] = "yes"
        return answer

    async def _prove(self, request: web.Request, answer: web.StreamResponse) -> None:
        await super()._prove(request, answer)
        if "X-Changed" in answer.headers:
            answer.headers[ANSWER_HEADER] = answer.headers[ANSWER_HEADER].replace("whole.", "begun.")


async def test_each_answer_is_proven_for_itself(client: SidecarClient, port: int) -> None:
    """Also on a connection that was good before."""
    async with Doubtful(port):
        await client.cancel("x", owner_id=None)
        with pytest.raises(SidecarStranger):
            await client.submit({"id": "x"})


class Behind(PatientSidecar):
    """Its clock is."""

    async def show_pairing(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"code": "clocks_differ", "detail": "They differ by 400 seconds."}, status=401)


async def test_clocks_that_differ_are_named_in_the_log(
    client: SidecarClient, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody looks for a wrong secret or another program then."""
    async with Behind(port):
        with pytest.raises(SidecarAway) as raised:
            await client.access()

    assert not isinstance(raised.value, SidecarStranger)
    assert "They differ by 400 seconds." in caplog.text


async def test_the_sidecar_and_a_stranger_are_told_apart_without_an_event_loop(port: int) -> None:
    """So the pack starts its sidecar where nobody answers, and not where the port is taken."""
    url, pairing, found = f"http://127.0.0.1:{port}", pairing_of("paired"), []

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail\r\n")
        writer.close()

    async def look() -> None:
        found.append(await asyncio.to_thread(who_answers, url, pairing))

    await look()
    async with stranger(port):
        await look()
    async with await asyncio.start_server(greet, "127.0.0.1", port):
        await look()
    async with PatientSidecar(port):
        await look()

    assert found == [Answering.NOBODY, Answering.STRANGER, Answering.STRANGER, Answering.SIDECAR]
