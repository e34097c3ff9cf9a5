"""The same again, or nearly: what ran once is submitted anew, with whatever shall be different this time."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from msgspec import UNSET, structs

from sidecar.catalog.catalog import Catalog
from sidecar.comfyui.ui_workflow import redrawn
from sidecar.comfyui.workflow_builder import Options, Parameters, check_parameters, draw_seed, with_listed_names
from sidecar.comfyui.workflow_editor import override, parameters_of
from sidecar.comfyui.workflow_reader import read_workflow
from sidecar.database import Database
from sidecar.errors import InvalidParameters
from sidecar.generations.history import owned
from sidecar.generations.idempotency import Once
from sidecar.generations.models import Generation, Workflow
from sidecar.generations.schemas import Repeat, WorkflowView
from sidecar.generations.submissions import Request
from sidecar.generations.workflows import unpack_workflow
from sidecar.identity import uuid7


class Repeats:
    """Makes a new submission out of a generation. One a process."""

    def __init__(self, database: Database, catalog: Catalog) -> None:
        self._database = database
        self._catalog = catalog

    async def of(self, owner_id: UUID, generation_id: UUID, wanted: Repeat, once: Once | None = None) -> Request:
        """
        Raises:
            NotFound: It is not the owner's.
            InvalidParameters: What shall be different cannot be used, or stands nowhere in this workflow.
        """
        async with self._database.reading() as session:
            original = await owned(session, owner_id, generation_id)
            stored = unpack_workflow(await session.get_one(Workflow, original.workflow_hash))
        # A workflow may have thousands of nodes, and everybody else's requests must not wait for them.
        repeated = await asyncio.to_thread(edited, stored, overrides_of(wanted), self._catalog.snapshot.options)
        return as_request(original, repeated, wanted, once)


def overrides_of(wanted: Repeat) -> dict[str, Any]:
    """What shall be different, by the names that parameters have."""
    if wanted.parameters is UNSET:
        return {}
    overrides = {name: value for name, value in structs.asdict(wanted.parameters).items() if value is not UNSET}
    if overrides.get("seed") == "random":
        overrides["seed"] = draw_seed()
    return overrides


def edited(stored: WorkflowView, overrides: dict[str, Any], options: Options) -> WorkflowView:
    """
    Raises:
        InvalidParameters: All field errors together.
    """
    if not overrides:
        return stored
    result = override(stored.workflow, checked(stored.workflow, overrides, options))
    if result.unlocated:
        raise InvalidParameters(errors=tuple(unlocated(name) for name in result.unlocated))
    return WorkflowView(result.workflow, redrawn(stored.ui_workflow, stored.workflow, result.changed))


def checked(workflow: dict[str, Any], overrides: dict[str, Any], options: Options) -> dict[str, Any]:
    """
    The overrides, with models named as ComfyUI lists them. Only what shall be different can be wrong: the rest has
    run before.
    """
    before = parameters_of(read_workflow(workflow))
    options = options_for(before, options)
    parameters: Parameters = structs.replace(before, **overrides)
    errors = [error for error in check_parameters(parameters, options) if root_of(error["field"]) in overrides]
    if errors:
        raise InvalidParameters(errors=tuple(errors))
    named = with_listed_names(parameters, options)
    return {name: getattr(named, name) for name in overrides}


def options_for(before: Parameters, options: Options) -> Options:
    """A model that is no checkpoint (UNETLoader's, a GGUF's) is replaced by one that is none either."""
    if options.checkpoints is None or options.checkpoints.find(before.checkpoint) is not None:
        return options
    return structs.replace(options, checkpoints=None)


def root_of(field: str) -> str:
    """`loras[1].name` is about `loras`."""
    return field.partition("[")[0]


def unlocated(name: str) -> dict[str, str]:
    return {
        "field": name,
        "code": "not_located",
        "message": "Cannot be changed here: it cannot be told where this workflow holds it. "
        "Open the workflow in ComfyUI and change it there.",
    }


def as_request(original: Generation, repeated: WorkflowView, wanted: Repeat, once: Once | None) -> Request:
    return Request(
        id=uuid7(),
        is_new=True,
        owner_id=original.owner_id,
        source="api",
        workflow=repeated.workflow,
        ui_workflow=repeated.ui_workflow,
        extra_data=original.submission.get("extra_data") or {},
        client_id=wanted.client_id,
        partial_execution_targets=original.submission.get("partial_execution_targets"),
        title=original.title if wanted.title is UNSET else wanted.title,
        tags=tuple(original.tags if wanted.tags is UNSET else wanted.tags),
        parent_id=original.id,
        priority=wanted.priority,
        once=once,
    )
