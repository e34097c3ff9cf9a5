"""A bare page with the panel in it, in a real Chromium, against a scripted sidecar."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fakes.sidecar_api import ScriptedSidecar
from playwright.sync_api import Browser
from web.chromium import chromium
from web.panel import OpenPanel, Panel


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def sidecar() -> Iterator[ScriptedSidecar]:
    with ScriptedSidecar().serving() as sidecar:
        yield sidecar


@pytest.fixture
def open_panel(browser: Browser, sidecar: ScriptedSidecar) -> Iterator[OpenPanel]:
    """Opens the page, and holds at the end that nothing went wrong in it unseen."""
    contexts = []
    panels = []

    def open_it(*, width: int = 350, height: int = 800, query: str = "", **context_options: Any) -> Panel:
        size = {"width": max(width, 320), "height": height}
        # Without a graphics card every frame of an animation is drawn by the processor.
        context = browser.new_context(**{"viewport": size, "reduced_motion": "reduce", **context_options})
        contexts.append(context)
        panel = Panel(context.new_page())
        panels.append(panel)
        panel.page.goto(f"{sidecar.url}/?width={width}px&{query}")
        panel.page.wait_for_function("window.tab !== undefined")
        return panel

    yield open_it
    for context in contexts:
        context.close()
    assert [error for panel in panels for error in panel.errors] == []
