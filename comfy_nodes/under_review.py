"""
Prompts that administrators look at before their owner sees what they made.

The sidecar says so in the tag of a prompt. Its files are saved where administrators alone look, and its owner is told
that it runs and how it ends, and nothing of what comes out of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

REVIEW_FOLDER = "review"
"""Beside people's own folders, and nobody's: what lies in it is for administrators, also once it is released."""


def is_marked(extra_data: Any) -> bool:
    """Does the tag of a prompt say that administrators look at it first?"""
    tag = extra_data.get("genonaut") if isinstance(extra_data, Mapping) else None
    return isinstance(tag, Mapping) and tag.get("review") is True


def without_content(output: Any) -> dict[str, Any]:
    """Tell of a node's output what kinds of things it has, each as a list of none: pages can draw that."""
    return {kind: [] for kind in output} if isinstance(output, Mapping) else {}


def without_outputs(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The same of an entry of ComfyUI's history."""
    outputs = entry.get("outputs")
    nodes = outputs.items() if isinstance(outputs, Mapping) else ()
    return {**entry, "outputs": {node_id: without_content(output) for node_id, output in nodes}}
