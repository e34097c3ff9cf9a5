"""Workflow + parameters -> the same workflow with these parameters, for asking again with something else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, structs

from sidecar.comfyui.workflow_builder import Parameters, build_workflow
from sidecar.comfyui.workflow_reader import Place, Reading, WorkflowFacts, read


class Edited(Struct):
    """What came of it. `unlocated` names what nobody can say where to change; `workflow` is without it."""

    workflow: dict[str, Any]
    changed: dict[Place, Any]
    """What stands now where something else stood."""
    unlocated: list[str]


def override(workflow: dict[str, Any], wanted: Mapping[str, Any]) -> Edited:
    """
    A copy of the workflow with some of its parameters changed, there where the reader finds them.

    A workflow that our builder made is built anew, so everything in it can change, its LoRAs too.

    Args:
        wanted: Names and values as `Parameters` has them, valid ones.
    """
    reading = read(workflow)
    parameters = parameters_of(reading.facts)
    if parameters.seed is not None and build_workflow(parameters) == workflow:
        return rebuilt(workflow, structs.replace(parameters, **wanted))
    changed: dict[Place, Any] = {}
    unlocated: list[str] = []
    for name, value in wanted.items():
        places = editable_places(reading, name)
        changed.update(dict.fromkeys(places, value))
        if not places:
            unlocated.append(name)
    return Edited(with_changes(workflow, changed), changed, unlocated)


def parameters_of(facts: WorkflowFacts) -> Parameters:
    """Facts as parameters; what is not known is as it would be if nobody had said it."""
    said = structs.asdict(facts) | structs.asdict(facts.sampler)
    known = {name: said[name] for name in Parameters.__struct_fields__ if said[name] is not None}
    return Parameters(**known)


def rebuilt(workflow: dict[str, Any], parameters: Parameters) -> Edited:
    built = build_workflow(parameters)
    before, after = inputs_by_place(workflow), inputs_by_place(built)
    changed = {place: value for place, value in after.items() if place not in before or before[place] != value}
    return Edited(built, changed, [])


def inputs_by_place(workflow: dict[str, Any]) -> dict[Place, Any]:
    return {Place(node_id, name): value for node_id, node in workflow.items() for name, value in node["inputs"].items()}


def editable_places(reading: Reading, name: str) -> list[Place]:
    """None where both prompts are one text: what is wanted of the one would become of the other as well."""
    places = reading.places.get(name, [])
    others = {"prompt": "negative_prompt", "negative_prompt": "prompt"}
    shared = set(reading.places.get(others.get(name, ""), []))
    return [] if shared.intersection(places) else places


def with_changes(workflow: dict[str, Any], changed: Mapping[Place, Any]) -> dict[str, Any]:
    """A copy in which the changed nodes are new and all others are shared."""
    copy = dict(workflow)
    for place, value in changed.items():
        node = copy[place.node_id]
        copy[place.node_id] = {**node, "inputs": {**node["inputs"], place.name: value}}
    return copy
