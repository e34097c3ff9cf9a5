"""How a generation looks from outside (sidecar/README.md, "HTTP for people")."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from sidecar.comfyui.workflow_builder import Parameters
from sidecar.comfyui.workflow_builder.parameters import (
    BatchSize,
    Cfg,
    Denoise,
    Loras,
    Name,
    NegativePrompt,
    Prompt,
    Side,
    Steps,
)
from sidecar.gallery.schemas import ImageView
from sidecar.limits.reasons import Reason

State = Literal["pending", "submitted", "running", "completed", "failed", "cancelled", "lost"]
Review = Literal["waiting", "released", "hidden"]
WITHHELD = frozenset({"waiting", "hidden"})
"""Reviews during which nobody but administrators sees the images."""
TAGS_AT_MOST = 20
IN_BULK_AT_MOST = 500
HELD_TOLD_AT_MOST = 1000
"""So much of what is held ComfyUI's page is told, and shows."""

Source = Literal["page", "panel", "api", "outside"]
Title = Annotated[str, Meta(max_length=200, description="A name for people to find it by.")]
Tag = Annotated[str, Meta(min_length=1, max_length=50)]
Tags = Annotated[list[Tag], Meta(max_length=TAGS_AT_MOST)]
Priority = Annotated[
    int,
    Meta(
        ge=-100,
        le=100,
        description="Among what you wait for yourself: before those that have less. What comes from ComfyUI's page has "
        "0; what a program asks for has -10 unless it says otherwise. Nobody else's turn depends on it.",
    ),
]
IN_THE_BACKGROUND = -10


class Submission(Struct, forbid_unknown_fields=True):
    """What somebody asks for: parameters or a workflow in ComfyUI's API format, never both."""

    parameters: Parameters | UnsetType = UNSET
    workflow: dict[str, Any] | UnsetType = UNSET
    title: Title = ""
    tags: Tags = field(default_factory=list)
    client_id: Annotated[str, Meta(max_length=200)] | None = None
    """The ComfyUI websocket that shall hear of it while it runs."""
    priority: Priority = IN_THE_BACKGROUND


class Overrides(Struct, forbid_unknown_fields=True):
    """What shall be different this time; what is left out stays as it was."""

    prompt: Prompt | UnsetType = UNSET
    negative_prompt: NegativePrompt | UnsetType = UNSET
    checkpoint: Name | UnsetType = UNSET
    loras: Loras | UnsetType = UNSET
    """All of them anew; only where the generation was submitted by parameters."""
    width: Side | UnsetType = UNSET
    height: Side | UnsetType = UNSET
    batch_size: BatchSize | UnsetType = UNSET
    seed: int | Literal["random"] | UnsetType = UNSET
    """A seed, or `random` for one that is drawn; without either the images may be the same again."""
    steps: Steps | UnsetType = UNSET
    cfg: Cfg | UnsetType = UNSET
    sampler_name: Name | UnsetType = UNSET
    scheduler: Name | UnsetType = UNSET
    denoise: Denoise | UnsetType = UNSET


class Repeat(Struct, forbid_unknown_fields=True):
    """How to do a generation again. Title and tags are those of the first unless others are given."""

    parameters: Overrides | UnsetType = UNSET
    title: Title | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    client_id: Annotated[str, Meta(max_length=200)] | None = None
    """The ComfyUI websocket that shall hear of it while it runs."""
    priority: Priority = IN_THE_BACKGROUND


class PromptSubmission(Struct):
    """What the pack's gate hands over."""

    id: UUID
    workflow: dict[str, Any]
    extra_data: dict[str, Any] = field(default_factory=dict)
    client_id: str | None = None
    partial_execution_targets: list[str] | None = None
    source: Source = "page"
    front: bool = False
    """It is to be the next of its owner's, before all that they wait for already."""
    owner_id: UUID | None = None
    """Who asks; in `open` access the local owner, whatever it says."""
    address: str | None = None
    """Who spoke to ComfyUI, perhaps a proxy; for whom it did, the request's own headers say."""


class PromptCancellation(Struct):
    """Who takes a prompt back; in `open` access the local owner, whatever it says."""

    owner_id: UUID | None = None


class PromptClearing(Struct):
    """Who clears ComfyUI's own queue; in `open` access the local owner, whatever it says."""

    owner_id: UUID | None = None
    through: int | None = None
    """As answered the last time; None at first."""
    shown: Annotated[list[UUID], Meta(max_length=HELD_TOLD_AT_MOST)] = []
    """What they saw waiting. Some of it may have been let go since, and was meant all the same."""


class Cleared(Struct):
    """Up to which number everything that waits is to be cancelled, and whether some of it is left."""

    through: int
    more: bool


class PromptAdmitted(Struct):
    """What the gate answers to ComfyUI's page."""

    id: UUID
    number: int
    state: str


class Progress(Struct):
    """How far a running generation is. `fraction` is 0..1 over all its nodes."""

    fraction: float
    node_id: str | None = None
    node_type: str | None = None
    step: int | None = None
    steps: int | None = None


class ProgressEvent(Struct):
    """The SSE event `progress`."""

    id: UUID
    progress: Progress


class Failure(Struct):
    """Why it ended badly."""

    code: str
    message: str
    node_id: str | None = None
    node_type: str | None = None


