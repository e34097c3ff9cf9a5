"""Whose client ids and websockets are."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestClient, TestServer
from fakes.knowing_sidecar import KnowingSidecar, id_of, person

from comfy_nodes import client_sockets
from comfy_nodes.caller import read_caller
from comfy_nodes.client_sockets import MOST_IDS_EACH, NO_BROWSER, ClientSockets, LastOneCounts, OpenSocket
from comfy_nodes.doorkeeper import Doorkeeper
from comfy_nodes.recognition import Callers
from comfy_nodes.settings import PackSettings

WITHIN_S = 30.0
ADA, BOB = read_caller(person("ada")), read_caller(person("bob"))
ROOT = read_caller(person("root", "admin"))


class Server:
    """ComfyUI's server, as far as websockets go."""

    def __init__(self) -> None:
        self.sockets: dict[str, web.WebSocketResponse] = LastOneCounts({})
        self.sockets_metadata: dict[str, Any] = LastOneCounts({})

    async def serve_socket(self, request: web.Request) -> web.WebSocketResponse:
        """As ComfyUI's own handler does, in its order."""
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        sid = request.rel_url.query.get("clientId", "")
        self.sockets.pop(sid, None)
        self.sockets[sid] = ws
        self.sockets_metadata[sid] = {"feature_flags": {}}
        try:
            await ws.send_json({"type": "status", "data": {"sid": sid}})
            async for _ in ws:
                pass
        finally:
            self.sockets.pop(sid, None)
            self.sockets_metadata.pop(sid, None)
        return ws


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def sockets(server: Server) -> ClientSockets:
    return ClientSockets(server)


@pytest.fixture
async def page(
    server: Server, sockets: ClientSockets, sidecar: KnowingSidecar, callers: Callers
) -> AsyncIterator[TestClient[Any, Any]]:
    settings = PackSettings(
        Path(), "http://sidecar", 8190, start_sidecar=False, pairing_secret="paired", access="accounts"
    )
    doorkeeper = Doorkeeper(settings, sidecar, callers, sockets)  # type: ignore[arg-type] # all that is used of it
    app = web.Application(middlewares=[doorkeeper.answer])
    app.router.add_get("/ws", server.serve_socket)
    async with TestClient(TestServer(app)) as client:
        yield client


def as_(name: str) -> dict[str, Any]:
    return {"headers": {"Authorization": f"Bearer {name}"}}


async def sid_of(socket: Any) -> str:
    return str((await socket.receive_json())["data"]["sid"])


async def until(condition: Any) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("It did not happen in time.")


async def test_without_credentials_there_is_no_websocket(page: TestClient[Any, Any]) -> None:
    """401 as JSON: whoever connects can tell what is the matter."""
    answer = await page.get("/ws", headers={"Connection": "Upgrade", "Upgrade": "websocket"})

    assert answer.status == 401
    assert (await answer.json())["error"]["type"] == "not_logged_in"


async def test_a_client_id_is_its_first_holders(page: TestClient[Any, Any], server: Server) -> None:
    """Whoever else names it gets another one and is told so; the page takes that over."""
    async with page.ws_connect("/ws?clientId=browser", **as_("ada")) as first:
        assert await sid_of(first) == "browser"
        async with page.ws_connect("/ws?clientId=browser&x=1", **as_("bob")) as second:
            other = await sid_of(second)
            assert set(server.sockets) == {"browser", other}

    assert other != "browser"
    async with page.ws_connect("/ws?clientId=browser", **as_("bob")) as third:
        assert await sid_of(third) == other  # theirs, also when the first one has gone


async def test_a_client_without_an_id_gets_one(page: TestClient[Any, Any], sockets: ClientSockets) -> None:
    """And it is theirs."""
    async with page.ws_connect("/ws", **as_("ada")) as socket:
        sid = await sid_of(socket)

        assert sockets.id_for(ADA, sid) == sid
        assert sockets.id_for(BOB, sid) != sid


async def test_who_comes_again_hears_on_after_the_old_connection_has_ended(
    page: TestClient[Any, Any], server: Server
) -> None:
    """ComfyUI's handler of the old one takes out whatever stands under the id; only its own, it is."""
    old = await page.ws_connect("/ws?clientId=browser", **as_("ada"))
    await sid_of(old)
    new = await page.ws_connect("/ws?clientId=browser", **as_("ada"))
    await sid_of(new)
    await old.close()
    await asyncio.sleep(0.05)
    await server.sockets["browser"].send_json({"type": "late", "data": {}})

    assert (await new.receive_json())["type"] == "late"
    assert "browser" in server.sockets_metadata
    await new.close()
    await until(lambda: not server.sockets and not server.sockets_metadata)


