"""The panel in ComfyUI's own page, on its own frontend and on the newest: every process is real, the browser too."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from acceptance.installation import Installation, found_comfyui, until
from acceptance.workflows import Workflow, checkpoint_picture, quick_picture, slow_picture
from playwright.sync_api import Browser, Page, expect
from real.frontend import fetch_newer_frontend
from real.models import CHECKPOINT
from web.chromium import chromium
from web.panel import Panel

PAGE_IS_THERE_WITHIN_MS = 120_000
COMES_WITHIN_MS = 60_000
POSITIVE_NODE = "3"
SIDEBAR_PX = 764  # four cards beside each other
A_DAYS_WORK = [
    ("", "terraced fields in morning fog, aerial view", (136, 88)),
    ("Cover, second draft", "a paper boat on a stormy sea, ink and wash", (136, 176)),
    ("", "an old clockmaker at work, dramatic light", (88, 136)),
    ("", "harbour at dawn, oil on canvas", (176, 104)),
    ("Postcard", "a village under northern lights", (136, 88)),
    ("", "cathedral made of glass, morning haze", (104, 176)),
    ("", "isometric greenhouse full of ferns", (136, 136)),
    ("", "a heron among reeds, woodcut", (88, 136)),
    ("Album sleeve", "desert road after rain, seen from a train", (136, 136)),
    ("", "a cat asleep on warm books", (112, 88)),
    ("", "copper kettle, still life, north window", (136, 136)),
    ("Poster, blue", "whales below a thin sheet of ice", (112, 168)),
]
"""Titles, prompts, and widths and heights."""

LIMIT_REACHED = re.compile(
    r"Your plan allows 1 generation an hour, and \d+ (is|are) used\. The next one is free in \d+"
)

PICTURE = os.environ.get("GENONAUT_PICTURE")
SHOWN_PERCENT = "[3-9][0-9]" if PICTURE else "[0-9]+"  # a bar that has begun to fill is the better picture

SAYS_WHAT_TO_DO = re.compile(r"Your plan allows .* used\. The next one is free in \d+ \w+; submit it again then")

NO_DAYS_WORK = 4
"""Enough to look at each kind of card."""

numbers = count(1)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module", params=["its own frontend", "frontend 1.58.1"])
def shown(
    request: pytest.FixtureRequest, genonaut: Installation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """What serves the page."""
    if request.param == "its own frontend":
        yield genonaut
        return
    arguments = ["--front-end-root", str(fetch_newer_frontend(found_comfyui()))]
    base = tmp_path_factory.mktemp("newest_frontend")
    with Installation(base, pack_starts_sidecar=True, arguments=arguments) as newest:
        newest.start_comfyui()
        newest.wait_for_sidecar()
        newest.wait_until_connected()
        yield newest


@pytest.fixture(scope="module")
def opened(browser: Browser, shown: Installation) -> Iterator[Panel]:
    """ComfyUI's page with the History tab open: once, since it costs seconds."""
    context = browser.new_context(viewport={"width": 1400, "height": 850})
    panel = Panel(context.new_page())
    # Else ComfyUI lays its dialog of templates over the page, as it does for each newcomer.
    shown.http.post(f"{shown.url}/settings/Comfy.TutorialCompleted", json=True).raise_for_status()
    panel.page.goto(shown.url)
    panel.page.get_by_role("button", name="History (Genonaut)").click(timeout=PAGE_IS_THERE_WITHIN_MS)
    expect(panel.host).to_be_visible()
    yield panel
    context.close()


@pytest.fixture
def panel(opened: Panel) -> Iterator[Panel]:
    """As it was before, whatever a test has opened in it."""
    yield opened
    if opened.page.locator("dialog[open]").count():
        opened.page.keyboard.press("Escape")


