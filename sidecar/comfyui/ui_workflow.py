"""The page's drawing of a workflow, kept in agreement with a workflow that was changed behind its back."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from sidecar.comfyui.workflow_reader import Place


def redrawn(
    ui_workflow: dict[str, Any] | None, workflow: dict[str, Any], changed: Mapping[Place, Any]
) -> dict[str, Any] | None:
    """
    The drawing with the same changes; None where it cannot be said which of a node's widgets shows a value.

    A drawing that shows other values than those that ran would be worse than none.

    Args:
        workflow: As it was before.
        changed: What stands now where something else stood.
    """
    if ui_workflow is None:
        return None
    drawing = copy.deepcopy(ui_workflow)
    for place, value in changed.items():
        widgets = list(widgets_of(drawing, place.node_id, held_by(workflow, place)))
        if len(widgets) != 1:
            return None
        values, key = widgets[0]
        values[key] = value
    return drawing


def held_by(workflow: dict[str, Any], place: Place) -> Any:
    """What an input holds; None for a node that was not there."""
    return workflow.get(place.node_id, {}).get("inputs", {}).get(place.name)


def widgets_of(drawing: dict[str, Any], node_id: str, held: Any) -> Iterator[tuple[Any, Any]]:
    """The widgets of a node that show this value: what holds their values, and where in it."""
    nodes = drawing.get("nodes")
    for node in nodes if isinstance(nodes, list) else ():
        if not isinstance(node, dict) or str(node.get("id")) != node_id:
            continue
        values = node.get("widgets_values")
        shown = enumerate(values) if isinstance(values, list) else values.items() if isinstance(values, dict) else ()
        yield from ((values, key) for key, value in shown if shows(value, held))


def shows(value: Any, held: Any) -> bool:
    """Yes and no are no numbers here, though Python takes them for such."""
    return isinstance(value, str | int | float) and not isinstance(value, bool) and bool(value == held)
