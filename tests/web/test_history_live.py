"""The history while things happen: progress, arrivals, cancelling, and a sidecar that goes away and comes back."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from fakes.sidecar_api import (
    ScriptedSidecar,
    failed,
    generation,
    generation_id,
    opened,
    progress,
    reason,
    stamp,
    waiting,
)
from playwright.sync_api import expect
from web.panel import OpenPanel


def test_a_waiting_generation_says_how_many_are_ahead(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    The place in the queue is told in words, and told anew when it changes.
    """
    sidecar.put(opened(1, place=3))
    panel = open_panel()
    expect(panel.cards).to_contain_text("Waiting, 3 ahead")

    sidecar.put(opened(1, place=0))

    expect(panel.cards).to_contain_text("Next in line")


def test_a_waiting_generation_says_when_it_will_start(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    As a time of the clock, as far as anybody knows it; in German, too.
    """
    starts_at = in_an_hour()
    sidecar.put(opened(1, place=3, waiting=waiting(starts_at)))
    sidecar.put(opened(2, place=0, waiting=waiting(starts_at, own=0)))

    english = open_panel(timezone_id="UTC")
    expect(english.cards.nth(1)).to_contain_text(re.compile(rf"3 ahead, starts about .*{starts_at:%M}\s[AP]M"))
    expect(english.cards.nth(0)).to_contain_text("Next, starts about ")

    german = open_panel(width=320, query="locale=de", timezone_id="UTC")
    expect(german.cards.nth(1)).to_contain_text(re.compile(rf"Noch 3 davor, beginnt gegen .*{starts_at:%H:%M}"))


def test_what_cannot_go_says_what_it_waits_for(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    A limit, a queue that is paused, a ComfyUI: then its place says nothing, and is not told.
    """
    held = waiting(held_until=stamp(in_an_hour()), reason=reason("behind_own"))
    sidecar.put(opened(1, place=0, waiting=held))
    sidecar.put(opened(2, place=1, waiting=waiting(reason=reason("paused", reason=""))))
    sidecar.put(opened(3, place=2, waiting=waiting(reason=reason("no_instance"))))
    panel = open_panel()

    expect(panel.cards.nth(2)).to_contain_text(re.compile(r"Held until .*[AP]M"))
    expect(panel.cards.nth(1)).to_contain_text("The queue is paused")
    expect(panel.cards.nth(0)).to_contain_text("Waiting for a ComfyUI")


def test_progress_moves_without_being_read_out(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    Each tick moves the bar and its words; screen readers are told only how it ended.
    """
    sidecar.put(opened(1, state="running", prompt="a slow river"))
    panel = open_panel()
    bar = panel.cards.get_by_role("progressbar")
    expect(bar).to_be_visible()
    assert bar.get_attribute("aria-valuenow") is None
    sidecar.wait_until(lambda: sidecar.open_streams == 1)

    sidecar.publish("progress", {"id": generation_id(1), "progress": progress(0.45)})

    expect(bar).to_have_attribute("aria-valuenow", "45")
    expect(panel.cards).to_contain_text("KSampler, step 9 of 20")
    expect(panel.announced).to_have_text("")

    sidecar.put(generation(1, prompt="a slow river", updated_at="2999-01-01T00:00:00Z"))

    expect(panel.announced).to_have_text("Completed: a slow river.")
    expect(bar).to_have_count(0)


def test_a_press_counts_though_the_card_is_drawn_anew_before_the_release(
    open_panel: OpenPanel, sidecar: ScriptedSidecar
) -> None:
    """
    A browser drops a click where what was pressed is no longer there, and progress comes ten times a second.
    """
    sidecar.put(opened(1, state="running"))
    panel = open_panel()
    sidecar.wait_until(lambda: sidecar.open_streams == 1)
    panel.cards.get_by_text("Running").hover()

    panel.page.mouse.down()
    sidecar.publish("progress", {"id": generation_id(1), "progress": progress(0.45)})
    expect(panel.cards).to_contain_text("KSampler, step 9 of 20")
    panel.page.mouse.up()

    expect(panel.dialog).to_be_visible()


def test_a_failure_says_what_comfyui_said(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    The sentence stands where the picture would be, and the state is told by a word and a sign, not by colour alone.
    """
    sidecar.put(failed(1, "KSampler ran out of memory. Use a smaller size."))

    panel = open_panel()

    expect(panel.cards).to_contain_text("KSampler ran out of memory. Use a smaller size.")
    expect(panel.cards.locator(".state")).to_contain_text("Failed")


def test_a_new_generation_appears_at_the_top(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    Who looks at the top sees new ones at once.
    """
    sidecar.total = 30
    panel = open_panel()
    expect(panel.cards.first).to_contain_text("#30")

    sidecar.add()

    expect(panel.cards.first).to_contain_text("#31")


def test_what_begins_while_the_list_is_read_is_not_lost(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    Heard of before the answer came that does not know it yet, a generation is there to stay, and goes on to its end.
    """
    sidecar.total = 3
    panel = open_panel()
    expect(panel.cards).to_have_count(3)
    sidecar.wait_until(lambda: sidecar.open_streams == 1)

    with sidecar.holding_pages():
        sidecar.publish("hello", {})
        sidecar.wait_until_a_page_is_held()
        sidecar.put(opened(4))
        expect(panel.cards).to_have_count(4)
    panel.settle()

    expect(panel.cards).to_have_count(4)
    expect(panel.cards.first).to_contain_text("Waiting")

    sidecar.put(generation(4, updated_at="2999-01-01T00:00:00Z"))

    expect(panel.cards.first).to_contain_text("3.2 sec")


def test_whoever_waits_sees_the_turn_come_nearer(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    When the line moves, places are told and nothing is read. Screen readers hear of the next one, not at each step.
    """
    sidecar.put(opened(1, place=7, prompt="a slow river"))
    sidecar.put(opened(2, place=9))
    panel = open_panel()
    expect(panel.cards.first).to_contain_text("Waiting, 9 ahead")
    sidecar.wait_until(lambda: sidecar.open_streams == 1)
    sidecar.move(1, place=6)
    expect(panel.cards.nth(1)).to_contain_text("Waiting, 6 ahead")
    expect(panel.announced).to_have_text("")
    read_before = len(pages_read(sidecar))

    sidecar.move(1, place=5)
    expect(panel.announced).to_have_text("a slow river: Waiting, 5 ahead.")
    sidecar.move(1, place=0)
    sidecar.move(2, place=1)

    expect(panel.cards.first).to_contain_text("Waiting, 1 ahead")
    expect(panel.cards.nth(1)).to_contain_text("Next in line")
    expect(panel.announced).to_have_text("a slow river: Waiting, 5 ahead.")
    assert len(pages_read(sidecar)) == read_before


def test_what_has_just_come_keeps_its_place(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    What is told of the line may be older than it.
    """
    sidecar.put(opened(1, place=0))
    panel = open_panel()
    sidecar.wait_until(lambda: sidecar.open_streams == 1)
    sidecar.put(opened(2, place=1))
    expect(panel.cards.first).to_contain_text("Waiting, 1 ahead")

    sidecar.publish("waiting", {"items": sidecar.turns()["items"][:1], "count": 1})
    panel.settle()

    expect(panel.cards.first).to_contain_text("Waiting, 1 ahead")


def test_a_place_that_is_told_while_the_list_is_read_counts(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    The answer is older, and nobody tells the place again as long as it stays.
    """
    sidecar.put(opened(1, place=7))

    with sidecar.holding_pages():
        panel = open_panel()
        sidecar.wait_until_a_page_is_held()
        sidecar.wait_until(lambda: sidecar.open_streams == 1)
        sidecar.move(1, place=6)
        panel.settle()

    expect(panel.cards).to_contain_text("Waiting, 6 ahead")


def test_where_many_wait_the_farther_ones_say_what_is_known(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    The next fifty are told of; all others come after those.
    """
    for number in range(1, 61):
        sidecar.put(opened(number, place=number + 99))
    panel = open_panel()
    expect(panel.cards.first).to_contain_text("Waiting, 159 ahead")
    sidecar.wait_until(lambda: sidecar.open_streams == 1)

    sidecar.move(1, place=99)

    expect(panel.cards.first).to_contain_text("Waiting, more than 149 ahead")


def test_what_ends_while_the_first_page_is_read_is_shown_as_ended(
    open_panel: OpenPanel, sidecar: ScriptedSidecar
) -> None:
    """
    The answer still calls it waiting; what was heard meanwhile is later, and counts.
    """
    sidecar.put(opened(1))

    with sidecar.holding_pages():
        panel = open_panel()
        sidecar.wait_until_a_page_is_held()
        sidecar.wait_until(lambda: sidecar.open_streams == 1)
        sidecar.publish("generation", generation(1, updated_at="2999-01-01T00:00:00Z"))
        panel.settle()

    expect(panel.cards).to_contain_text("3.2 sec")


def test_new_generations_wait_while_somebody_reads_further_down(
    open_panel: OpenPanel, sidecar: ScriptedSidecar
) -> None:
    """
    Nothing moves under the reader's eyes: a pill tells how many are new, and a click leads to them.
    """
    sidecar.total = 100
    panel = open_panel()
    expect(panel.cards.first).to_be_visible()
    panel.scroll_to(600)
    panel.settle()
    seen = panel.cards.all_inner_texts()

    for _ in range(3):
        sidecar.add()

    expect(panel.pill).to_have_text("3 new")
    assert seen == panel.cards.all_inner_texts()

    panel.pill.click()

    expect(panel.cards.first).to_contain_text("#103")
    expect(panel.pill).to_be_hidden()
    assert panel.scroll_top() == 0


def test_cancel_asks_the_sidecar_and_says_so_at_once(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    What is open can be cancelled where it stands; the answer is not waited for to show it.
    """
    sidecar.put(opened(1, place=5))
    panel = open_panel()

    panel.cards.get_by_role("button", name="Cancel", exact=True).click()

    expect(panel.cards).to_contain_text("Cancelling")
    expect(panel.cards.get_by_role("button", name="Cancel", exact=True)).to_have_count(0)
    assert f"POST /generations/{generation_id(1)}/cancel" in sidecar.requests


def test_cancelling_what_has_ended_shows_how_it_ended(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    Where it ended in the same moment, its outcome is shown, not an error.
    """
    sidecar.put(opened(1))
    panel = open_panel()
    cancel = panel.cards.get_by_role("button", name="Cancel", exact=True)
    expect(cancel).to_be_visible()
    sidecar.wait_until(lambda: sidecar.open_streams == 1)
    panel.settle()  # else it is read once more, and has ended before anybody can cancel it
    sidecar.end_unseen(1)

    cancel.click()

    expect(panel.cards).to_contain_text("3.2 sec")
    expect(panel.notice).to_be_hidden()


def test_a_sidecar_that_goes_away_is_told_and_what_is_known_stays(
    open_panel: OpenPanel, sidecar: ScriptedSidecar
) -> None:
    """
    The list stays as it was; a sentence says that nothing is lost; what happened meanwhile is there afterwards.
    """
    sidecar.total = 8
    panel = open_panel()
    expect(panel.cards).to_have_count(8)

    sidecar.go_away()

    expect(panel.notice).to_contain_text("Nothing is lost")
    expect(panel.cards).to_have_count(8)

    sidecar.add()
    sidecar.come_back()

    expect(panel.notice).to_be_hidden(timeout=10_000)
    expect(panel.cards.first).to_contain_text("#9")


def test_it_opens_while_the_sidecar_is_away(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    No skeletons for ever: the sentence, and then by itself the list.
    """
    sidecar.total = 3
    sidecar.go_away()
    panel = open_panel()

    expect(panel.notice).to_contain_text("does not answer")
    expect(panel.skeletons).to_have_count(0)

    sidecar.come_back()

    expect(panel.cards).to_have_count(3)
    expect(panel.notice).to_be_hidden()


def test_what_ended_while_nobody_listened_is_found_out(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    After each break the open ones are read anew, also those that are no longer on the first page.
    """
    sidecar.put(opened(1, prompt="an old oak"))
    panel = open_panel()
    expect(panel.cards).to_contain_text("Waiting")

    sidecar.go_away()
    sidecar.end_unseen(1)
    sidecar.come_back()

    expect(panel.cards).to_contain_text("3.2 sec")


def test_a_long_absence_starts_the_list_over(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    With more new ones than a page holds, nothing between is left out.
    """
    sidecar.total = 20
    panel = open_panel()
    expect(panel.cards.first).to_contain_text("#20")

    sidecar.go_away()
    sidecar.total = 200
    sidecar.come_back()
    expect(panel.cards.first).to_contain_text("#200")
    panel.scroll_to_the_end()

    expect(panel.cards.last).to_contain_text("#1")
    assert int(panel.cards.last.get_attribute("aria-posinset") or 0) == 200


def test_nothing_is_left_behind(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    Rendering twice is one panel and one stream; closing the tab ends the stream and leaves no listener on the page.
    """
    sidecar.total = 5
    panel = open_panel()
    expect(panel.cards).to_have_count(5)

    panel.page.evaluate("window.tab.render(document.getElementById('sidebar'))")

    expect(panel.host).to_have_count(1)
    assert sidecar.open_streams == 1

    panel.page.evaluate("window.tab.destroy()")
    read_before = len(pages_read(sidecar))
    sidecar.publish("hello", {})
    panel.settle()

    expect(panel.host).to_have_count(0)
    assert len(pages_read(sidecar)) == read_before

    panel.page.evaluate("window.tab.render(document.getElementById('sidebar'))")

    expect(panel.cards).to_have_count(5)
    sidecar.wait_until(lambda: sidecar.open_streams == 1)


def pages_read(sidecar: ScriptedSidecar) -> list[str]:
    return [request for request in sidecar.requests if request == "GET /generations"]


def in_an_hour() -> datetime:
    return datetime.now(timezone.utc) + timedelta(hours=1)
