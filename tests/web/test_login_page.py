"""The page on which people log in, in a real Chromium, against a scripted sidecar."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiohttp import web
from playwright.sync_api import Browser, Page, expect
from real.processes import free_port
from web.axe import faint_texts, violations
from web.chromium import chromium

from comfy_nodes.login_page import login_page

API = "/genonaut/api/v1"
PASSWORD = "correct horse battery staple"


class Sidecar:
    """Serves the page in the place of every other, and answers as the sidecar does to what it asks."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, dict[str, Any]]] = []
        self.url = ""

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get(f"{API}/me", self.tell_me)
        app.router.add_post(f"{API}/invites/look", self.tell_invite)
        for path in ("/sessions", "/first-administrator", "/invites/accept"):
            app.router.add_post(API + path, self.let_in)
        app.router.add_get("/{path:.*}", self.show)
        return app

    async def show(self, request: web.Request) -> web.Response:
        if "genonaut_session" in request.cookies:
            return web.Response(text=f"<title>in</title>{request.rel_url}", content_type="text/html")
        return login_page(request.query.get("access", "accounts"), status=401)

    async def tell_me(self, request: web.Request) -> web.Response:
        return web.json_response({"code": "not_logged_in", "detail": "Log in first."}, status=401)

    async def tell_invite(self, request: web.Request) -> web.Response:
        if (await request.json())["code"] == "good/&%":
            return web.json_response({"role": "guest", "expires_at": "2030-01-01T00:00:00Z"})
        return web.json_response({"code": "invite_unknown", "detail": "This invite has ended."}, status=404)

    async def let_in(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.posted.append((request.path.removeprefix(API), body))
        if body["password"] != PASSWORD:
            return web.json_response({"code": "credentials_invalid", "detail": "They are not valid."}, status=401)
        answer = web.json_response({"name": body["name"]}, status=201)
        answer.set_cookie("genonaut_session", "secret", httponly=True)
        return answer


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def sidecar() -> Iterator[Sidecar]:
    """In a thread of its own, since Playwright has this one."""
    sidecar, loop, port = Sidecar(), asyncio.new_event_loop(), free_port()
    runner = web.AppRunner(sidecar.app(), shutdown_timeout=0.1)

    async def start() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(start(), loop).result()
    sidecar.url = f"http://127.0.0.1:{port}"
    yield sidecar
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


Opened = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser, sidecar: Sidecar) -> Iterator[Opened]:
    """Opens an address; holds at the end that no rule of the page's own policy was broken and no script failed."""
    contexts, faults = [], list[str]()

    def open_it(path: str, **options: Any) -> Page:
        contexts.append(browser.new_context(**{"locale": "en-GB", **options}))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if "Content Security" in line.text else None)
        page.goto(sidecar.url + path)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert faults == []


def test_who_logs_in_is_where_they_wanted_to_go(opened: Opened, sidecar: Sidecar) -> None:
    """With the keyboard alone: the cursor stands in the first field, and Enter sends."""
    page = opened("/deep/page?with=query")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("ada")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_title("in")

    assert page.url == f"{sidecar.url}/deep/page?with=query"
    assert sidecar.posted == [("/sessions", {"name": "ada", "password": PASSWORD})]


def test_what_is_wrong_is_said_in_the_language_of_the_page(opened: Opened, sidecar: Sidecar) -> None:
    """As an alert, with the cursor where to go on; what was typed as the name stays. It fits 320 pixels."""
    page = opened("/", locale="de-AT", viewport={"width": 320, "height": 640}, color_scheme="dark")
    page.get_by_role("button", name="Anmelden").click()
    expect(page.get_by_role("alert")).to_have_text("Bitte fülle beide Felder aus.")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Passwort", exact=True).fill("wrong")
    page.get_by_role("button", name="Anmelden").click()
    expect(page.get_by_role("alert")).to_have_text("Name oder Passwort stimmen nicht.")
    expect(page.get_by_label("Passwort", exact=True)).to_be_focused()
    expect(page.get_by_label("Name")).to_have_value("ada")

    assert page.evaluate("document.documentElement.scrollWidth") == 320
    assert page.evaluate("document.documentElement.lang") == "de"
    assert len(sidecar.posted) == 1


def test_links_make_accounts(opened: Opened, sidecar: Sidecar) -> None:
    """An invitation and the first administrator's link; the secret is in no address that a server would log."""
    for path in ("/genonaut/login#invite=good/%26%25", "/genonaut/login#first=s3cret"):
        page = opened(path)
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Make my account").click()
        expect(page).to_have_title("in")
        assert page.url == f"{sidecar.url}/"

    posted = {"name": "ada", "password": PASSWORD}
    assert sidecar.posted == [
        ("/invites/accept", {"code": "good/&%", **posted}),
        ("/first-administrator", {"secret": "s3cret", **posted}),
    ]


def test_an_invitation_that_is_good_no_longer_says_so(opened: Opened) -> None:
    """And whoever has an account can log in all the same."""
    page = opened("/genonaut/login#invite=old")

    expect(page.get_by_role("alert")).to_have_text("This invite has ended.")
    expect(page.get_by_role("button", name="Log in")).to_be_visible()


@pytest.mark.parametrize(
    ("wanted", "reached"),
    [
        ("/view?x=1", "/view?x=1"),
        ("https://elsewhere.example/", "/"),
        ("//elsewhere.example/", "/"),
        ("\\\\elsewhere.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/..//elsewhere.example/", "//elsewhere.example/"),
        ("/genonaut/login", "/"),
    ],
)
def test_nobody_is_sent_elsewhere(opened: Opened, sidecar: Sidecar, wanted: str, reached: str) -> None:
    """Where to go on may stand in a link that somebody else wrote."""
    page = opened("/genonaut/login?next=" + wanted.replace("?", "%3F").replace("\\", "%5C"))
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_title("in")

    assert page.url == sidecar.url + reached


@pytest.mark.parametrize("path", ["//elsewhere.example/login", "/genonaut/login?next=http://"])
def test_an_address_that_reads_like_another_place_leads_nowhere_else(
    opened: Opened, sidecar: Sidecar, path: str
) -> None:
    """The page stands in the place of whatever was opened, and an address may begin with two slashes."""
    page = opened(path)
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_title("in")

    assert page.url == sidecar.url + (path if path.startswith("//") else "/")


def test_where_nobody_logs_in_it_says_what_to_do(opened: Opened, sidecar: Sidecar) -> None:
    """A reverse proxy says who somebody is, or nobody asks."""
    expect(opened("/?access=proxy").get_by_role("heading")).to_have_text("Please use the way in")
    there = opened("/genonaut/login?access=open").get_by_role("link").get_attribute("href")

    assert there == f"{sidecar.url}/"


def test_nothing_in_it_keeps_anybody_out(opened: Opened) -> None:
    """As far as axe sees it: to log in, with what went wrong, to make an account, and where nobody logs in."""
    for path in ("/", "/genonaut/login#invite=good/%26%25", "/?access=proxy"):
        page = opened(path, color_scheme="dark")
        expect(page.get_by_role("heading")).to_be_visible()
        if path == "/":
            page.get_by_role("button", name="Log in").click()
            expect(page.get_by_role("alert")).to_be_visible()
        whole = page.locator("html")
        assert violations(whole) == []
        page.emulate_media(color_scheme="light")
        assert faint_texts(whole) == []