async def test_sockets_of_somebody_who_is_out_are_closed_at_once(
    page: TestClient[Any, Any], sockets: ClientSockets, callers: Callers, sidecar: KnowingSidecar
) -> None:
    """Theirs alone, and they cannot come again."""
    async with (
        page.ws_connect("/ws?clientId=a", **as_("ada")) as ada,
        page.ws_connect("/ws?clientId=b", **as_("bob")) as bob,
    ):
        await asyncio.gather(sid_of(ada), sid_of(bob))
        del sidecar.people["ada"]
        callers.forget(ADA.user_id)
        sockets.close(ADA.user_id)
        closed = await ada.receive()
        again = await page.get("/ws", **as_("ada"))

        assert closed.type is WSMsgType.CLOSE
        assert closed.data == 1008
        assert again.status == 401
        assert not bob.closed
        assert sockets.ids_of(BOB.user_id) == ["b"]


async def test_who_is_out_before_the_socket_is_open_does_not_keep_it(
    page: TestClient[Any, Any], server: Server, sockets: ClientSockets, callers: Callers, sidecar: KnowingSidecar
) -> None:
    """The answer who it is may be on its way when somebody is disabled; nobody tells that a second time."""
    identify = sidecar.identify

    async def identify_and_disable(*args: Any, **kwargs: Any) -> dict[str, Any]:
        told = await identify(*args, **kwargs)
        if sidecar.people.pop("ada", None):
            callers.forget(id_of("ada"))
            sockets.close(id_of("ada"))
        return told

    sidecar.identify = identify_and_disable  # type: ignore[method-assign] # what happens meanwhile
    async with page.ws_connect("/ws?clientId=one", **as_("ada")) as socket:
        await sid_of(socket)
        gone = await asyncio.wait_for(socket.receive(), WITHIN_S)

    assert gone.type in (WSMsgType.CLOSE, WSMsgType.CLOSED)
    await until(lambda: not server.sockets)


async def test_a_session_that_ends_ends_its_sockets(
    page: TestClient[Any, Any],
    callers: Callers,
    sidecar: KnowingSidecar,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also when nobody said so; while the sidecar is away nobody can say, and nothing is closed."""
    monkeypatch.setattr(client_sockets, "LOOK_AGAIN_S", 0.02)
    async with page.ws_connect("/ws?clientId=a", **as_("ada")) as ada:
        await sid_of(ada)
        callers.forget(None)
        sidecar.is_away = True
        await asyncio.sleep(0.1)
        assert not ada.closed
        sidecar.is_away = False
        del sidecar.people["ada"]
        callers.forget(None)

        assert (await asyncio.wait_for(ada.receive(), WITHIN_S)).type is WSMsgType.CLOSE


def test_some_ids_are_nobodys_own(sockets: ClientSockets) -> None:
    """That of prompts without a browser, and what no browser would send."""
    assert sockets.id_for(ADA, NO_BROWSER) != NO_BROWSER
    assert len(sockets.id_for(ADA, "x" * 10_000)) == 32


def test_an_id_is_not_given_away_while_somebodys_prompt_tells_it_something(sockets: ClientSockets) -> None:
    """ComfyUI may have started anew in between, and nobody have come with it yet."""
    sockets.is_anothers = lambda client_id, user_id: (client_id, user_id) == ("of bob", ADA.user_id)

    assert sockets.id_for(ADA, "of bob") != "of bob"
    assert sockets.id_for(BOB, "of bob") == "of bob"


def test_ids_are_forgotten_in_the_end_but_never_those_in_use(sockets: ClientSockets) -> None:
    """Whoever comes with thousands of them pushes out their own."""
    sockets._open.add(OpenSocket(sockets.id_for(ADA, "open"), ADA, None))
    sockets.id_for(BOB, "kept")
    for number in range(MOST_IDS_EACH + 10):
        sockets.id_for(ADA, f"id {number}")

    assert sockets.id_for(BOB, "open") != "open"
    assert sockets.id_for(ADA, "kept") != "kept"
    assert sockets.id_for(BOB, "id 3") == "id 3"
    assert len(sockets._holders) <= MOST_IDS_EACH + 4


def test_other_packs_may_use_the_table_of_sockets_as_before() -> None:
    """It is a dictionary; only a handler that has put something in takes out nothing else."""
    table = LastOneCounts({"a": 1})
    contextvars.copy_context().run(table.__setitem__, "b", 2)

    assert (table.pop("a"), table.pop("b", None), table.pop("c", None)) == (1, 2, None)
    with pytest.raises(KeyError):
        table.pop("c")
