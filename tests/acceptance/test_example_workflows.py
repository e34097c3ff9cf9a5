"""The examples in ComfyUI's template browser, in ComfyUI's own page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from acceptance.installation import Installation
from real.models import CHECKPOINT
from web.chromium import chromium

EXAMPLES = sorted((Path(__file__).parents[2] / "example_workflows").glob("*.json"))
PAGE_IS_THERE_WITHIN_MS = 60_000
TO_PROMPT = """
async ([workflow, checkpoint]) => {
  await window.app.loadGraphData(workflow)
  const graph = window.app.rootGraph ?? window.app.graph
  for (const node of graph.nodes) {
    for (const widget of node.widgets ?? []) {
      if (widget.name === 'ckpt_name') widget.value = checkpoint
      if (['width', 'height'].includes(widget.name)) widget.value = 64
      if (widget.name === 'steps') widget.value = 1
    }
  }
  await window.app.queuePrompt(0, 1)
}
"""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_runs_as_soon_as_a_checkpoint_is_chosen(genonaut: Installation, example: Path) -> None:
    """
    Whoever opens it from the template browser has nothing else to do (smaller here, so that it is quick).
    """
    before = {generation["id"] for generation in genonaut.history()}
    with chromium() as browser:
        page = browser.new_page()
        page.goto(genonaut.url)
        page.wait_for_function("window.app?.graph !== undefined", timeout=PAGE_IS_THERE_WITHIN_MS)
        page.evaluate(TO_PROMPT, [json.loads(example.read_text(encoding="utf-8")), CHECKPOINT])
        new = [generation for generation in genonaut.wait_until_nothing_is_open() if generation["id"] not in before]

    assert [generation["state"] for generation in new] == ["completed"]
    assert new[0]["title"]
    assert new[0]["images"]
