"""The panel of limits: what is used and when there is room again, what waits, and what was made."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import pytest
from fakes.quota_api import in_seconds, limit, warning
from fakes.sidecar_api import Json, ScriptedSidecar, opened, reason, waiting
from playwright.sync_api import expect
from web.panel import OpenPanel
from web.quota_panel import OpenQuota, QuotaPanel

CLOCK = r"\d\d?:\d\d\s[AP]M"
TIME = rf"(\w+day\s)?{CLOCK}"
HELD_BY_THE_HOUR = "Your plan allows 10 generations an hour. There is no room for it yet."
THEMES = ("dark", "light", "nord", "solarized")
"""Of ComfyUI's own palettes."""


@pytest.fixture
def open_quota(open_panel: OpenPanel) -> OpenQuota:
    def open_it(*, width: int = 350, height: int = 900, query: str = "", **context: object) -> QuotaPanel:
        return QuotaPanel(open_panel(width=width, height=height, query=f"tab=genonaut-quota&{query}", **context))

    return open_it


def of_every_kind() -> list[Json]:
    return [
        limit("generations_per_hour", 7, 10, free_in_s=None, refills_in_s=1900),
        limit("generations_per_day", 41, 50, refills_in_s=40_000),
        limit("gpu_seconds_per_day", 3600, 3600, free_in_s=754, refills_in_s=50_000),
        limit("storage_bytes", 2.1 * 1024**3, 20 * 1024**3),
        limit("running_at_once", 1, 2),
        limit("waiting_at_most", 3, 200),
        limit("generations_per_day", 500, 500, group="Class 7b", free_in_s=90, refills_in_s=80_000),
        limit("pixels_at_most", None, 4 * 1024**2),
        limit("steps_at_most", None, 100),
    ]


def test_each_limit_says_how_much_is_used_and_when_there_is_room(
    open_quota: OpenQuota, sidecar: ScriptedSidecar
) -> None:
    """
    A meter whose words can be read out alone; budgets of groups stand apart; what holds for each generation has none.
    """
    sidecar.quota.limits = [
        limit("generations_per_hour", 10, 10, free_in_s=754, refills_in_s=3000),
        limit("generations_per_day", 500, 500, group="Class 7b", free_in_s=90, refills_in_s=80_000),
        limit("steps_at_most", None, 100),
    ]
    panel = open_quota()

    mine = panel.page.get_by_role("list", name="Yours").get_by_role("meter", name="Generations in an hour")
    expect(mine).to_have_attribute(
        "aria-valuetext",
        re.compile(rf"^10 of 10 generations in the last hour; the next one is free (at|on) .*{CLOCK}$"),
    )
    expect(panel.host).to_contain_text(re.compile(rf"The next one is free .*{CLOCK}, in 13 min"))
    expect(panel.page.get_by_role("list", name="Shared by Class 7b").get_by_role("meter")).to_have_count(1)
    expect(panel.meters).to_have_count(2)
    expect(panel.host).to_contain_text("Stepsat most 100")


def test_who_has_no_limits_reads_so_in_one_sentence(open_quota: OpenQuota, sidecar: ScriptedSidecar) -> None:
    """
    No meter that is empty, no badge, nothing that waits.
    """
    panel = open_quota()

    expect(panel.page.get_by_text("Nothing limits how much you make here.")).to_be_visible()
    expect(panel.page.get_by_text("Nothing of yours waits.")).to_be_visible()
    expect(panel.page.get_by_text("Nothing was made in the last 7 days.")).to_be_visible()
    expect(panel.meters).to_have_count(0)
    assert panel.badge() == ""


