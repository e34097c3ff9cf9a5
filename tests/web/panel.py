"""The panel as somebody sees it: what can be read, and what can be clicked."""

from __future__ import annotations

from typing import Any, Protocol

from playwright.sync_api import Locator, Page


class OpenPanel(Protocol):
    """Opens the page with the panel; `query` may say `theme=light` or `locale=de`."""

    def __call__(self, *, width: int = 350, height: int = 800, query: str = "", **context: Any) -> Panel: ...


class Panel:
    """One page with the panel in it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.host = page.locator("genonaut-history")
        self.cards = page.locator("genonaut-generation-card:not([data-empty])")
        self.skeletons = page.locator("genonaut-generation-card[data-empty]")
        self.dialog = page.get_by_role("dialog")
        self.pill = page.locator("button.arrived")
        self.notice = page.locator(".notice")
        self.announced = page.locator(".visually-hidden[role=status]")
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def card(self, text: str) -> Locator:
        return self.cards.filter(has_text=text)

    def scroll_to(self, top: float) -> None:
        self.host.evaluate("(host, top) => { host.shadowRoot.querySelector('.scroller').scrollTop = top }", top)

    def scroll_top(self) -> float:
        return float(self.host.evaluate("(host) => host.shadowRoot.querySelector('.scroller').scrollTop"))

    def focused_label(self) -> str:
        """What a screen reader says of the element with the focus, however deep it lies."""
        return str(
            self.page.evaluate("""() => {
              let focused = document.activeElement
              while (focused?.shadowRoot?.activeElement) focused = focused.shadowRoot.activeElement
              return focused?.ariaLabel || focused?.textContent || focused?.tagName
            }""")
        )

    def settle(self) -> None:
        """Waits until nothing is drawn or fetched any more because of what was done before."""
        self.page.wait_for_timeout(300)
        self.page.wait_for_load_state("load")

    def scroll_to_the_end(self) -> None:
        """Scrolls down as long as there is more."""
        before = -1.0
        while (now := self.scroll_top()) > before:
            before = now
            self.scroll_to(10_000_000)
            self.settle()

    def fly(self, *, to: float, px_a_frame: float) -> None:
        self.host.evaluate(
            """async (host, [to, step]) => {
              const scroller = host.shadowRoot.querySelector('.scroller')
              while (scroller.scrollTop < to) {
                const before = scroller.scrollTop
                scroller.scrollTop += step
                await new Promise(requestAnimationFrame)
                if (scroller.scrollTop === before) break
              }
            }""",
            [to, px_a_frame],
        )

    def contrast_of(self, selector: str) -> float:
        """The contrast of a text with the panel's ground, as WCAG 2 counts it."""
        return float(
            self.page.evaluate(
                """(selector) => {
                  const panel = document.querySelector('genonaut-history')
                  const card = panel.shadowRoot.querySelector('genonaut-generation-card')
                  const context = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true })
                  const luminance = (colour) => {
                    context.fillStyle = colour
                    context.fillRect(0, 0, 1, 1)
                    const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map((byte) => {
                      const part = byte / 255
                      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
                    })
                    return 0.2126 * r + 0.7152 * g + 0.0722 * b
                  }
                  const text = luminance(getComputedStyle(card.shadowRoot.querySelector(selector)).color)
                  const ground = luminance(getComputedStyle(panel).backgroundColor)
                  return (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05)
                }""",
                selector,
            )
        )
