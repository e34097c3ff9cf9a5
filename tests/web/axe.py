"""What axe, the usual judge of pages, has against what can be seen."""

from __future__ import annotations

from functools import cache

from playwright.sync_api import Locator
from real.node import fetch_axe

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
JUDGE = """async (element, rules) => {
  const { violations } = await axe.run(element, { runOnly: rules, resultTypes: ['violations'] })
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html}: ${failureSummary}`))
}"""


def violations(element: Locator) -> list[str]:
    """Everything within it, shadow roots too, that breaks a rule of axe's."""
    if not element.page.evaluate("'axe' in window"):
        element.page.evaluate(source())
    found: list[str] = element.evaluate(JUDGE, RULES)
    return found


@cache
def source() -> str:
    return fetch_axe().read_text(encoding="utf-8")
