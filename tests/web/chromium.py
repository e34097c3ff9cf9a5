"""One Chromium for the tests of a file: Playwright allows no two at once, nor one beside a running event loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, expect, sync_playwright
from real.browser import find_chromium

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--enable-precise-memory-info",
]
EXPECTED_WITHIN_MS = 30_000  # other tests run beside this one, and a page may have to wait for its core


@contextmanager
def chromium() -> Iterator[Browser]:
    expect.set_options(timeout=EXPECTED_WITHIN_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(find_chromium()), args=ARGUMENTS)
        yield browser
        browser.close()
