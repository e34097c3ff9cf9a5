"""What axe, the usual judge of pages, has against what can be seen."""

from __future__ import annotations

from functools import cache
from typing import Any

from playwright.sync_api import Locator
from real.node import fetch_axe

ALL = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
JUDGE = """async (element, runOnly) => {
  const { violations } = await axe.run(element, { runOnly, resultTypes: ['violations'] })
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html}: ${failureSummary}`))
}"""


def violations(element: Locator) -> list[str]:
    """Everything within it, shadow roots too, that breaks a rule of axe's."""
    return judged(element, {"type": "tag", "values": ALL})


def faint_texts(element: Locator) -> list[str]:
    """Those that do not stand out from their ground: all that another theme can change."""
    return judged(element, {"type": "rule", "values": ["color-contrast"]})


def judged(element: Locator, rules: dict[str, Any]) -> list[str]:
    if not element.page.evaluate("'axe' in window"):
        element.page.evaluate(source())
    found: list[str] = element.evaluate(JUDGE, rules)
    return found


@cache
def source() -> str:
    return fetch_axe().read_text(encoding="utf-8")