def test_what_is_told_is_shown_at_once_and_on_the_tabs_icon(open_quota: OpenQuota, sidecar: ScriptedSidecar) -> None:
    """
    The badge stands there from 80 percent on and goes again; what is only there at once, such as what waits, has none.
    """
    sidecar.account.access = "accounts"
    sidecar.quota.limits = [limit("generations_per_hour", 7, 10), limit("waiting_at_most", 10, 10)]
    panel = open_quota()
    expect(panel.host).to_contain_text("7 of 10")
    assert panel.badge() == ""
    sidecar.wait_until(lambda: sidecar.open_streams == 1)

    sidecar.limit(limit("generations_per_hour", 8, 10))

    expect(panel.host).to_contain_text("8 of 10")
    expect(panel.host).to_contain_text("Nearly used up")
    assert panel.badge() == "!"
    assert panel.tooltip() == "Limits (Genonaut), 80% used"

    sidecar.limit(limit("generations_per_hour", 10, 10))

    expect(panel.host).to_contain_text("10 of 10")
    assert panel.badge() == "!!"

    sidecar.limit(limit("generations_per_hour", 2, 10))

    expect(panel.host).to_contain_text("2 of 10")
    assert (panel.badge(), panel.tooltip()) == ("", "Limits (Genonaut)")


def test_each_warning_is_a_toast_once(open_quota: OpenQuota, sidecar: ScriptedSidecar) -> None:
    """
    Told twice, it is shown once; again only after it was below. In open access one that is not true here is not shown:
    the stream tells what is the owner's.
    """
    nearly, used_up = limit("generations_per_hour", 8, 10), limit("generations_per_hour", 10, 10, free_in_s=754)
    panel = open_quota()
    expect(panel.page.get_by_text("Nothing limits")).to_be_visible()
    sidecar.wait_until(lambda: sidecar.open_streams == 1)
    sidecar.publish("quota_warning", warning(limit("storage_bytes", 9, 9), 100))

    sidecar.limit(nearly)
    sidecar.publish("quota_warning", warning(nearly, 80))
    sidecar.publish("quota_warning", warning(nearly, 80))
    panel.page.wait_for_function("window.toasts.length > 0")
    sidecar.limit(used_up)
    sidecar.publish("quota_warning", warning(used_up, 100))
    panel.page.wait_for_function("window.toasts.length > 1")

    first, second = panel.toasts()
    assert first["summary"] == "A limit is nearly used up"
    assert first["detail"] == "8 of 10 generations in the last hour. What goes beyond waits until there is room."
    assert second["summary"] == "A limit is used up"
    told = rf"10 of 10 .*; the next one is free .*{CLOCK}\. What you submit now waits until then\.$"
    assert re.search(told, second["detail"])


def test_a_warning_says_what_to_do_where_nothing_waits(open_quota: OpenQuota, sidecar: ScriptedSidecar) -> None:
    """
    Come again then, make room, or ask somebody who can give more.
    """
    sidecar.account.access = "accounts"
    sidecar.quota.over_limit = "reject"
    panel = open_quota()
    expect(panel.page.get_by_text("Nothing limits")).to_be_visible()
    sidecar.wait_until(lambda: sidecar.open_streams == 1)
    limits = [
        limit("generations_per_hour", 10, 10, free_in_s=754),
        limit("storage_bytes", 9 * 1024**3, 9 * 1024**3),
        limit("gpu_seconds_per_day", 60, 0, group="Class 7b"),
    ]
    sidecar.limit(*limits)
    for each in limits:
        sidecar.publish("quota_warning", warning(each, 100))
    panel.page.wait_for_function("window.toasts.length > 2")

    hour, storage, gpu = (toast["detail"] for toast in panel.toasts())
    assert re.search(rf"the next one is free .*{CLOCK}\. Submit again then\.$", hour)
    assert storage == "9 GB of 9 GB of storage. Delete pictures, or ask an administrator for more room."
    assert gpu == "Shared by Class 7b: 1 min of 0 sec of GPU time in the last 24 hours. Ask an administrator for more."


