"""What every answer has, whichever route it is from, and where there is none."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from fakes.peers import heard_from
from litestar import Litestar, Response, get
from litestar.config.cors import CORSConfig
from litestar.testing import AsyncTestClient
from structlog.contextvars import get_contextvars

from sidecar.clients import TrustedProxies
from sidecar.entrance import Entrance
from sidecar.problems import EXCEPTION_HANDLERS
from sidecar.settings import Settings

Client = AsyncTestClient[Litestar]


@get("/kept", sync_to_thread=False)
def kept() -> Response[str]:
    return Response("mine", headers={"Cache-Control": "private, max-age=60", "Content-Security-Policy": "sandbox"})


@get("/logged")
async def logged() -> str:
    return str(get_contextvars()["request_id"])


@get("/broken", sync_to_thread=False)
def broken() -> None:
    raise RuntimeError


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    app = Litestar(
        [kept, logged, broken],
        exception_handlers=EXCEPTION_HANDLERS,
        cors_config=CORSConfig(allow_origins=["https://tools.example"]),
        openapi_config=None,
        logging_config=None,
    )
    app.asgi_handler = Entrance(app.asgi_handler, TrustedProxies(Settings.trusted_proxies))
    async with AsyncTestClient(heard_from("127.0.0.1", app), raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize("path", ["/logged", "/broken", "/there-is-none"])
async def test_every_answer_tells_browsers_what_not_to_do_with_it(client: Client, path: str):
    """No guessing of types, no scripts, no frames, no embedding elsewhere, no keeping."""
    headers = (await client.get(path)).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


async def test_a_route_may_say_it_better(client: Client):
    """Once each; and what may be kept is kept for whoever was logged in."""
    headers = (await client.get("/kept")).headers

    assert headers.get_list("content-security-policy") == ["sandbox"]
    assert headers.get_list("cache-control") == ["private, max-age=60"]
    assert headers["vary"] == "Cookie, Authorization"


async def test_what_differs_by_origin_and_by_person_says_both(client: Client):
    """Neither of them may hide the other."""
    headers = (await client.get("/kept", headers={"Origin": "https://tools.example"})).headers

    assert headers["access-control-allow-origin"] == "https://tools.example"
    assert headers.get_list("vary", split_commas=True) == ["Origin", "Cookie", "Authorization"]


@pytest.mark.parametrize(("scheme", "is_told"), [("https", True), ("http", False)])
async def test_only_through_tls_browsers_are_told_to_stay_with_it(client: Client, scheme: str, is_told: bool):
    """Of a ComfyUI without TLS they must not demand it."""
    headers = (await client.get("/logged", headers={"X-Forwarded-Proto": scheme})).headers

    assert ("strict-transport-security" in headers) is is_told


async def test_an_id_that_comes_along_leads_through_everything(client: Client):
    """The log's lines, the answer, and the problem where it is one."""
    headers = {"X-Request-ID": "4bf92f3577b34da6a3ce929d0e0e4736"}
    logged, problem = await client.get("/logged", headers=headers), await client.get("/broken", headers=headers)

    assert logged.text == logged.headers["x-request-id"] == headers["X-Request-ID"]
    assert problem.json()["request_id"] == problem.headers["x-request-id"] == headers["X-Request-ID"]


@pytest.mark.parametrize(
    "offered", ["", "short", "x" * 65, "two words", "a\r\nSet-Cookie: b=c", "\x1b[31mred-letters", "ümläute-hier"]
)
async def test_an_id_that_could_write_something_else_is_not_taken(client: Client, offered: str):
    """A line of log, a header, a colour of the terminal: then it is one of ours."""
    answer = await client.get("/logged", headers=[(b"x-request-id", offered.encode())])

    assert answer.text == answer.headers["x-request-id"]
    assert answer.text != offered
    assert "set-cookie" not in answer.headers
