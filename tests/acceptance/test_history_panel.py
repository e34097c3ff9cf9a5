"""The panel in ComfyUI's own page, on its own frontend and on the newest: every process is real, the browser too."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from acceptance.installation import CHECKOUT, Installation, found_comfyui, until
from acceptance.workflows import checkpoint_picture, quick_picture, slow_picture
from playwright.sync_api import Browser, expect
from real.frontend import fetch_newer_frontend
from real.processes import start_comfyui
from web.chromium import chromium
from web.panel import Panel

PAGE_IS_THERE_WITHIN_MS = 30_000
COMES_WITHIN_MS = 30_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module", params=["its own frontend", "frontend 1.58.1"])
def page_url(
    request: pytest.FixtureRequest, genonaut: Installation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Where the page is served: by the ComfyUI itself, or by one beside it that has the newest frontend."""
    if request.param == "its own frontend":
        yield genonaut.url
        return
    program = found_comfyui()
    newest = start_comfyui(
        program,
        base=tmp_path_factory.mktemp("newest frontend"),
        pack=CHECKOUT,
        arguments=["--front-end-root", str(fetch_newer_frontend(program))],
        environment={
            "GENONAUT_DATA": str(genonaut.data),
            "GENONAUT_SIDECAR_URL": genonaut.sidecar_url,
            "GENONAUT_SIDECAR_START": "no",
        },
    )
    with newest:
        yield newest.url


@pytest.fixture
def panel(browser: Browser, page_url: str) -> Iterator[Panel]:
    """ComfyUI's page with the History tab open."""
    context = browser.new_context(viewport={"width": 1400, "height": 850})
    panel = Panel(context.new_page())
    # Else ComfyUI lays its dialog of templates over the page, as it does for each newcomer.
    httpx.post(f"{page_url}/settings/Comfy.TutorialCompleted", json=True).raise_for_status()
    panel.page.goto(page_url)
    panel.page.get_by_role("button", name="History (Genonaut)").click(timeout=PAGE_IS_THERE_WITHIN_MS)
    expect(panel.host).to_be_visible()
    yield panel
    context.close()


def test_what_ran_is_there_with_its_picture(panel: Panel, genonaut: Installation) -> None:
    """
    A recorded generation stands in the tab with its thumbnail, and a click shows the full image with its facts.
    """
    generation_id = genonaut.submit(checkpoint_picture())
    generation = genonaut.wait_until_kept(generation_id)

    card = panel.cards.first
    expect(card).to_contain_text(generation["prompt"], timeout=COMES_WITHIN_MS)
    expect(card.locator("img.there")).to_be_visible(timeout=COMES_WITHIN_MS)

    card.click()

    full = panel.page.locator("dialog img.there")
    expect(full).to_be_visible(timeout=COMES_WITHIN_MS)
    assert full.evaluate("(img) => img.naturalWidth") == generation["images"][0]["width"]
    expect(panel.page.locator("dialog[open]")).to_contain_text(generation["checkpoint"])
    expect(panel.page.locator("dialog[open]")).to_contain_text(str(generation["sampler"]["seed"]))


def test_what_runs_shows_its_progress_and_can_be_cancelled(panel: Panel, genonaut: Installation) -> None:
    """
    It appears by itself, moves, and stops when its button is pressed.
    """
    generation_id = genonaut.submit(slow_picture())
    bar = panel.cards.first.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", re.compile(r"\d+"), timeout=COMES_WITHIN_MS)

    panel.cards.first.get_by_role("button", name="Cancel", exact=True).click()

    expect(panel.cards.first).to_contain_text("Cancelled", timeout=COMES_WITHIN_MS)
    assert genonaut.wait_for_state(generation_id, "cancelled")["error"] is None


def test_from_the_run_button_to_the_picture(panel: Panel, genonaut: Installation) -> None:
    """
    Somebody presses Run in ComfyUI's page, and its picture appears in the panel beside it.
    """
    before = {generation["id"] for generation in genonaut.history()}
    panel.page.evaluate("(workflow) => window.app.loadApiJson(workflow, 'By hand')", quick_picture())

    panel.page.get_by_role("button", name="Run", exact=True).first.click()

    until(lambda: len(genonaut.history()) > len(before), what="The prompt has reached the sidecar")
    new = [generation for generation in genonaut.wait_until_nothing_is_open() if generation["id"] not in before]
    assert [(generation["state"], generation["source"]) for generation in new] == [("completed", "page")]
    newest = panel.cards.first
    expect(newest).to_contain_text(f"Generation {new[0]['number']}")
    expect(newest.locator("img.there")).to_be_visible(timeout=COMES_WITHIN_MS)