def test_what_waits_has_its_place_its_start_and_its_reason(open_quota: OpenQuota, sidecar: ScriptedSidecar) -> None:
    """
    The next one first; a reason that several have is told once above them; what changes is seen by itself.
    """
    starts_at = datetime.now(timezone.utc) + timedelta(hours=1)
    sidecar.put(opened(1, place=1, prompt="a slow river", waiting=waiting(starts_at, own=1, spread_s=300)))
    for number in (2, 3):
        sidecar.put(opened(number, place=number, prompt=f"a lighthouse {number}", waiting=held(17 * number)))
    panel = open_quota()

    expect(panel.waiting).to_have_count(3)
    expect(panel.waiting.nth(0)).to_contain_text(
        re.compile(rf"a slow river\s*1 ahead, starts about {TIME} \({TIME}\sto\s{TIME}\)")
    )
    expect(panel.page.get_by_text("Turns are shared. Before it: 1 of your own.")).to_have_count(1)
    expect(panel.waiting.nth(1)).to_contain_text(re.compile(rf"a lighthouse 2\s*Held until .*{CLOCK}, in 34 min"))
    expect(panel.page.get_by_role("list", name=HELD_BY_THE_HOUR).get_by_role("listitem")).to_have_count(2)
    sidecar.wait_until(lambda: sidecar.open_streams == 1)
    read_before = sidecar.requests.count("GET /generations")

    sidecar.move(1, place=0)
    expect(panel.waiting.nth(0)).to_contain_text("Next in line")
    sidecar.change(1, state="running", place=None, waiting=None)
    expect(panel.waiting).to_have_count(2)

    assert sidecar.requests.count("GET /generations") == read_before


def test_a_start_that_nobody_can_tell_is_called_a_guess(open_quota: OpenQuota, sidecar: ScriptedSidecar) -> None:
    """
    Bounds of hours around a wait of minutes say nothing. What starts within a minute has no time.
    """
    now = datetime.now(timezone.utc)
    sidecar.put(opened(1, place=0, waiting=waiting(now + timedelta(seconds=20), own=0, spread_s=150)))
    sidecar.put(opened(2, place=1, waiting=waiting(now + timedelta(minutes=10), own=1, spread_s=7200)))
    panel = open_quota()

    expect(panel.waiting.nth(0)).to_contain_text(re.compile(rf"Next, starts soon \({TIME}\sto\s{TIME}\)"))
    expect(panel.waiting.nth(1)).to_contain_text(re.compile(rf"1 ahead, starts about {TIME} \(a rough guess\)"))


def test_what_comes_to_wait_is_there_by_itself(open_quota: OpenQuota, sidecar: ScriptedSidecar) -> None:
    """
    Also one of which only the place is told: then the next ones are read once more.
    """
    panel = open_quota()
    expect(panel.page.get_by_text("Nothing of yours waits.")).to_be_visible()
    sidecar.wait_until(lambda: sidecar.open_streams == 1)

    sidecar.put(opened(1, place=0, prompt="a slow river"))

    expect(panel.waiting).to_have_text(re.compile("a slow river"))

    sidecar.put_unseen(opened(2, place=1, prompt="a lighthouse"))
    sidecar.tell_turns()

    expect(panel.waiting).to_have_count(2)


@pytest.mark.parametrize("locale", ["en", "de"])
def test_every_reason_is_told_in_the_readers_language(
    open_quota: OpenQuota, sidecar: ScriptedSidecar, locale: str
) -> None:
    """
    By its code and facts; one that nobody here has heard of in the sidecar's own words, which are English. What stands
    above it is not said of each once more: that tells its place.
    """
    sentences = {
        "en": (
            "The queue is paused: new card",
            "Class 7b may use 10 generations an hour together. There is no room for it yet.",
            "It comes after others of yours that a limit holds back.",
            "2 of yours may run at a time, and so many do. It goes as soon as one of them has ended.",
            "No ComfyUI that can work now has a.pt. It waits for A (away) or a ComfyUI (set aside).",
            "No ComfyUI that can work now has a.pt and the node Up. It waits until one does.",
            "No ComfyUI can work now. It waits until one can.",
            "It is tried again in a moment.",
            "A word of tomorrow.",
        ),
        "de": (
            "Die Warteschlange ist angehalten: new card",
            "Class 7b darf zusammen 10 Erzeugungen pro Stunde verbrauchen. Dafür ist noch kein Platz.",
            "Davor kommen andere von dir, die ein Limit zurückhält.",
            "Von dir dürfen 2 auf einmal laufen, und so viele laufen. Es geht weiter, sobald eine fertig ist.",
            "Kein ComfyUI, das gerade arbeiten kann, hat a.pt. Es wartet auf A (nicht da) oder ein ComfyUI (gesperrt).",
            "Kein ComfyUI, das gerade arbeiten kann, hat a.pt und den Node Up. Es geht weiter, sobald eines das hat.",
            "Kein ComfyUI kann gerade arbeiten. Es geht weiter, sobald eines kann.",
            "Gleich wird es noch einmal versucht.",
            "A word of tomorrow.",
        ),
    }
    holders = [{"name": "A", "state": "away"}, {"name": None, "state": "set_aside"}]
    reasons = (
        reason("paused", reason="new card"),
        reason("limit", limit="generations_per_hour", used=10, allowed=10, group="Class 7b", free_at=in_seconds(60)),
        reason("behind_own"),
        reason("running_at_once", allowed=2),
        reason("no_instance_with", models=["a.pt"], nodes=[], waits_for=holders),
        reason("no_instance_with", models=["a.pt"], nodes=["Up"], waits_for=[]),
        reason("no_instance"),
        reason("waiting_for_retry"),
        reason("of_tomorrow"),
    )
    for number, why in enumerate(reasons):
        facts = waiting(own=number, reason=why, why="A word of tomorrow.")
        sidecar.put(opened(number + 1, place=number, waiting=facts))
    panel = open_quota(query=f"locale={locale}")
    expect(panel.waiting).to_have_count(len(reasons))

    told = panel.page.locator("genonaut-quota .reason")
    expect(told).to_have_text(list(sentences[locale]))
    expect(told.last).to_have_attribute("lang", "en")
    expect(told.first).to_have_attribute("lang", locale)
    expect(panel.waiting.nth(3)).to_contain_text({"en": "Waiting, 3 ahead", "de": "Wartet, noch 3 davor"}[locale])


