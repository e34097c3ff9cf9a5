"""What the Tag Generation node says."""

from __future__ import annotations

from sidecar.comfyui.workflow_reader.facts import WorkflowFacts
from sidecar.comfyui.workflow_reader.graph import Graph
from sidecar.comfyui.workflow_reader.values import as_text

TAG_NODE = "GenonautTagGeneration"
MAX_TITLE_CHARACTERS = 200
MAX_TAGS = 20
MAX_TAG_CHARACTERS = 50


def read_tags(graph: Graph, facts: WorkflowFacts) -> None:
    tags: list[str] = []
    for node_id, inputs in graph.nodes.items():
        if graph.types[node_id] == TAG_NODE:
            facts.title = facts.title or (as_text(inputs.get("title")) or "").strip()[:MAX_TITLE_CHARACTERS]
            tags += (tag.strip()[:MAX_TAG_CHARACTERS] for tag in (as_text(inputs.get("tags")) or "").split(","))
    facts.tags = [tag for tag in dict.fromkeys(tags) if tag][:MAX_TAGS]
