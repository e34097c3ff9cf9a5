"""What can be done with a generation: again, liked, deleted and brought back."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fakes.sidecar_api import Json, ScriptedSidecar, generation, generation_id, opened
from playwright.sync_api import expect
from web.panel import OpenPanel

PATH = f"/generations/{generation_id(3)}"


def test_a_generation_is_repeated_with_another_seed(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    It stands at the top at once; the same again, where the workflow has no seed that can be found.
    """
    sidecar.total = 3
    sidecar.unchangeable = {2}
    panel = open_panel()
    panel.cards.first.click()

    panel.dialog.get_by_role("button", name="Repeat").click()

    expect(panel.dialog).to_contain_text("Queued once more.")
    expect(panel.cards).to_have_count(4)
    assert sidecar.requests.count(f"POST {PATH}/repeat") == 1

    panel.page.keyboard.press("ArrowRight")
    panel.dialog.get_by_role("button", name="Repeat").click()

    expect(panel.cards).to_have_count(5)
    assert sidecar.requests.count(f"POST /generations/{generation_id(2)}/repeat") == 2


def test_a_favourite_is_marked_and_unmarked(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    The star says which it is, to screen readers too.
    """
    sidecar.total = 1
    panel = open_panel()
    panel.cards.first.click()
    star = panel.dialog.get_by_role("button", name="Favourite")
    expect(star).to_have_attribute("aria-pressed", "false")

    star.click()
    expect(star).to_have_attribute("aria-pressed", "true")
    star.click()

    expect(star).to_have_attribute("aria-pressed", "false")


def test_title_and_tags_are_written_anew(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    With the keyboard alone: arrows move in the text and not on to the next picture, Escape leaves everything as it was.
    """
    sidecar.total = 2
    panel = open_panel()
    panel.cards.first.click()
    edit = panel.dialog.get_by_role("button", name="Title and tags")
    edit.focus()
    panel.page.keyboard.press("Enter")
    panel.page.keyboard.type("Lighthouse")
    panel.page.keyboard.press("ArrowLeft")
    panel.page.keyboard.press("Tab")
    panel.page.keyboard.type("blue, sea ,, blue")
    panel.page.keyboard.press("Enter")

    expect(panel.dialog.get_by_role("heading", name="Lighthouse")).to_be_visible()
    expect(panel.dialog.locator(".tag")).to_have_text(["blue", "sea"])
    assert panel.focused_label() == "Title and tags"

    panel.page.keyboard.press("Enter")
    panel.page.keyboard.type("Another")
    panel.page.keyboard.press("Escape")

    expect(panel.dialog.get_by_role("heading", name="Lighthouse")).to_be_visible()
    assert panel.focused_label() == "Title and tags"


def test_what_is_deleted_is_gone_at_once_and_can_be_brought_back(
    open_panel: OpenPanel, sidecar: ScriptedSidecar
) -> None:
    """
    The keyboard stands on Undo, and afterwards on the card that is back in its place.
    """
    sidecar.total = 3
    panel = open_panel()
    panel.card("#2").click()
    panel.dialog.get_by_role("button", name="Delete").click()

    expect(panel.dialog).to_have_count(0)
    expect(panel.cards).to_have_count(2)
    expect(panel.page.get_by_role("status").filter(has_text="Deleted: ")).to_be_visible()
    expect(panel.page.get_by_role("button", name="Undo")).to_be_focused()

    panel.page.keyboard.press("Enter")

    expect(panel.cards).to_have_count(3)
    expect(panel.cards.nth(1)).to_contain_text("#2")
    expect(panel.cards.nth(1)).to_be_focused()
    expect(panel.page.get_by_role("button", name="Undo")).to_have_count(0)


def test_a_refusal_stands_there_until_the_next_thing_is_done(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    What could not be undone is told; when something else succeeds, it is old news.
    """
    sidecar.total = 3
    panel = open_panel()
    panel.card("#2").click()
    panel.dialog.get_by_role("button", name="Delete").click()
    expect(panel.cards).to_have_count(2)
    expect(panel.page.get_by_role("button", name="Undo")).to_be_focused()
    sidecar.remove(2)
    panel.page.keyboard.press("Enter")
    expect(panel.notice).to_contain_text("It is not there any more.")

    panel.card("#1").click()
    panel.dialog.get_by_role("button", name="Favourite").click()

    expect(panel.notice).to_be_hidden()


def refusal(code: str, **facts: Any) -> Json:
    return {"status": 429, "code": code, "detail": "The sidecar's own words.", **facts}


REFUSALS: list[tuple[Json, str, str]] = [
    (
        refusal("limit_reached", limit="generations_per_hour", used=10, allowed=10, group=None, retry_after_s=754),
        r"Your plan allows 10 generations an hour, and no more fits in now\. There is room again (at|on) .*: ",
        r"Dein Plan erlaubt 10 Erzeugungen pro Stunde, und mehr passt gerade nicht hinein\. .* (um|am) .*: ",
    ),
    (
        refusal("limit_reached", limit="gpu_seconds_per_day", used=9, allowed=3600, group="Class 7b"),
        r"Class 7b may use 1 hr of GPU time a day together\. Ask an administrator for another plan\.",
        r"Class 7b darf zusammen 1 Std\. GPU-Zeit pro Tag verbrauchen\. Bitte einen Administrator um einen ",
    ),
    (
        refusal("limit_reached", limit="storage_bytes", used=21 * 1024**3, allowed=20 * 1024**3, group=None),
        r"Your pictures take 21 GB of the 20 GB that you may use\. Delete what you do not need",
        r"Deine Bilder brauchen 21.GB von 20.GB\. Lösche, was du nicht brauchst",
    ),
    (
        refusal("waiting_room_full", limit="waiting_at_most", used=5, allowed=5),
        r"Your plan lets 5 generations wait, and so many do\. Submit it again when one of them has begun\.",
        r"Nach deinem Plan dürfen 5 Erzeugungen warten, und so viele warten\. Reiche es noch einmal ein",
    ),
    (
        refusal("waiting_room_full", limit=None, used=100_000, allowed=100_000),
        r"As many generations wait here as can\. Submit it again later\.",
        r"Hier warten so viele Erzeugungen wie möglich\. Reiche es später noch einmal ein\.",
    ),
    (
        refusal("content_refused"),
        r"A text in it goes against the rules of this place\. Load the workflow, change the text",
        r"Ein Text darin verstößt gegen die Regeln hier\. Lade den Workflow, ändere den Text",
    ),
    (refusal("graph_refused"), "The sidecar's own words.", "The sidecar's own words."),
]


@pytest.mark.parametrize("locale", ["en", "de"])
def test_a_refusal_says_in_the_readers_language_what_to_do(
    open_panel: OpenPanel, sidecar: ScriptedSidecar, locale: str
) -> None:
    """
    Each kind that a submission meets; of what was named in the sidecar's own words, those, which are English.
    """
    sidecar.total = 1
    panel = open_panel(query=f"locale={locale}")
    panel.cards.first.click()
    repeat = panel.dialog.get_by_role("button", name=re.compile("Repeat|Wiederholen"))

    for sidecar.refusal, english, german in REFUSALS:
        repeat.click()

        said = panel.dialog.locator(".said")
        expect(said).to_have_text(re.compile(german if locale == "de" else english))
        expect(said).to_have_attribute("lang", "en" if "own words" in german else locale)


def test_what_somebody_deletes_elsewhere_goes_here_too(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    Also far down, where its page was read long ago; and what comes out of the trash elsewhere comes back.
    """
    sidecar.total = 120
    panel = open_panel()
    panel.scroll_to_the_end()
    expect(panel.card("#5")).to_have_count(1)

    sidecar.change(5, trashed_at="2026-01-01T00:00:00Z")
    expect(panel.card("#5 ")).to_have_count(0)
    sidecar.change(119, trashed_at="2026-01-01T00:00:00Z")
    panel.scroll_to(0)

    expect(panel.card("#120")).to_be_visible()
    expect(panel.card("#119")).to_have_count(0)


def test_what_has_not_ended_can_be_cancelled_and_not_deleted(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    One step at a time.
    """
    sidecar.put(opened(1))
    panel = open_panel()
    panel.cards.first.click()

    expect(panel.dialog.get_by_role("button", name="Cancel")).to_be_visible()
    expect(panel.dialog.get_by_role("button", name="Delete")).to_be_hidden()


def test_a_refusal_is_told_where_it_was_asked(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    In a sentence, in the dialog.
    """
    sidecar.put(generation(1))
    panel = open_panel()
    panel.cards.first.click()
    sidecar.remove(1)

    panel.dialog.get_by_role("button", name="Delete").click()

    expect(panel.dialog).to_contain_text("It is not there any more.")


def test_the_buttons_fit_into_a_narrow_window(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    In German, at 320 px: nothing is cut off, nothing scrolls sideways.
    """
    sidecar.total = 2
    panel = open_panel(width=320, height=640, query="locale=de")
    panel.cards.first.click()

    for name in ("Wiederholen", "Löschen", "Favorit", "Herunterladen"):
        box = panel.dialog.locator(f"[aria-label='{name}'], footer > *:has-text('{name}')").first.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 320
