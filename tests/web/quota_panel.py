"""The panel of limits as somebody sees it."""

from __future__ import annotations

from typing import Any, Protocol

from playwright.sync_api import Locator
from web.panel import Panel


class OpenQuota(Protocol):
    """Opens the page with this panel in it, as `OpenPanel` does with the history."""

    def __call__(self, *, width: int = 350, height: int = 900, query: str = "", **context: Any) -> QuotaPanel: ...


class QuotaPanel:
    """One page with the panel of limits in it."""

    def __init__(self, panel: Panel) -> None:
        self.page = panel.page
        self.notice = panel.notice
        self.focused_label = panel.focused_label
        self.host = self.page.locator("genonaut-quota")
        self.meters = self.page.get_by_role("meter")
        self.waiting = self.page.locator("genonaut-quota ol li")

    def meter(self, name: str) -> Locator:
        return self.page.get_by_role("meter", name=name)

    def badge(self) -> str:
        return str(self.page.evaluate("window.tabs.find(({ id }) => id === 'genonaut-quota').iconBadge"))

    def tooltip(self) -> str:
        return str(self.page.evaluate("window.tabs.find(({ id }) => id === 'genonaut-quota').tooltip"))

    def toasts(self) -> list[dict[str, Any]]:
        toasts: list[dict[str, Any]] = self.page.evaluate("window.toasts")
        return toasts

    def is_wider_than_it_may_be(self) -> bool:
        return bool(
            self.host.evaluate("""(host) => {
              const body = host.shadowRoot.querySelector('.body')
              return body.scrollWidth > body.clientWidth
            }""")
        )

    def contrasts(self) -> dict[str, float]:
        """Of each kind of text and of bar with what lies behind it, as WCAG 2 counts it; the least of each kind."""
        contrasts: dict[str, float] = self.host.evaluate(CONTRASTS)
        return contrasts


CONTRASTS = """(host) => {
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
  const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b)
    return (high + 0.05) / (low + 0.05)
  }
  const ground = getComputedStyle(host).backgroundColor
  const least = {}
  const note = (kind, colour) => { least[kind] = Math.min(least[kind] ?? Infinity, contrast(colour, ground)) }
  for (const part of host.shadowRoot.querySelectorAll('h2, h3, p, span, dt, dd'))
    if (part.textContent && part.checkVisibility() && !part.closest('.visually-hidden'))
      note(part.matches('h2, h3, .name, .amount, .sign, dt, .count') ? 'text' : 'quiet', getComputedStyle(part).color)
  for (const part of host.shadowRoot.querySelectorAll('.done, .column'))
    note('bar', getComputedStyle(part).backgroundColor)
  return least
}"""
