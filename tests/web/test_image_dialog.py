"""One generation in full: the image, its facts, the way to the next."""

from __future__ import annotations

import pytest
from fakes.sidecar_api import ScriptedSidecar, failed, generation, image, opened
from playwright.sync_api import expect
from web.panel import OpenPanel


def test_a_click_opens_the_full_image_with_its_facts(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    Everything that was asked for and that came of it, in one place.
    """
    sidecar.put(generation(7, prompt="a lighthouse in winter", tags=["sea"]))
    panel = open_panel(height=900)

    panel.cards.first.click()

    facts = panel.dialog
    for text in (
        "a lighthouse in winter",
        "blurry, watermark",
        "dreamshaper_8.safetensors",
        "film_grain.safetensors at 0.8",
        "512 × 768 px",
        "euler, normal",
        "PNG · 398 kB",
        "ComfyUI's page",
        "sea",
    ):
        expect(facts).to_contain_text(text)
    expect(panel.dialog.get_by_role("img", name="a lighthouse in winter")).to_be_visible()
    assert f"GET /images/{image(7, 0)['id']}" in sidecar.requests


def test_a_seed_beyond_what_a_number_holds_is_copied_exactly(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    Seeds go up to 2^64 - 1; a rounded one would make another picture.
    """
    sidecar.put(generation(1))
    panel = open_panel(permissions=["clipboard-read", "clipboard-write"])
    panel.cards.first.click()

    panel.dialog.get_by_role("button", name="Copy: Seed").click()

    expect(panel.dialog).to_contain_text("Copied.")
    assert str(2**64 - 1) == panel.page.evaluate("navigator.clipboard.readText()")


def test_arrows_lead_through_all_images_of_all_generations(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    Right goes on to the older, also over the end of what was read; left back to the newer.
    """
    sidecar.total = 60
    sidecar.put(generation(60, title="A series", images=[image(60, position) for position in range(2)]))
    panel = open_panel()
    panel.cards.first.click()
    expect(panel.dialog).to_contain_text("1 of 2")

    panel.page.keyboard.press("ArrowRight")
    expect(panel.dialog).to_contain_text("2 of 2")
    for number in range(59, 0, -1):
        panel.page.keyboard.press("ArrowRight")
        expect(panel.dialog.get_by_role("heading")).to_have_text(f"Generation {number}")

    expect(panel.dialog.get_by_role("button", name="Older picture")).to_be_hidden()

    panel.page.keyboard.press("ArrowLeft")

    expect(panel.dialog.get_by_role("heading")).to_have_text("Generation 2")


def test_escape_closes_and_gives_the_focus_back(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    The focus goes to the card of what was looked at last.
    """
    sidecar.total = 10
    panel = open_panel()
    panel.cards.first.click()
    panel.page.keyboard.press("ArrowRight")
    expect(panel.dialog.get_by_role("heading")).to_have_text("Generation 9")

    panel.page.keyboard.press("Escape")

    expect(panel.dialog).to_have_count(0)
    sidecar.wait_until(lambda: "#9" in panel.focused_label())  # a browser tells of the end a moment after it


def test_it_follows_what_happens_to_the_generation(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    Opened while it waits, it shows the image as soon as there is one.
    """
    sidecar.put(opened(1, place=2))
    panel = open_panel()
    panel.cards.first.click()
    expect(panel.dialog).to_contain_text("Waiting, 2 ahead")

    sidecar.put(generation(1, updated_at="2999-01-01T00:00:00Z"))

    expect(panel.dialog.get_by_role("img")).to_be_visible()
    expect(panel.dialog.get_by_role("link", name="Download")).to_be_visible()


def test_a_failure_is_told_in_full(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    A sentence too long for a card is whole here.
    """
    sentence = "KSampler ran out of memory. " + "Use a smaller size, or a smaller batch. " * 6
    sidecar.put(failed(1, sentence))
    panel = open_panel()

    panel.cards.first.click()

    expect(panel.dialog).to_contain_text(sentence.strip())
    expect(panel.dialog.get_by_role("link", name="Download")).to_have_count(0)


def test_the_workflow_goes_back_onto_the_canvas(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    What came without a drawing is laid out anew, under a name that says where it came from.
    """
    sidecar.total = 1
    panel = open_panel()
    panel.cards.first.click()

    panel.dialog.get_by_role("button", name="Load workflow").click()

    expect(panel.dialog).to_have_count(0)
    assert panel.page.evaluate("window.loaded.name") == "Generation 1"


@pytest.mark.parametrize(
    ("review", "query", "sentence"),
    [
        ("waiting", "", "Under review: an administrator looks at it first."),
        ("hidden", "", "Hidden by an administrator."),
        ("waiting", "locale=de", "In Prüfung: Zuerst sieht es sich die Administration an."),
    ],
)
def test_what_administrators_look_at_first_says_so_and_can_be_repeated(
    open_panel: OpenPanel, sidecar: ScriptedSidecar, review: str, query: str, sentence: str
) -> None:
    """
    Calmly, on the card and in full, also where there is little room; no picture is asked for, and none is broken.
    """
    sidecar.put(generation(1, review=review, images=[]))
    panel = open_panel(width=320, height=640, query=query)
    card = panel.cards.first

    expect(card).to_contain_text(sentence)
    assert card.evaluate("card => card.dataset.tone") == "calm"
    assert card.locator(".instead span").evaluate("span => span.scrollHeight <= span.clientHeight")
    card.click()

    expect(panel.dialog).to_contain_text(sentence)
    expect(panel.dialog.get_by_role("img")).to_have_count(0)
    expect(panel.dialog.get_by_role("link")).to_have_count(0)
    panel.dialog.get_by_role("button", name="Wiederholen" if query else "Repeat").click()
    expect(panel.cards).to_have_count(2)
    assert not any("/images/" in request for request in sidecar.requests)


def test_what_is_released_shows_its_picture_at_once(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    Also in the dialog that is open meanwhile.
    """
    sidecar.put(generation(1, title="A cat", review="waiting", images=[]))
    panel = open_panel()
    panel.cards.first.click()
    expect(panel.dialog).to_contain_text("Under review")

    sidecar.change(1, review="released", images=[image(1, 0)])

    expect(panel.dialog.get_by_role("img", name="A cat")).to_be_visible()
    expect(panel.dialog).to_contain_text("Completed")
