"""The panel for who uses a keyboard, a screen reader, or wants no motion."""

from __future__ import annotations

import json
import re
from pathlib import Path

from fakes.sidecar_api import CHECKOUT, ScriptedSidecar, opened
from playwright.sync_api import expect
from web.panel import OpenPanel


def test_the_keyboard_alone_is_enough(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    Tab leads to one card, arrows from card to card, Enter opens, Escape returns.
    """
    sidecar.total = 30
    panel = open_panel()
    expect(panel.cards.first).to_be_visible()

    panel.page.keyboard.press("Tab")
    assert "#30" in panel.focused_label()
    panel.page.keyboard.press("ArrowRight")
    assert "#29" in panel.focused_label()
    panel.page.keyboard.press("ArrowDown")
    assert "#27" in panel.focused_label()
    panel.page.keyboard.press("End")
    assert "#1." in panel.focused_label()
    panel.page.keyboard.press("Home")
    panel.page.keyboard.press("Enter")
    expect(panel.dialog).to_be_visible()
    panel.page.keyboard.press("Escape")

    assert "#30" in panel.focused_label()


def test_the_canvas_gets_no_keys_from_the_panel(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    Delete pressed in the panel must not delete a node.
    """
    sidecar.total = 3
    panel = open_panel()
    panel.cards.first.locator("button.open").focus()

    panel.page.keyboard.press("Delete")
    panel.page.keyboard.press("Enter")
    panel.page.keyboard.press("Escape")

    assert panel.page.evaluate("window.keysThatReachedTheCanvas") == []


def test_cancel_can_be_reached_by_tab(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    After the card comes its button.
    """
    sidecar.put(opened(1))
    panel = open_panel()
    expect(panel.cards.first).to_be_visible()

    panel.page.keyboard.press("Tab")
    panel.page.keyboard.press("Tab")

    assert panel.focused_label() == "Cancel"


def test_the_focus_survives_what_arrives_and_what_scrolls(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    The card with the focus keeps it when a new one pushes it on, and when it is scrolled out of view.
    """
    sidecar.total = 100
    panel = open_panel()
    panel.cards.first.locator("button.open").focus()

    sidecar.add()
    expect(panel.cards.first).to_contain_text("#101")
    assert "#100" in panel.focused_label()
    panel.scroll_to(2_000)
    panel.settle()

    assert "#100" in panel.focused_label()


def test_each_card_says_what_it_is_and_where_it_stands(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    A landmark with a heading, a list of known length, a name that holds state and prompt.
    """
    sidecar.total = 3
    panel = open_panel()

    expect(panel.page.get_by_role("region", name="History")).to_be_visible()
    expect(panel.page.get_by_role("list", name="History")).to_be_visible()
    expect(panel.page.get_by_role("listitem")).to_have_count(3)
    expect(panel.page.get_by_role("button", name=re.compile(r"^Completed\. .*#3\. "))).to_be_visible()
    assert [panel.cards.first.get_attribute(name) for name in ("aria-posinset", "aria-setsize")] == ["1", "3"]


def test_who_wants_no_motion_gets_none(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    `prefers-reduced-motion` switches every animation off.
    """
    sidecar.put(opened(1, state="running"))
    panel = open_panel(reduced_motion="reduce")
    expect(panel.cards.first).to_be_visible()

    assert panel.page.evaluate("document.getAnimations().length") == 0


def test_the_colours_follow_the_theme_of_the_page(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    Text stands out from its ground, in the dark theme and in the light one.
    """
    sidecar.total = 1

    for theme in ("dark", "light"):
        panel = open_panel(query=f"theme={theme}")
        expect(panel.cards.first).to_be_visible()
        assert panel.contrast_of(".name") >= 7
        assert panel.contrast_of(".state") >= 4.5


def test_english_and_german_have_the_same_words() -> None:
    """
    A word added in one language is missed in the other.
    """
    for name in ("main.json", "commands.json"):
        english, german = (words(CHECKOUT / "locales" / language / name) for language in ("en", "de"))

        assert english.keys() == german.keys()
        assert all(english.values())
        assert all(german.values())
        for key, text in english.items():
            assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", german[key])), key


def test_every_word_that_is_said_is_written_down() -> None:
    """
    `say('...')` with a name that no language has would break the panel in front of somebody.
    """
    known = {key.removeprefix("genonaut.") for key in words(CHECKOUT / "locales/en/main.json")}
    known |= {key.rsplit(".", 1)[0] for key in known if key.endswith((".one", ".other"))}
    for file in (CHECKOUT / "web_extension").rglob("*.js"):
        for key in re.findall(r"say\('([\w.]+)'", file.read_text(encoding="utf-8")):
            assert key in known, f"{file.name}: {key}"


def words(file: Path) -> dict[str, str]:
    """The texts of a file of words by their dotted names."""

    def flat(prefix: str, content: object) -> dict[str, str]:
        if not isinstance(content, dict):
            return {prefix: str(content)}
        return {k: v for key, inner in content.items() for k, v in flat(f"{prefix}.{key}", inner).items()}

    whole = json.loads(file.read_text(encoding="utf-8"))
    return {k: v for key, content in whole.items() for k, v in flat(key, content).items()}
