"""A workflow for a ComfyUI that does not have our nodes: with ComfyUI's own in their place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SAVE_IMAGE = "GenonautSaveImage"
TAG_GENERATION = "GenonautTagGeneration"
OWN_NODES = frozenset({SAVE_IMAGE, TAG_GENERATION})
CORE_SAVE_IMAGE = "SaveImage"


def without_own_nodes(workflow: Mapping[str, Any]) -> dict[str, Any]:
    """
    *Save Image (Genonaut)* becomes *Save Image*, and *Tag Generation* is left out: what it passes on is taken from
    where it takes it. Everything else stays as it is.
    """
    tags = {node_id: node for node_id, node in workflow.items() if is_a(node, TAG_GENERATION)}
    return {
        node_id: with_core_nodes(node, tags) if isinstance(node, Mapping) else node
        for node_id, node in workflow.items()
        if node_id not in tags
    }


def with_core_nodes(node: Mapping[str, Any], tags: Mapping[str, Any]) -> dict[str, Any]:
    changed = dict(node)
    if is_a(node, SAVE_IMAGE):
        changed["class_type"] = CORE_SAVE_IMAGE
    inputs = node.get("inputs")
    if isinstance(inputs, Mapping):
        changed["inputs"] = {name: source_of(value, tags) for name, value in inputs.items()}
    return changed


def source_of(value: Any, tags: Mapping[str, Any]) -> Any:
    """Where a link leads that may go through nodes which are left out."""
    seen: set[str] = set()
    while isinstance(value, list) and value and str(value[0]) in tags.keys() - seen:
        seen.add(str(value[0]))
        value = (tags[str(value[0])].get("inputs") or {}).get("images")
    return value


def is_a(node: Any, class_type: str) -> bool:
    return isinstance(node, Mapping) and node.get("class_type") == class_type
