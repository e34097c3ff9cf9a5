"""The history as a list: what is there, and how little of it has to be fetched and drawn."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from fakes.sidecar_api import ScriptedSidecar, generation, image, stamp
from playwright.sync_api import expect
from web.panel import OpenPanel

MOST_HEAP_BYTES = 100 * 1024**2


def test_an_empty_history_says_what_to_do(open_panel: OpenPanel) -> None:
    """
    Who has generated nothing yet reads how to begin, not an empty column.
    """
    panel = open_panel()

    expect(panel.host).to_contain_text("Nothing generated yet")
    expect(panel.host).to_contain_text("Queue a workflow")


def test_one_generation_stands_there_alone(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    One generation is one card, with what was asked for and how long it took.
    """
    sidecar.put(generation(1, prompt="a lighthouse in winter"))

    panel = open_panel()

    expect(panel.cards).to_have_count(1)
    expect(panel.cards).to_contain_text("a lighthouse in winter")
    expect(panel.cards).to_contain_text("3.2 sec")
    expect(panel.skeletons).to_have_count(0)


def test_the_newest_stands_first(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    The order is that of time, newest first, in the document as on the screen.
    """
    sidecar.total = 8

    panel = open_panel()

    expect(panel.cards).to_have_count(8)
    expect(panel.cards.locator(".name")).to_contain_text([f"#{number}" for number in range(8, 0, -1)])


def test_scrolling_reads_page_after_page_down_to_the_first(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    Older generations are read when the reader comes near them, each page once.
    """
    sidecar.total = 120
    panel = open_panel()
    # At once, and again when the stream says hello.
    sidecar.wait_until(lambda: sidecar.requests.count("GET /generations") == 2)
    expect(panel.cards.first).to_be_visible()

    panel.scroll_to_the_end()

    expect(panel.cards.last.locator(".name")).to_have_text("harbour at dawn, oil on canvas #1")
    expect(panel.host).to_contain_text("This is where your history begins")
    assert sidecar.requests.count("GET /generations") == 2 + 2


def test_only_what_is_near_the_view_is_drawn_and_fetched(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    Of 10 000 generations only the cards in and around the view exist, and only their thumbnails are fetched.
    """
    sidecar.total = 10_000

    panel = open_panel(height=800)
    panel.settle()

    assert panel.cards.count() <= 16
    assert 0 < len(sidecar.thumbnails_fetched()) <= 16


def test_who_flies_past_fetches_no_thumbnails(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    Cards that were in view for one frame cost no request; those where the reader stops do.
    """
    sidecar.total = 200
    panel = open_panel()
    panel.settle()
    panel.scroll_to(1_000)
    panel.settle()
    before = len(sidecar.thumbnails_fetched())

    panel.fly(to=5_000, px_a_frame=1_000)
    panel.settle()

    assert len(sidecar.thumbnails_fetched()) - before <= 20


def test_a_sharp_screen_gets_larger_thumbnails(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    The size of the thumbnail follows the pixels of the screen.
    """
    sidecar.total = 4

    open_panel().settle()
    open_panel(device_scale_factor=3).settle()

    assert {"small", "medium"} == {request.rsplit("/", 1)[1] for request in sidecar.thumbnails_fetched()}


def test_a_hundred_thousand_generations_fit_into_memory(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    Having scrolled past all of 100 000, the page holds their ids and only the generations around the reader.
    """
    sidecar.total = 100_000
    panel = open_panel()

    known = panel.page.evaluate("""async () => {
      const { History } = await import('/extensions/comfyui-genonaut/history.js')
      const { SidecarClient } = await import('/extensions/comfyui-genonaut/sidecar_client.js')
      const history = new History(new SidecarClient('/genonaut/api/v1'), { pageSize: 500, keptPages: 5 })
      await history.refresh()
      while (!history.isComplete) await history.readMore()
      window.heldByTheTest = history
      const inMemory = Array.from({ length: 100_000 }, (_, i) => history.at(i)).filter(Boolean).length
      return { length: history.length, last: history.at(99_999).number, inMemory,
               heapBytes: performance.memory.usedJSHeapSize }
    }""")

    assert known["length"] == 100_000
    assert known["last"] == 1
    assert known["inMemory"] <= 6 * 500
    assert known["heapBytes"] < MOST_HEAP_BYTES


def test_what_was_dropped_from_memory_is_read_again(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    Scrolling back to a part that was let go shows it again, also where something in it was deleted meanwhile.
    """
    sidecar.total = 100
    panel = open_panel()

    numbers = panel.page.evaluate("""async (remove) => {
      const { History } = await import('/extensions/comfyui-genonaut/history.js')
      const { SidecarClient } = await import('/extensions/comfyui-genonaut/sidecar_client.js')
      const history = new History(new SidecarClient('/genonaut/api/v1'), { pageSize: 10, keptPages: 2 })
      await history.refresh()
      while (!history.isComplete) await history.readMore()
      const before = history.at(15)
      await history.ensure(15, 16)
      return [before, history.at(15).number, history.length]
    }""")

    assert numbers == [None, 85, 100]


def test_pictures_that_cannot_be_shown_say_why(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    An image that is still fetched, lost or broken has its sentence where the picture would be.
    """
    for number, state in enumerate(("expected", "missing", "corrupt"), start=1):
        sidecar.put(generation(number, images=[image(number, 0, state=state, thumbhash=None)]))

    panel = open_panel()

    expect(panel.card("#1")).to_contain_text("The picture is being fetched.")
    expect(panel.card("#2")).to_contain_text("ComfyUI no longer has the file of this picture.")
    expect(panel.card("#3")).to_contain_text("The file of this picture cannot be read.")


def test_text_of_people_is_never_markup(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    A prompt is shown as it was written.
    """
    sidecar.put(generation(1, prompt="<img src=x onerror=alert(1)>"))

    panel = open_panel()

    expect(panel.cards.locator(".name")).to_have_text("<img src=x onerror=alert(1)>")


def test_it_fits_into_320_pixels(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    In the narrowest sidebar, in the longer language, nothing is wider than the panel.
    """
    sidecar.total = 20

    panel = open_panel(width=320, query="locale=de")
    expect(panel.cards.first).to_be_visible()

    assert panel.host.evaluate("""(host) => {
      const { scrollWidth, clientWidth } = host.shadowRoot.querySelector('.scroller')
      return scrollWidth === clientWidth && host.getBoundingClientRect().right <= 320
    }""")


def test_times_are_said_as_short_as_they_can_be(open_panel: OpenPanel) -> None:
    """
    The older it is, the coarser; a year is said only where it is another one.
    """
    panel = open_panel()

    said = panel.page.evaluate("""async () => {
      const { Formats } = await import('/extensions/comfyui-genonaut/format.js')
      const now = Date.parse('2025-06-15T12:00:00Z')
      const times = ['2025-06-15T11:59:30Z', '2025-06-15T11:55:00Z', '2025-06-14T12:00:00Z',
                     '2025-03-05T12:00:00Z', '2024-03-05T12:00:00Z']
      return times.map((time) => new Formats('en').ago(time, now))
    }""")

    assert said == ["now", "5 min. ago", "yesterday", "Mar 5", "Mar 5, 2024"]


def test_it_speaks_german(open_panel: OpenPanel, sidecar: ScriptedSidecar) -> None:
    """
    Words, numbers and times follow the language of the page.
    """
    sidecar.put(generation(1, finished_at=stamp(datetime.now(timezone.utc) - timedelta(minutes=5))))

    panel = open_panel(query="locale=de")

    expect(panel.page.get_by_role("heading", name="Verlauf")).to_be_visible()
    expect(panel.cards.first).to_contain_text("3,2 Sek.")
    expect(panel.cards.first).to_contain_text("vor 5 Min.")
