"""What ComfyUI's page says when the session ends while it is open, whether our panel is open or not."""

from __future__ import annotations

import re

import pytest
from fakes.sidecar_api import ScriptedSidecar
from playwright.sync_api import expect
from web.panel import OpenPanel, Panel


def tell(panel: Panel, event: str) -> None:
    """As ComfyUI tells its page of its websocket."""
    panel.page.evaluate("(event) => window.api.dispatchEvent(new Event(event))", event)


@pytest.fixture
def panel(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> Panel:
    """It knows whose page it is."""
    sidecar.account.access = "accounts"
    panel = open_panel(query="locale=de")
    sidecar.wait_until(lambda: any(request.endswith("/me") for request in sidecar.requests))
    return panel


def test_who_is_logged_out_logs_in_beside_the_page_which_goes_on(panel: Panel, sidecar: ScriptedSidecar) -> None:
    """
    The page keeps what was not saved. The other one, where one logs in, closes when it is not needed any more.
    """
    panel.page.evaluate("window.unsaved = true")
    sidecar.account.logged_in = False
    tell(panel, "reconnecting")
    dialog = panel.page.get_by_role("dialog", name="Du bist abgemeldet")
    expect(dialog).to_have_accessible_description(re.compile("^Deine Sitzung ist zu Ende, darum kann sich ComfyUI "))
    assert panel.focused_label() == "Anmelden"
    with panel.page.expect_popup() as beside:
        panel.page.keyboard.press("Enter")
    sidecar.account.logged_in = True
    with beside.value.expect_event("close"):
        tell(panel, "reconnected")

    expect(dialog).to_be_hidden()
    assert panel.page.evaluate("window.unsaved")


def test_a_connection_that_is_only_lost_says_nothing(panel: Panel, sidecar: ScriptedSidecar) -> None:
    """
    ComfyUI says that itself.
    """
    with panel.page.expect_response("**/me"):
        tell(panel, "reconnecting")
    tell(panel, "reconnected")

    expect(panel.page.get_by_role("dialog", name="Du bist abgemeldet")).to_be_hidden()


def test_who_logs_in_as_somebody_else_does_not_see_the_page_of_whoever_was_there(
    panel: Panel, sidecar: ScriptedSidecar
) -> None:
    """
    Everything on it is another person's.
    """
    sidecar.account.logged_in = False
    tell(panel, "reconnecting")
    expect(panel.page.get_by_role("dialog", name="Du bist abgemeldet")).to_be_visible()
    sidecar.account.logged_in, sidecar.account.id = True, "1"

    with panel.page.expect_navigation():
        tell(panel, "reconnected")
