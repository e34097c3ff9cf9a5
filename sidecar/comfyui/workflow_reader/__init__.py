"""
Workflow -> facts: what was asked for, read out of any workflow as far as it is there.

Reading starts at the last sampler and follows its links backwards, through nodes that nobody here has heard of too. It
takes whatever a page or a program sent, so it never fails: what cannot be read stays empty.

    values (what fits) -> graph (nodes and links) -> samplers (which one decides)
        -> texts, models, sizes, tags -> reading (all facts, and where they stand)
    written (every text), extent (how much at most): for whoever has to look at all of it
"""

from sidecar.comfyui.workflow_reader.extent import Extent, measure
from sidecar.comfyui.workflow_reader.facts import SamplerFacts, WorkflowFacts
from sidecar.comfyui.workflow_reader.graph import Graph, Place
from sidecar.comfyui.workflow_reader.reading import Reading, read, read_workflow
from sidecar.comfyui.workflow_reader.written import Written, read_written

__all__ = [
    "Extent",
    "Graph",
    "Place",
    "Reading",
    "SamplerFacts",
    "WorkflowFacts",
    "Written",
    "measure",
    "read",
    "read_workflow",
    "read_written",
]