def test_what_ran_is_there_with_its_picture(panel: Panel, shown: Installation) -> None:
    """
    A recorded generation stands in the tab with its thumbnail, and a click shows the full image with its facts.
    """
    workflow, prompt = named(checkpoint_picture())
    generation = shown.wait_until_kept(shown.submit(workflow))

    card = panel.cards.first
    expect(card).to_contain_text(prompt, timeout=COMES_WITHIN_MS)
    expect(card.locator("img.there")).to_be_visible(timeout=COMES_WITHIN_MS)

    card.click()

    full = panel.page.locator("dialog img.there")
    expect(full).to_be_visible(timeout=COMES_WITHIN_MS)
    assert full.evaluate("(img) => img.naturalWidth") == generation["images"][0]["width"]
    expect(panel.page.locator("dialog[open]")).to_contain_text(generation["checkpoint"])
    expect(panel.page.locator("dialog[open]")).to_contain_text(str(generation["sampler"]["seed"]))


def test_what_runs_shows_its_progress_and_can_be_cancelled(panel: Panel, shown: Installation) -> None:
    """
    It appears by itself, moves, and stops when its button is pressed.
    """
    workflow, prompt = named(slow_picture())
    generation_id = shown.submit(workflow)
    card = panel.card(prompt)
    bar = card.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", re.compile(r"\d+"), timeout=COMES_WITHIN_MS)

    card.get_by_role("button", name="Cancel", exact=True).click()

    expect(card).to_contain_text("Cancelled", timeout=COMES_WITHIN_MS)
    assert shown.wait_for_state(generation_id, "cancelled")["error"] is None


def test_from_the_run_button_to_the_picture(panel: Panel, shown: Installation) -> None:
    """
    Somebody presses Run in ComfyUI's page, and its picture appears in the panel beside it.
    """
    before = {generation["id"] for generation in shown.history()}
    panel.page.evaluate("(workflow) => window.app.loadApiJson(workflow, 'By hand')", quick_picture())

    panel.page.get_by_role("button", name="Run", exact=True).first.click()

    until(lambda: len(shown.history()) > len(before), what="The prompt has reached the sidecar")
    new = [generation for generation in shown.wait_until_nothing_is_open() if generation["id"] not in before]
    assert [(generation["state"], generation["source"]) for generation in new] == [("completed", "page")]
    newest = panel.card(f"Generation {new[0]['number']}")
    expect(newest.locator("img.there")).to_be_visible(timeout=COMES_WITHIN_MS)


def test_a_limit_that_is_reached_is_told_where_comfyui_tells_errors(
    panel: Panel, shown: Installation, tmp_path: Path
) -> None:
    """
    Somebody presses Run, and reads which limit it is, how much of it is used and when to come again.
    """
    shown.wait_for_state(shown.submit(quick_picture()), "completed")
    panel.page.evaluate("(workflow) => window.app.loadApiJson(workflow, 'By hand')", quick_picture())
    set_limits(shown, generations_per_hour=1, over_limit="reject")
    try:
        panel.page.get_by_role("button", name="Run", exact=True).first.click()

        told = panel.page.get_by_text(LIMIT_REACHED).first
        expect(told).to_be_visible(timeout=COMES_WITHIN_MS)
        panel.page.screenshot(path=tmp_path / "limit-reached.png")
    finally:
        set_limits(shown, generations_per_hour=None, over_limit="wait")
    panel.page.keyboard.press("Escape")  # a dialog in the one, a notice in the other
    for close in panel.page.get_by_role("status").get_by_role("button", name="Close").all():
        close.click()
    expect(told).to_be_hidden(timeout=COMES_WITHIN_MS)


def set_limits(shown: Installation, **limits: object) -> None:
    """Of the plan that everybody has in open access."""
    shown.http.patch(f"{shown.api}/admin/plans/unlimited", json={"limits": limits}).raise_for_status()