def test_ten_thousand_that_wait_are_as_calm_as_three(open_quota: OpenQuota, sidecar: ScriptedSidecar) -> None:
    """
    One page of the next ones is read; the rest of it is there when it is asked for, and the focus goes on to it.
    """
    for number in range(1, 10_001):
        sidecar.put(opened(number, place=number - 1))
    panel = open_quota()
    expect(panel.waiting).to_have_count(12)
    expect(panel.waiting.first).to_contain_text("#1")
    expect(panel.host).to_contain_text("10,000 generations")

    panel.page.get_by_role("button", name="Show 38 more").press("Enter")

    expect(panel.waiting).to_have_count(50)
    expect(panel.host).to_contain_text("9,950 more wait.")
    assert "#13" in panel.focused_label()
    assert sidecar.requests.count("GET /generations") == 1


def test_the_last_days_are_bars_and_a_table(open_quota: OpenQuota, sidecar: ScriptedSidecar) -> None:
    """
    Who sees them compares heights; who has it read out hears numbers.
    """
    sidecar.quota.generations_of_days = [3, 0, 12, 4, 0, 9, 1]
    panel = open_quota()

    table = panel.page.get_by_role("table", name="Generations and GPU time of the last 7 days")
    expect(table.get_by_role("row")).to_have_count(8)
    expect(table.get_by_role("row").nth(3)).to_contain_text("12")
    expect(panel.page.locator(".bars .column")).to_have_count(7)
    expect(panel.page.get_by_text("29 generations, 2 min 2 sec of GPU time")).to_be_visible()


def test_a_sidecar_that_is_away_is_told_of_in_the_words_of_the_history(
    open_quota: OpenQuota, sidecar: ScriptedSidecar
) -> None:
    """
    What was known stays, and it goes on by itself.
    """
    sidecar.quota.limits = [limit("generations_per_hour", 7, 10)]
    panel = open_quota()
    expect(panel.meters).to_have_count(1)

    sidecar.go_away()

    expect(panel.notice).to_contain_text("Genonaut does not answer at the moment. Nothing is lost")
    expect(panel.meters).to_have_count(1)

    sidecar.come_back()

    expect(panel.notice).to_be_hidden()


def test_a_part_that_cannot_be_read_is_told_of_and_not_asked_for_at_once(
    open_quota: OpenQuota, sidecar: ScriptedSidecar
) -> None:
    """
    The rest stands there all the same.
    """
    sidecar.quota.usage_is_broken = True
    sidecar.quota.limits = [limit("generations_per_hour", 7, 10)]
    panel = open_quota()
    expect(panel.notice).to_contain_text("Something went wrong in Genonaut. This is tried again by itself.")
    expect(panel.meters).to_have_count(1)
    panel.page.wait_for_timeout(1500)  # until what was asked for before has been answered
    asked_before = sidecar.requests.count("GET /usage")

    panel.page.wait_for_timeout(1500)

    assert sidecar.requests.count("GET /usage") == asked_before
    expect(panel.notice).to_be_visible()


