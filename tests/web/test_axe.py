"""Nothing in the panels keeps anybody out, as far as axe sees it: in the dark theme and in the light one."""

from __future__ import annotations

import pytest
from fakes.quota_api import limit
from fakes.sidecar_api import ScriptedSidecar, failed, generation, image, opened, progress
from playwright.sync_api import expect
from web.axe import faint_texts, violations
from web.panel import OpenPanel, Panel


@pytest.fixture(autouse=True)
def somebody(sidecar: ScriptedSidecar) -> None:
    """With all that a panel can show: what waits, runs, has failed and is under review; an account; limits used up."""
    sidecar.account.access = "accounts"
    for number in range(1, 15):
        sidecar.put(opened(number, place=number - 1))
    sidecar.put(failed(15, "KSampler ran out of memory. Use a smaller size."))
    sidecar.put(generation(16, review="waiting", images=[]))
    sidecar.put(opened(17, state="running", progress=progress(0.4)))
    sidecar.put(generation(18, images=[image(18, 0), image(18, 1)], tags=["sea"]))
    sidecar.quota.generations_of_days = [1200, 0, 3, 4, 9999, 6, 7]
    sidecar.quota.limits = [
        limit("generations_per_hour", 7, 10, refills_in_s=1900),
        limit("generations_per_day", 41, 50, refills_in_s=40_000),
        limit("generations_per_day", 500, 500, group="Class 7b", free_in_s=90, refills_in_s=80_000),
        limit("steps_at_most", None, 100),
    ]


def test_the_history_its_image_dialog_and_the_account(open_panel: OpenPanel) -> None:
    """
    Each as it stands open over the one before.
    """
    panel = open_panel()
    expect(panel.card("#17")).to_contain_text("Running, 40%")

    assert in_both_themes(panel, "genonaut-history") == []

    panel.card("#18").click()
    expect(panel.dialog).to_be_visible()
    panel.dialog.get_by_role("button", name="Title and tags").click()

    assert in_both_themes(panel, "genonaut-image-dialog") == []

    panel.page.keyboard.press("Escape")
    panel.page.keyboard.press("Escape")
    panel.page.get_by_role("button", name="Account: Ada Lovelace").click()
    for summary in panel.dialog.locator("summary").all():
        summary.click()

    assert in_both_themes(panel, "genonaut-account") == []


def test_the_limits(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    With what is used up, what waits, and the notice that the sidecar is away.
    """
    panel = open_panel(query="tab=genonaut-quota")
    expect(panel.page.locator("genonaut-quota ol li")).to_have_count(12)
    sidecar.go_away()
    expect(panel.notice).to_be_visible()

    assert in_both_themes(panel, "genonaut-quota") == []


def test_the_dialog_that_says_that_the_session_is_over(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    Over the history, which says so, too.
    """
    panel = open_panel()
    expect(panel.cards.first).to_be_visible()
    sidecar.account.logged_in = False
    panel.page.evaluate("window.api.dispatchEvent(new Event('reconnecting'))")
    expect(panel.dialog).to_be_visible()

    assert in_both_themes(panel, "genonaut-logged-out") == []


def in_both_themes(panel: Panel, part: str) -> list[str]:
    found = violations(panel.page.locator(part))
    panel.page.evaluate("document.documentElement.className = 'light'")
    found += faint_texts(panel.page.locator(part))
    panel.page.evaluate("document.documentElement.className = 'dark'")
    return found
