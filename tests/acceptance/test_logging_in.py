"""Logging in through the page, in a real browser at a real ComfyUI, and what two people see who have."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from acceptance.members import PASSWORD, Members
from acceptance.workflows import quick_picture
from playwright.sync_api import Browser, Page, expect
from web.chromium import chromium
from web.panel import Panel

PAGE_IS_THERE_WITHIN_MS = 120_000
COMES_WITHIN_MS = 60_000
IDS_IN_COMFYUIS_LISTS = """
async () => {
  const { api } = window.comfyAPI.api
  const [{ Running, Pending }, { History }] = [await api.getQueue(), await api.getHistory()]
  return [...Running, ...Pending, ...History].map(({ prompt }) => prompt[1])
}
"""
HEARS = "() => window.comfyAPI.api.api.socket?.readyState === WebSocket.OPEN"

Opened = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def opened(browser: Browser, members: Members) -> Iterator[Opened]:
    """Opens an address of ComfyUI's in a browser of its own."""
    contexts = []

    def open_it(path: str = "/", **options: Any) -> Page:
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 800}, **{"locale": "en-GB", **options}))
        page = contexts[-1].new_page()
        page.goto(members.url + path)
        return page

    yield open_it
    for context in contexts:
        context.close()


def fill_in(page: Page, name: str, password: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.keyboard.press("Enter")


def history_panel(page: Page) -> Panel:
    page.get_by_role("button", name="History (Genonaut)").click(timeout=PAGE_IS_THERE_WITHIN_MS)
    panel = Panel(page)
    expect(panel.host).to_be_visible()
    return panel


def test_two_people_log_in_and_each_sees_what_is_theirs(members: Members, opened: Opened) -> None:
    """
    The login page stands in ComfyUI's place and says when something is wrong; then ComfyUI's page is there, with its
    websocket. ComfyUI's own lists and our panel show one's own, also live; whoever logs out stands at the door again.
    Whose session ends elsewhere is told so in ComfyUI's page, logs in beside it, and goes on.
    """
    people = [members.newcomer(), members.newcomer()]
    pages = []
    for person in people:
        # Else ComfyUI lays its dialog of templates over the page, as it does for each newcomer.
        person.ask("POST", "/settings/Comfy.TutorialCompleted", json=True).raise_for_status()
        page = opened()
        fill_in(page, person.name, "not this one")
        expect(page.get_by_role("alert")).to_have_text(
            "Name and password do not go together. Look at both, and try again."
        )
        fill_in(page, person.name, PASSWORD)
        pages.append(page)
    panels = [history_panel(page) for page in pages]
    for page in pages:
        page.wait_for_function(HEARS)

    made = [person.submit(quick_picture()) for person in people]
    for person, prompt_id in zip(people, made, strict=True):
        person.wait_until_made(prompt_id)

    for page, panel, prompt_id in zip(pages, panels, made, strict=True):
        expect(panel.cards).to_have_count(1, timeout=COMES_WITHIN_MS)
        expect(panel.cards.locator("img.there")).to_be_visible(timeout=COMES_WITHIN_MS)
        assert page.evaluate(IDS_IN_COMFYUIS_LISTS) == [prompt_id]
        assert panel.errors == []

    leaving = pages[0]
    leaving.get_by_role("button", name=people[0].name).click()
    leaving.get_by_role("button", name="Log out").click()
    expect(leaving.get_by_label("Password", exact=True)).to_be_visible()
    assert leaving.context.cookies() == []
    assert pages[1].evaluate(IDS_IN_COMFYUIS_LISTS) == [made[1]]

    staying, person = pages[1], people[1]
    members.root.api("DELETE", f"/admin/users/{person.id}/sessions")
    with staying.expect_popup() as beside:
        staying.get_by_role("dialog", name="You are logged out").get_by_role("link", name="Log in").click()
    with beside.value.expect_event("close"):
        fill_in(beside.value, person.name, PASSWORD)
    staying.wait_for_function(HEARS)
    assert staying.evaluate(IDS_IN_COMFYUIS_LISTS) == [made[1]]


def without_comfyuis_page(page: Page) -> None:
    """It costs seconds, and here it does not matter what stands in it."""
    page.route("**/assets/**", lambda route: route.abort())


def test_an_invite_link_makes_an_account(members: Members, opened: Opened) -> None:
    """As often as it was made for; then it says that it has ended."""
    code = members.root.api("POST", "/admin/invites", json={"role": "guest"}).json()["code"]
    page = opened(f"/genonaut/login#invite={code}")
    without_comfyuis_page(page)
    name = f"ivy-{uuid.uuid4().hex[:8]}"
    fill_in(page, name, PASSWORD)
    page.wait_for_url(f"{members.url}/")
    me = page.request.get(f"{members.url}/genonaut/api/v1/me").json()

    assert (me["name"], me["role"]) == (name, "guest")
    expect(opened(f"/genonaut/login#invite={code}").get_by_role("alert")).to_be_visible()


def test_the_first_administrators_link_opens_nothing_a_second_time(members: Members, opened: Opened) -> None:
    """There is one; whoever finds the link in an old log becomes nobody by it."""
    log = (members.house.data / "sidecar.log").read_text(encoding="utf-8")
    secret = log.partition("/genonaut/login#first=")[2].split('"')[0].split()[0]
    page = opened(f"/genonaut/login#first={secret}")
    fill_in(page, "mallory", PASSWORD)
    expect(page.get_by_role("alert")).to_be_visible()

    assert page.context.cookies() == []
    assert "mallory" not in members.root.api("GET", "/admin/users").text


@pytest.mark.parametrize("path", ["/", "/queue", "/no/such/page", "/extensions/comfyui-genonaut/main.js", "/view"])
def test_whoever_opens_an_address_without_a_session_sees_the_login_page(members: Members, path: str) -> None:
    """Browsers that open it, and nobody else: programs are told in JSON."""
    page = members.nobody.ask("GET", path, headers={"Accept": "text/html,*/*", "Sec-Fetch-Mode": "navigate"})
    script = members.nobody.ask("GET", path, headers={"Accept": "*/*", "Sec-Fetch-Mode": "no-cors"})

    assert page.status_code == 401
    assert 'autocomplete="current-password"' in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert script.status_code in {401, 404}
    assert script.json()["error"]["message"]
