"""Who was refused in ComfyUI is told to the sidecar, and nobody waits for that."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from fakes.knowing_sidecar import KnowingSidecar, id_of

from comfy_nodes import refusals
from comfy_nodes.client_sockets import ClientSockets
from comfy_nodes.doorkeeper import Doorkeeper
from comfy_nodes.recognition import Callers
from comfy_nodes.refusals import mark_refused
from comfy_nodes.settings import PackSettings

Browser = TestClient[web.Request, web.Application]


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "TOGETHER_S", 0.01)
    monkeypatch.setattr(refusals, "AGAIN_FIRST_S", 0.01)


@pytest.fixture
async def browser(sidecar: KnowingSidecar) -> AsyncIterator[Browser]:
    settings = PackSettings(
        Path(), "http://sidecar", 8190, start_sidecar=False, pairing_secret="paired", access="accounts"
    )
    doorkeeper = Doorkeeper(settings, sidecar, Callers(sidecar), ClientSockets(object()))  # type: ignore[arg-type] # all that is used of it

    async def say_yes(request: web.Request) -> web.Response:
        if request.path == "/view":
            mark_refused(request, "somebody_elses_file")
            return web.Response(status=404)
        return web.Response()

    app = web.Application(middlewares=[doorkeeper.answer])
    for path in ("/free", "/queue", "/view", "/settings", "/manager/reboot"):
        app.router.add_route("*", path, say_yes)
    async with TestClient(TestServer(app)) as browser:
        yield browser
    await doorkeeper.close()


def as_(name: str, **headers: str) -> dict[str, Any]:
    return {"headers": {"Cookie": f"genonaut_session={name}", **headers}}


async def until_told(sidecar: KnowingSidecar, count: int) -> list[dict[str, Any]]:
    for _ in range(1000):
        if len(sidecar.refusals) >= count:
            return sidecar.refusals
        await asyncio.sleep(0.01)
    raise AssertionError(f"told of {sidecar.refusals}")


async def test_every_rule_that_refuses_somebody_is_told_with_who_and_what(
    browser: Browser, sidecar: KnowingSidecar
) -> None:
    """What is for administrators, or not for guests; pages of other websites; files of somebody else."""
    await browser.post("/free", **as_("ada"))
    await browser.post("/settings", **as_("guest"))
    await browser.post("/queue", **as_("bob", Origin="https://evil.example"))
    await browser.get("/view", **as_("bob", **{"X-Forwarded-For": "192.0.2.7"}))
    told = await until_told(sidecar, 4)

    assert [(each["name"], each["code"], f"{each['method']} {each['route']}") for each in told] == [
        ("ada", "admins_only", "POST /free"),
        ("guest", "not_for_guests", "POST /settings"),
        ("bob", "foreign_page", "POST /queue"),
        ("bob", "somebody_elses_file", "GET /view"),
    ]
    assert [each["user_id"] for each in told[:2]] == [id_of("ada"), id_of("guest")]
    assert (told[3]["address"], told[3]["forwarded_for"]) == ("127.0.0.1", "192.0.2.7")
    assert sidecar.untold == 0


async def test_who_is_let_in_or_has_not_logged_in_yet_is_not_told_of(browser: Browser, sidecar: KnowingSidecar) -> None:
    """Every browser begins without a session."""
    await browser.post("/free", **as_("root"))
    await browser.get("/queue", **as_("ada"))
    await browser.get("/queue")
    await asyncio.sleep(0.05)

    assert sidecar.refusals == []


async def test_what_is_repeated_is_counted(
    browser: Browser, sidecar: KnowingSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a minute it is told what somebody is refused; how often else is a number, so no disk is filled."""
    monkeypatch.setattr(refusals, "IN_THAT_TIME_AT_MOST", 2)
    for name in ("ada", "ada", "bob", "guest", "ada"):
        await browser.post("/free", **as_(name))
    told = await until_told(sidecar, 2)
    await browser.post("/manager/reboot", **as_("ada"))
    monkeypatch.setattr(refusals, "ONCE_IN_S", 0.01)
    while sidecar.untold < 4:
        await asyncio.sleep(0.01)

    assert [each["name"] for each in told] == ["ada", "bob"]
    assert (len(sidecar.refusals), sidecar.untold) == (2, 4)


async def test_nothing_is_lost_while_the_sidecar_is_away(
    sidecar: KnowingSidecar, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some are kept, and of the others their number; both are told when it is back."""
    monkeypatch.setattr(refusals, "KEPT_AT_MOST", 2)
    for name in ("ada", "bob", "guest", "root", "reader"):
        await browser.get("/queue", **as_(name))  # they are known from now on
    sidecar.is_away = True
    for name in ("ada", "bob", "guest"):
        answer = await browser.post("/free", **as_(name))
        assert answer.status == 403
    await asyncio.sleep(0.05)
    nothing_yet = list(sidecar.refusals)
    sidecar.is_away = False
    told = await until_told(sidecar, 2)

    assert nothing_yet == []
    assert ([each["name"] for each in told], sidecar.untold) == (["ada", "bob"], 1)


async def test_what_cannot_be_told_any_more_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """ComfyUI ends while the sidecar is away."""

    async def tell(told: list[dict[str, Any]], untold: int) -> None:
        await asyncio.sleep(60)

    heard = refusals.Refusals(tell)
    app = web.Application()

    async def refuse(request: web.Request) -> web.Response:
        mark_refused(request, "admins_only")
        heard.hear(request)
        return web.Response(status=403)

    app.router.add_get("/", refuse)
    async with TestClient(TestServer(app)) as browser:
        for _ in range(3):
            await browser.get("/")
    await heard.close()
    with contextlib.suppress(asyncio.CancelledError):
        assert heard._telling is not None
        await heard._telling

    assert "3 refused requests are missing in the audit" in caplog.text
