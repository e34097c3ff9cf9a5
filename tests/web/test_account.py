"""Who is logged in, and what they do with their account."""

from __future__ import annotations

from fakes.account_api import session
from fakes.sidecar_api import ScriptedSidecar
from playwright.sync_api import Locator, expect
from web.panel import OpenPanel, Panel


def account_of(panel: Panel) -> Locator:
    panel.page.get_by_role("button", name="Account: Ada Lovelace").click()
    return panel.page.get_by_role("dialog")


def test_in_open_access_there_is_no_account_to_see(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    One person, one history, no questions.
    """
    sidecar.total = 1
    panel = open_panel()
    expect(panel.cards).to_have_count(1)

    expect(panel.page.locator("genonaut-account")).to_be_hidden()


def test_a_token_is_made_shown_once_and_revoked(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    Its secret can be copied as long as the dialog is open, and is gone the next time.
    """
    sidecar.account.access = "accounts"
    panel = open_panel()
    dialog = account_of(panel)
    dialog.locator("summary", has_text="Make a token").click()
    dialog.get_by_label("What it is for").fill("Krita")
    dialog.get_by_role("button", name="Make a token").click()

    expect(dialog.get_by_label("The token")).to_have_value("gno_a-secret-that-is-told-once")
    assert panel.focused_label() == "The token"
    assert sidecar.account.tokens[0]["scopes"] == ["read", "submit"]
    assert sidecar.account.tokens[0]["expires_at"]

    panel.page.keyboard.press("Escape")
    dialog = account_of(panel)
    expect(dialog.get_by_role("listitem").filter(has_text="Krita")).to_contain_text("look, generate · until ")
    expect(dialog.get_by_label("The token")).to_be_hidden()
    dialog.get_by_role("button", name="Revoke Krita").click()

    expect(dialog.get_by_text("Krita")).to_have_count(0)
    assert sidecar.account.tokens == []


def test_a_password_is_changed_by_whoever_knows_it(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    A wrong one is said in words; afterwards everybody else who used the account is out.
    """
    sidecar.account.access = "accounts"
    sidecar.account.sessions.append(session(2))
    dialog = account_of(open_panel())
    expect(dialog.get_by_text("Firefox, Windows")).to_have_count(2)
    dialog.locator("summary", has_text="Change password").click()
    dialog.get_by_label("Current password").fill("a wrong one")
    dialog.get_by_label("New password").fill("fifteen or more characters")
    dialog.get_by_role("button", name="Change password").click()
    expect(dialog.get_by_role("status")).to_have_text("The password is not right.")

    dialog.get_by_label("Current password").fill(sidecar.account.password)
    dialog.get_by_role("button", name="Change password").click()

    expect(dialog.get_by_role("status")).to_contain_text("The new password holds")
    expect(dialog.get_by_text("Firefox, Windows")).to_have_count(1)
    assert sidecar.account.password == "fifteen or more characters"


def test_another_browser_is_logged_out(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    One by one, or all but this one. Only the button that logs out here is called so, also for ears.
    """
    sidecar.account.access = "accounts"
    sidecar.account.sessions += [session(2), session(3), session(4)]
    dialog = account_of(open_panel())
    expect(dialog.get_by_role("listitem").filter(has_text="This browser").get_by_role("button")).to_have_count(0)

    dialog.get_by_role("button", name="End the session in Firefox, Windows, 192.0.2.3").click()
    expect(dialog.get_by_text("192.0.2.3")).to_have_count(0)
    dialog.get_by_role("button", name="End all others").click()

    expect(dialog.get_by_role("button", name="End all others")).to_be_hidden()
    assert [each["is_current"] for each in sidecar.account.sessions] == [True]


def test_logging_out_leads_to_the_page_to_log_in_on(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    The page is loaded anew, and what stands in its place then says so; so does a panel whose session ended elsewhere.
    """
    sidecar.account.access = "accounts"
    panel = open_panel()
    dialog = account_of(panel)
    with panel.page.expect_navigation():
        dialog.get_by_role("button", name="Log out").click()

    expect(panel.notice).to_contain_text("You are logged out.")
    with panel.page.expect_navigation():
        panel.notice.get_by_role("button", name="Log in").click()


def test_behind_a_proxy_that_logs_people_in_there_are_only_tokens(
    open_panel: OpenPanel, sidecar: ScriptedSidecar
) -> None:
    """
    And a guest has none of these either.
    """
    sidecar.account.access = "proxy"
    panel = open_panel()
    dialog = account_of(panel)

    expect(dialog.get_by_role("heading", level=3)).to_have_text(["Tokens for programs"])
    expect(dialog.get_by_role("button", name="Log out")).to_be_hidden()

    sidecar.account.role = "guest"
    panel.page.reload()
    dialog = account_of(panel)

    expect(dialog).to_contain_text("Guest")
    expect(dialog.get_by_role("heading", level=3)).to_have_count(0)