@pytest.mark.parametrize("shown", ["its own frontend"], indirect=True)
def test_a_days_work_is_seen_at_a_glance(panel: Panel, shown: Installation, tmp_path: Path) -> None:
    """
    Pictures in their own shapes under their titles or prompts; above them what runs and what waits for its turn.

    The picture in the README is this one: GENONAUT_PICTURE=sidecar/docs/history-panel.png makes it anew.
    """
    work = A_DAYS_WORK if PICTURE else A_DAYS_WORK[:NO_DAYS_WORK]
    for title, prompt, shape in work:
        submit_parameters(shown, title=title, prompt=prompt, shape=shape)
    shown.wait_until_nothing_is_open()
    running = submit_parameters(shown, prompt="a lighthouse at dusk, long exposure", steps=200)
    waiting = [submit_parameters(shown, prompt=prompt) for prompt in ("rain over a tin roof", "a fox in fresh snow")]
    widen_the_sidebar(panel)
    if PICTURE:
        tidy_the_page(panel.page)

    card = panel.card("a lighthouse at dusk")
    expect(card).to_contain_text(re.compile(f"Running, {SHOWN_PERCENT}%"), timeout=COMES_WITHIN_MS)
    expect(panel.card("a fox in fresh snow")).to_contain_text("Next")
    for title, prompt, _ in work:
        expect(panel.card(title or prompt).locator("img.there")).to_be_visible(timeout=COMES_WITHIN_MS)
    panel.settle()
    panel.page.screenshot(path=PICTURE or tmp_path / "history-panel.png")

    for generation_id in (*waiting, running):
        shown.http.post(f"{shown.api}/generations/{generation_id}/cancel").raise_for_status()
    shown.wait_until_nothing_is_open()


def test_a_limit_that_is_reached_is_told_by_comfyui_itself(panel: Panel, shown: Installation) -> None:
    """
    Run over a limit shows in ComfyUI's own display which limit it is and when there is room, and its tab has a sign.
    """
    shown.wait_until_kept(shown.submit(quick_picture()))
    overrides = f"{shown.api}/admin/users/{shown.http.get(f'{shown.api}/me').json()['id']}/overrides"
    limits = {"generations_per_hour": 1, "over_limit": "reject"}
    shown.http.post(overrides, json={"limits": limits}).raise_for_status()
    try:
        panel.page.evaluate("(workflow) => window.app.loadApiJson(workflow, 'One too many')", quick_picture())
        panel.page.get_by_role("button", name="Limits (Genonaut), 100% used").click(timeout=COMES_WITHIN_MS)
        used_up = panel.page.get_by_role("meter", name="Generations in an hour")
        expect(used_up).to_have_attribute("aria-valuetext", re.compile("; the next one is free "))

        panel.page.get_by_role("button", name="Run", exact=True).first.click()

        told = panel.page.get_by_text(SAYS_WHAT_TO_DO).last
        expect(told).to_be_visible(timeout=COMES_WITHIN_MS)
    finally:
        shown.http.delete(overrides).raise_for_status()


def submit_parameters(
    shown: Installation, *, prompt: str, title: str = "", shape: tuple[int, int] = (128, 128), steps: int = 1
) -> str:
    parameters = {
        "prompt": prompt,
        "negative_prompt": "blurry, watermark",
        "checkpoint": CHECKPOINT,
        "width": shape[0],
        "height": shape[1],
        "steps": steps,
    }
    answer = shown.http.post(f"{shown.api}/generations", json={"parameters": parameters, "title": title})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def widen_the_sidebar(panel: Panel) -> None:
    page = panel.page
    box = panel.host.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] + 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + SIDEBAR_PX, middle, steps=5)
    page.mouse.up()


def tidy_the_page(page: Page) -> None:
    """As somebody does who has settled in: the news are read, the map is away, and the graph is beside the sidebar."""
    page.get_by_role("button", name="Try it out").locator("xpath=following::button[1]").click()
    page.get_by_role("button", name="Hide Minimap").click()
    page.get_by_role("button", name="Fit View").click()
    # It fits the graph into the whole window: the sidebar covers half of it.
    page.mouse.move(1100, 600)
    page.mouse.down()
    page.mouse.move(1300, 700, steps=10)
    page.mouse.up()


def named(workflow: Workflow) -> tuple[Workflow, str]:
    """With a prompt that no other one has, by which its card is found."""
    prompt = f"a lighthouse at dawn, take {next(numbers)}"
    workflow[POSITIVE_NODE]["inputs"]["text"] = prompt
    return workflow, prompt
