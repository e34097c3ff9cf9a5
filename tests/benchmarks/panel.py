"""The history panel with 100 000 generations, in a real Chromium, against a scripted sidecar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fakes.sidecar_api import ScriptedSidecar
from playwright.sync_api import Page
from web.chromium import chromium
from web.panel import Panel

from benchmarks.figures import Budget, Row, percentile

GENERATIONS = 100_000
TIMES_OPENED = 5
FRAMES = 600
PX_A_FRAME = 120
BYTES_IN_A_MB = 1024**2
FRAME_BUDGET = Budget(50.0)

# A frame is as long as the page needed for it: on a machine without a screen, frames come when they are ready.
WATCH_TASKS = """() => {
  window.longTasks = []
  new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((task) => task.duration)))
    .observe({ type: 'longtask' })
}"""
SCROLL = """async (host, [frames, step]) => {
  const scroller = host.shadowRoot.querySelector('.scroller')
  const found = []
  let before = await new Promise(requestAnimationFrame)
  for (let frame = 0; frame < frames; frame++) {
    scroller.scrollTop += step
    const now = await new Promise(requestAnimationFrame)
    found.push(now - before)
    before = now
  }
  return found
}"""
READ_ALL = """async () => {
  const { History } = await import('/extensions/comfyui-genonaut/history.js')
  const { SidecarClient } = await import('/extensions/comfyui-genonaut/sidecar_client.js')
  const history = new History(new SidecarClient('/genonaut/api/v1'), { pageSize: 500, keptPages: 5 })
  await history.refresh()
  while (!history.isComplete) await history.readMore()
  window.heldByTheBenchmark = history
}"""


def rows(folder: Path) -> list[Row]:
    """`folder` stays empty: the twin makes its generations up from their numbers."""
    with chromium() as browser, ScriptedSidecar(GENERATIONS).serving() as sidecar:
        context = browser.new_context(viewport={"width": 420, "height": 900})
        opened = [milliseconds_to_open(context.new_page(), sidecar) for _ in range(TIMES_OPENED)]
        page = context.new_page()
        page.goto(sidecar.url)
        panel = Panel(page)
        panel.cards.first.wait_for()
        frames, tasks = scroll(panel)
        page.evaluate(READ_ALL)
        heap = heap_mb(page)
    return [
        Row("panel opens, p50", percentile(opened, 50), "ms", budget=Budget(500)),
        Row("panel opens, worst", max(opened), "ms", budget=Budget(500)),
        Row(f"panel scrolled for {FRAMES} frames, p50", percentile(frames, 50), "ms", budget=FRAME_BUDGET),
        Row("panel scrolled, longest task", max(tasks, default=0.0), "ms", budget=FRAME_BUDGET),
        Row("panel scrolled, tasks over 50 ms", len(tasks), "tasks", budget=Budget(0)),
        Row(f"panel with {GENERATIONS:_} read, heap".replace("_", " "), heap, "MB", budget=Budget(100)),
    ]


def milliseconds_to_open(page: Page, sidecar: ScriptedSidecar) -> float:
    """Milliseconds from the click on the tab to the first cards. The page itself is there already, as ComfyUI's is."""
    page.goto(sidecar.url)
    page.wait_for_function("window.tab !== undefined")
    milliseconds = page.evaluate("""async () => {
      const sidebar = document.getElementById('sidebar')
      window.tab.destroy()
      const began = performance.now()
      window.tab.render(sidebar)
      const list = sidebar.querySelector('genonaut-history').shadowRoot.querySelector('.list')
      while (!list.querySelector('genonaut-generation-card:not([data-empty])'))
        await new Promise(requestAnimationFrame)
      return performance.now() - began
    }""")
    page.close()
    return float(milliseconds)


def scroll(panel: Panel) -> tuple[list[float], list[float]]:
    """How long each frame took, and each task that was longer than the 50 ms from which on Chromium tells of them."""
    panel.page.evaluate(WATCH_TASKS)
    frames: list[Any] = panel.host.evaluate(SCROLL, [FRAMES, PX_A_FRAME])
    tasks: list[Any] = panel.page.evaluate("window.longTasks")
    return [float(frame) for frame in frames], [float(task) for task in tasks]


def heap_mb(page: Page) -> float:
    """Megabytes, after the garbage has gone."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")["usedSize"]
    return float(used) / BYTES_IN_A_MB
