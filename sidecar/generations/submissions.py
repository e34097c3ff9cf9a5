"""What somebody asks for, by whichever door, in one form."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID

from msgspec import UnsetType, structs

from sidecar.catalog.snapshot import Snapshot
from sidecar.catalog.usable import switched_off_parameters
from sidecar.comfyui.workflow_builder import (
    Parameters,
    build_workflow,
    check_parameters,
    draw_seed,
    in_field_order,
    with_listed_names,
)
from sidecar.comfyui.workflow_reader import WorkflowFacts, read_workflow
from sidecar.errors import InvalidParameters, InvalidRequest
from sidecar.generations.idempotency import Once
from sidecar.generations.schemas import PromptSubmission, Source, Submission, clean_tags
from sidecar.identity import uuid7
from sidecar.limits.paces import work_of

# ComfyUI's execution.SENSITIVE_EXTRA_DATA_KEYS: other people's secrets have no place in our database.
SENSITIVE_EXTRA_DATA_KEYS = frozenset({"auth_token_comfy_org", "api_key_comfy_org"})
NOTHING_KNOWN = Snapshot()


@dataclass(frozen=True)
class Request:
    """A submission from whichever door, in one form."""

    id: UUID
    owner_id: UUID
    source: Source
    workflow: dict[str, Any]
    ui_workflow: dict[str, Any] | None = None
    extra_data: dict[str, Any] = field(default_factory=dict)
    client_id: str | None = None
    partial_execution_targets: list[str] | None = None
    title: str = ""
    tags: tuple[str, ...] = ()
    parent_id: UUID | None = None
    """The generation that it repeats."""
    front: bool = False
    """It is to be the next of its owner's."""
    priority: int = 0
    """Among what the same person waits for: before those that have less."""
    once: Once | None = None
    is_new: bool = False
    """Its id was drawn for it, so that nothing of it can be there yet."""

    @cached_property
    def facts(self) -> WorkflowFacts:
        """What can be read from the workflow."""
        return read_workflow(self.workflow)

    @cached_property
    def work(self) -> float:
        """How much is to be done (`limits/paces.py`)."""
        facts = self.facts
        return work_of(
            width=facts.width,
            height=facts.height,
            steps=facts.sampler.steps,
            batch_size=facts.batch_size,
            frames=facts.frames,
        )


def from_submission(
    submission: Submission, owner_id: UUID, once: Once | None = None, *, known: Snapshot = NOTHING_KNOWN
) -> Request:
    parameters, workflow = submission.parameters, submission.workflow
    if isinstance(parameters, Parameters) and isinstance(workflow, UnsetType):
        workflow = built_workflow(parameters, known)
    elif isinstance(workflow, dict) and isinstance(parameters, UnsetType):
        workflow = checked_workflow(workflow)
    else:
        raise InvalidRequest("Send either `parameters` or `workflow`, and not both.")
    return Request(
        id=uuid7(),
        is_new=True,
        owner_id=owner_id,
        source="api",
        workflow=workflow,
        client_id=submission.client_id,
        title=submission.title.strip(),
        tags=tuple(clean_tags(submission.tags)),
        priority=submission.priority,
        once=once,
    )


def from_prompt(prompt: PromptSubmission, owner_id: UUID) -> Request:
    """Read what the gate hands over; the page's drawing of the workflow moves out of `extra_data`."""
    ui_workflow, extra_data = split_extra_data(prompt.extra_data)
    return Request(
        id=prompt.id,
        owner_id=owner_id,
        source=prompt.source,
        workflow=checked_workflow(prompt.workflow),
        ui_workflow=ui_workflow,
        extra_data=extra_data,
        client_id=prompt.client_id,
        partial_execution_targets=prompt.partial_execution_targets,
        front=prompt.front,
    )


def split_extra_data(extra_data: dict[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """The UI workflow, and everything else that is no secret."""
    rest = {key: value for key, value in extra_data.items() if key not in SENSITIVE_EXTRA_DATA_KEYS}
    pnginfo = rest.get("extra_pnginfo")
    if not isinstance(pnginfo, dict):
        return None, rest
    ui_workflow = pnginfo.get("workflow")
    rest["extra_pnginfo"] = {key: value for key, value in pnginfo.items() if key != "workflow"}
    return ui_workflow if isinstance(ui_workflow, dict) else None, rest


def checked_workflow(workflow: dict[str, Any]) -> dict[str, Any]:
    if not workflow:
        raise InvalidRequest("The workflow is empty. Send it in ComfyUI's API format (Export (API) in ComfyUI's menu).")
    for node_id, node in workflow.items():
        if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
            raise InvalidRequest(
                f"Node {node_id!r} has no class_type. "
                "Send the workflow in ComfyUI's API format (Export (API) in ComfyUI's menu)."
            )
    return workflow


def built_workflow(parameters: Parameters, known: Snapshot) -> dict[str, Any]:
    if parameters.seed is None:
        parameters = structs.replace(parameters, seed=draw_seed())
    errors = check_parameters(parameters, known.options) + switched_off_parameters(known, parameters)
    if errors:
        raise InvalidParameters(errors=tuple(in_field_order(errors)))
    return build_workflow(with_listed_names(parameters, known.options))
