"""The page's drawing of a workflow that was changed."""

from __future__ import annotations

from typing import Any

from sidecar.comfyui.ui_workflow import redrawn
from sidecar.comfyui.workflow_reader import Place

WORKFLOW = {"3": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 768, "batch_size": 1}}}
WIDER = {Place("3", "width"): 640}


def drawn(widgets: Any, **node: Any) -> dict[str, Any]:
    other = {"id": 4, "widgets_values": [512]}
    return {"nodes": [{"id": 3, "widgets_values": widgets, **node}, other], "version": 0.4}


def test_the_widget_that_showed_the_value_shows_the_new_one():
    """
    Whether the page keeps a node's widgets by their order or by their names; other nodes stay as they are.
    """
    before = drawn([512, 768, 1])

    assert redrawn(before, WORKFLOW, WIDER) == drawn([640, 768, 1])
    assert redrawn(drawn({"width": 512, "height": 768}), WORKFLOW, WIDER) == drawn({"width": 640, "height": 768})
    assert before == drawn([512, 768, 1])


def test_a_drawing_that_would_show_something_else_is_left_out():
    """
    Two widgets show the value, none does, the node is nowhere in the drawing, or it is no drawing at all.
    """
    for drawing in (drawn([512, 512, 1]), drawn([64, 768, 1]), drawn(None), drawn([512], id=9), {}, {"nodes": 3}):
        assert redrawn(drawing, WORKFLOW, WIDER) is None, drawing
    assert redrawn(drawn([512, 768, 1]), WORKFLOW, {Place("9", "width"): 640}) is None


def test_yes_is_no_number():
    """
    A switch that is on shows 1 to Python.
    """
    changed = {Place("3", "batch_size"): 2}

    assert redrawn(drawn([512, 768, 1, True]), WORKFLOW, changed) == drawn([512, 768, 2, True])


def test_what_came_without_a_drawing_goes_without_one():
    """
    It came through the API.
    """
    assert redrawn(None, WORKFLOW, WIDER) is None