class Moments(Struct):
    """When something will probably be, and between what it mostly is."""

    likely: datetime
    earliest: datetime
    latest: datetime


class PartOfDay(Struct):
    """What of a day's budget something takes."""

    limit: str
    part: float
    """0.02: two of a hundred parts."""
    group: str | None
    """Whose it is; None: one's own."""


class ForecastRefusal(Struct):
    """Why something would be refused."""

    code: str
    message: str
    retry_after_s: float | None
    """When it would not be any more, as far as anybody knows."""
    facts: dict[str, Any]
    """What belongs to this code in an error: of `limit_reached` `limit`, `used`, `allowed`, `group`."""


class Forecast(Struct):
    """What would become of a submission, as it looks now."""

    seconds: float
    """How many GPU seconds it will probably take; mostly between the next two."""
    low_s: float
    high_s: float
    basis: str
    """From what that is known, in a sentence."""
    of_day: list[PartOfDay]
    """What it would take of each budget of a day that there is."""
    outcome: Literal["enters", "held", "refused"]
    """`held`: a limit lets it go at `held_until`."""
    held_until: datetime | None
    reason: Reason | None
    """Why it is held, or why nothing begins at present."""
    why: str | None
    """The same, or why it is refused, in a sentence, in English."""
    refusal: ForecastRefusal | None
    own_before: int
    others_before: int
    people_before: int
    starts_at: Moments | None
    """When it would begin; None where it is refused, or nothing can begin."""
    ends_at: Moments | None


class Waiting(Struct):
    """What a generation waits for that has not begun."""

    own_before: int
    """How many of the same person run before it, as it looks now."""
    others_before: int
    """How many of other people."""
    people_before: int
    """How many people those are."""
    held_until: datetime | None
    """It does not go before, even if nothing else waits."""
    starts_at: Moments | None
    """When it will probably begin, as it looks now; None while nothing can begin."""
    reason: Reason
    why: str
    """The reason in a sentence, in English."""


class InTurn(Struct):
    """One that waits, among all of somebody's."""

    id: UUID
    place: int
    waiting: Waiting


class WaitingEvent(Struct):
    """The SSE event `waiting`."""

    items: list[InTurn]
    """The next ones, in the order of their turns; on the stream of one generation this one, while it waits."""
    count: int
    """How many somebody waits for in all."""


class GenerationView(Struct):
    """One generation. Times are RFC 3339 in UTC."""

    id: UUID
    number: int
    state: State
    cancel_requested: bool
    title: str
    tags: list[str]
    prompt: str
    negative_prompt: str
    checkpoint: str
    loras: list[dict[str, Any]]
    width: int | None
    height: int | None
    batch_size: int | None
    sampler: dict[str, Any]
    source: Source
    place: int | None
    """How many held generations run before this one, as it looks now; None once it is in ComfyUI's queue."""
    waiting: Waiting | None
    """What it waits for; None once it is in ComfyUI's queue."""
    waiting_reason: str | None
    """Why it waits, where that is not others' turn: a limit holds it back, or nothing that could do it can work now."""
    not_before: datetime | None
    """Until when it is held back."""
    progress: Progress | None
    error: Failure | None
    images: list[ImageView]
    review: Review | None
    """While it is `waiting` or `hidden` its images are withheld: administrators look at them first."""
    favourite: bool
    parent_id: UUID | None
    """The generation that this one repeats."""
    child_count: int
    """How often this one was repeated."""
    gpu_seconds: float | None
    created_at: datetime
    submitted_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    updated_at: datetime
    trashed_at: datetime | None
    """Since when it lies in the trash."""


class Transition(Struct):
    """One step of a generation, and why where that is not plain."""

    state: State
    at: datetime
    reason: str


class Timeline(Struct):
    """Every step of a generation, in the order in which they happened."""

    items: list[Transition]


class GenerationPatch(Struct, forbid_unknown_fields=True):
    """What its owner may change of a generation; what is left out stays as it is."""

    title: Title | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    favourite: bool | UnsetType = UNSET


class BulkAction(Struct, forbid_unknown_fields=True):
    """What shall be done with many generations at once; safe to send again."""

    action: Literal["cancel", "trash", "restore", "tag"]
    ids: Annotated[list[UUID], Meta(min_length=1, max_length=IN_BULK_AT_MOST)]
    tags: Tags = field(default_factory=list)
    """With `tag`: what to add to the tags that are there."""
    cancel: bool = False
    """With `trash`: take back first what has not ended."""


class BulkOutcome(Struct):
    """What became of one of them; `code` and `message` say why nothing was done."""

    id: UUID
    done: bool
    code: str | None = None
    message: str | None = None


class BulkOutcomes(Struct):
    """One outcome for each id, in their order."""

    outcomes: list[BulkOutcome]


class GenerationPage(Struct):
    """One page of a list; `next_cursor` is None on the last one."""

    items: list[GenerationView]
    next_cursor: str | None


class WorkflowView(Struct):
    """What was executed, and how the page drew it (None where it did not come from a page)."""

    workflow: dict[str, Any]
    ui_workflow: dict[str, Any] | None


def clean_tags(tags: Iterable[str]) -> list[str]:
    """Each once, without the space around it; empty ones are none."""
    return list(dict.fromkeys(tag for tag in map(str.strip, tags) if tag))