def test_a_page_that_nobody_sees_keeps_no_connection(open_quota: OpenQuota, sidecar: ScriptedSidecar) -> None:
    """
    A browser has six of them for ComfyUI. Seen again, the page knows at once how it stands.
    """
    panel = open_quota()
    sidecar.wait_until(lambda: sidecar.open_streams == 1)
    panel.page.evaluate("window.tab.destroy()")

    set_seen(panel, seen=False)

    sidecar.wait_until(lambda: sidecar.open_streams == 0)

    sidecar.quota.limits = [limit("generations_per_hour", 9, 10)]
    set_seen(panel, seen=True)

    panel.page.wait_for_function("window.tabs.some((tab) => tab.iconBadge === '!')")


def test_the_keyboard_reaches_all_of_it_and_the_canvas_hears_nothing(
    open_quota: OpenQuota, sidecar: ScriptedSidecar
) -> None:
    """
    What scrolls takes the focus, and after it the button.
    """
    sidecar.quota.limits = of_every_kind()
    for number in range(1, 15):
        sidecar.put(opened(number, place=number - 1))
    panel = open_quota(height=500)
    expect(panel.waiting).to_have_count(12)

    panel.page.keyboard.press("Tab")
    panel.page.keyboard.press("End")
    panel.page.wait_for_function(
        "document.querySelector('genonaut-quota').shadowRoot.querySelector('.body').scrollTop > 100"
    )
    panel.page.keyboard.press("Tab")

    assert panel.focused_label() == "Show 2 more"
    assert panel.page.evaluate("window.keysThatReachedTheCanvas.filter((key) => key !== 'Tab')") == []


def test_it_is_readable_in_every_theme_narrow_and_in_german(open_quota: OpenQuota, sidecar: ScriptedSidecar) -> None:
    """
    Twenty limits at 320 px: nothing is cut off, and everything stands out from its ground.
    """
    groups = ["Class 7b", "Arbeitsgemeinschaft Donaudampfschifffahrtsgesellschaft", "Film club", "A"]
    shared = [
        limit(name, 9, 10, group=group)
        for group in groups
        for name in ("generations_per_hour", "storage_bytes", "gpu_seconds_per_day")
    ]
    sidecar.quota.limits = [*of_every_kind(), *shared]
    sidecar.quota.generations_of_days = [1200, 0, 3, 4, 9999, 6, 7]
    sidecar.put(opened(1, place=0, waiting=held(1500), prompt="w" * 300))

    for theme in THEMES:
        panel = open_quota(width=320, query=f"theme={theme}&locale=de")
        expect(panel.waiting).to_have_count(1)
        expect(panel.meter("Erzeugungen pro Stunde").first).to_have_attribute(
            "aria-valuetext", re.compile("^7 von 10 ")
        )
        contrasts = panel.contrasts()
        assert contrasts["text"] >= 7, (theme, contrasts)
        assert contrasts["quiet"] >= 4.5, (theme, contrasts)
        assert contrasts["bar"] >= 3, (theme, contrasts)
        assert not panel.is_wider_than_it_may_be()
        assert panel.page.evaluate("document.getAnimations().length") == 0


def held(minutes: float) -> Json:
    """By the limit of an hour, until then."""
    until = in_seconds(60 * minutes)
    facts = {"limit": "generations_per_hour", "used": 10, "allowed": 10, "group": None, "free_at": until}
    return waiting(held_until=until, reason=reason("limit", **facts))


def set_seen(panel: QuotaPanel, *, seen: bool) -> None:
    """Chromium without windows takes each of its pages for one that is seen."""
    panel.page.evaluate(
        """(state) => {
          Object.defineProperty(document, 'visibilityState', { configurable: true, value: state })
          document.dispatchEvent(new Event('visibilitychange'))
        }""",
        "visible" if seen else "hidden",
    )
