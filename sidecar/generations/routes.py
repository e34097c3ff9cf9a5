"""HTTP for generations: thin, each handler one call into the subject."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timezone
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage
from litestar.status_codes import HTTP_200_OK, HTTP_202_ACCEPTED

from sidecar.accounts.callers import Caller
from sidecar.accounts.guards import requires_pairing, requires_read, requires_submit
from sidecar.accounts.recognition import Recognition
from sidecar.clients import TrustedProxies, client_of
from sidecar.errors import InvalidRequest
from sidecar.field_faults import WRONG_TYPE
from sidecar.generations.admission import Admission
from sidecar.generations.bulk import Bulk
from sidecar.generations.clearing import Clearing
from sidecar.generations.dispatcher import Dispatcher
from sidecar.generations.editing import Editor
from sidecar.generations.filters import Filter
from sidecar.generations.forecasts import Forecasts
from sidecar.generations.history import History
from sidecar.generations.idempotency import once
from sidecar.generations.repeat import Repeats
from sidecar.generations.schemas import (
    BulkAction,
    BulkOutcomes,
    Cleared,
    Forecast,
    GenerationPage,
    GenerationPatch,
    GenerationView,
    PromptAdmitted,
    PromptCancellation,
    PromptClearing,
    PromptSubmission,
    Repeat,
    Submission,
    Timeline,
    WorkflowView,
)
from sidecar.generations.states import GenerationState
from sidecar.generations.submissions import from_prompt
from sidecar.generations.trash import Trash
from sidecar.limits.persons import Persons
from sidecar.live_events import ENDED, Listener, LiveEvents

PAGE_AT_MOST = 200
PROMPTS_BYTES = 512 * 1024  # two of the greatest length, each character of them escaped
WORKFLOW_BYTES = 64 * 1024**2  # with its drawing it is some 100 kB; pasted masks have been seen to make it 30 MB
KEEP_AWAKE_S = 15.0
PENDING_ALONE = Filter(states=(GenerationState.PENDING,))
STREAM_LASTS_S = 3600.0  # browsers come again by themselves, and are asked again who they are

Owner = NamedDependency[UUID]
Limit = Annotated[int, QueryParameter(ge=1, le=PAGE_AT_MOST, description="How many at most.")]
Cursor = Annotated[str | None, QueryParameter(max_length=200, description="`next_cursor` of the page before.")]
States = Annotated[
    list[GenerationState] | None, QueryParameter(name="state", description="Only these; may be repeated.")
]
Checkpoint = Annotated[str | None, QueryParameter(description="Made with this checkpoint, by its name.")]
LoraName = Annotated[str | None, QueryParameter(name="lora", description="Made with this LoRA, by its name.")]
Words = Annotated[
    str | None,
    QueryParameter(
        name="q",
        max_length=500,
        description="Words of the title or the prompts, or how they begin; in double quotes one after the other.",
    ),
]
Since = Annotated[str | None, QueryParameter(name="from", format="date-time", description="Created then or later.")]
Until = Annotated[str | None, QueryParameter(name="to", format="date-time", description="Created earlier.")]
WithTag = Annotated[str | None, QueryParameter(name="tag", description="With this tag.")]
Favourite = Annotated[bool | None, QueryParameter(description="Favourites only, or only what is none.")]
ParentId = Annotated[UUID | None, QueryParameter(description="Repeats of this generation.")]
Trashed = Annotated[bool, QueryParameter(description="What lies in the trash, and nothing else.")]
Key = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Any text that is new for each new request. The same request with the same key within 24 hours "
        "makes nothing new and is answered with the same generation.",
    ),
]
Sort = Annotated[
    Literal["newest", "turn"],
    QueryParameter(description="`turn`: what waits, next ones first; with `state=pending` and no other filter."),
]
Cancel = Annotated[bool, QueryParameter(description="If it has not ended: cancel it, and then into the trash.")]


def read_filter(
    *,
    states: States = None,
    checkpoint: Checkpoint = None,
    lora: LoraName = None,
    words: Words = None,
    since: Since = None,
    until: Until = None,
    tag: WithTag = None,
    favourite: Favourite = None,
    parent_id: ParentId = None,
    trashed: Trashed = False,
) -> Filter:
    return Filter(
        states=tuple(states or ()),
        checkpoint=checkpoint,
        lora=lora,
        text=words,
        since=read_time(since, "from"),
        until=read_time(until, "to"),
        tag=tag,
        favourite=favourite,
        parent_id=parent_id,
        trashed=trashed,
    )


def read_time(text: str | None, field: str) -> datetime | None:
    """
    Read a time; one without a zone is meant in UTC, as all times here are.

    By ourselves: among query parameters `2` would be taken for the second second of 1970.

    Raises:
        InvalidRequest: It is no RFC 3339 time.
    """
    if text is None:
        return None
    try:
        time = msgspec.convert(text, datetime)
    except msgspec.ValidationError as exc:
        raise InvalidRequest(
            "A time cannot be read.",
            errors=({"field": field, "code": WRONG_TYPE, "message": "Write it as 2026-01-31T12:00:00Z."},),
        ) from exc
    return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time


def require_pending_alone(wanted: Filter) -> None:
    """
    Raises:
        InvalidRequest: Something else is wanted as well.
    """
    if wanted != PENDING_ALONE:
        raise InvalidRequest(
            "What waits can be listed in the order of turns, and nothing else.",
            errors=({"field": "sort", "code": "invalid", "message": "`turn` goes with `state=pending` alone."},),
        )


@post(
    "/generations",
    guards=[requires_submit],
    status_code=HTTP_202_ACCEPTED,
    request_max_body_size=WORKFLOW_BYTES,
)
async def submit_generation(
    request: Request[Caller, float, Any],
    data: JSONBody[Submission],
    admission: NamedDependency[Admission],
    history: NamedDependency[History],
    owner_id: Owner,
    idempotency_key: Key = None,
) -> GenerationView:
    """Ask for a generation, by parameters or by a workflow in ComfyUI's API format."""
    asked_once = once(idempotency_key, "submit", data)
    earlier_id = await admission.earlier(owner_id, asked_once)
    if earlier_id is not None:
        return await history.show(owner_id, earlier_id)
    submission = await admission.read_submission(data, owner_id, asked_once)
    return await history.view(await admission.admit(submission, address=client_of(request).address))


@post(
    "/generations/estimate",
    guards=[requires_submit],
    status_code=HTTP_200_OK,
    request_max_body_size=WORKFLOW_BYTES,
)
async def estimate_generation(
    request: Request[Caller, float, Any],
    data: JSONBody[Submission],
    admission: NamedDependency[Admission],
    forecasts: NamedDependency[Forecasts],
    owner_id: Owner,
) -> Forecast:
    """What would become of this if it were submitted now. Nothing is."""
    submission = await admission.read_submission(data, owner_id)
    return await forecasts.of(submission, address=client_of(request).address)


@get("/generations", guards=[requires_read], dependencies={"wanted": Provide(read_filter, sync_to_thread=False)})
async def list_generations(
    request: Request[Caller, float, Any],
    history: NamedDependency[History],
    owner_id: Owner,
    wanted: NamedDependency[Filter],
    limit: Limit = 50,
    cursor: Cursor = None,
    sort: Sort = "newest",
) -> GenerationPage:
    """Mine, newest first; without what lies in the trash."""
    if sort == "turn":
        require_pending_alone(wanted)
        return await history.waiting(owner_id, client_of(request).address, limit=limit, cursor=cursor)
    return await history.page(owner_id, limit=limit, cursor=cursor, wanted=wanted)


@get("/generations/{generation_id:uuid}", guards=[requires_read])
async def show_generation(
    history: NamedDependency[History], owner_id: Owner, generation_id: FromPath[UUID]
) -> GenerationView:
    """One generation as it stands now."""
    return await history.show(owner_id, generation_id)


@get("/generations/{generation_id:uuid}/workflow", guards=[requires_read])
async def show_workflow(
    history: NamedDependency[History], owner_id: Owner, generation_id: FromPath[UUID]
) -> WorkflowView:
    """What was executed, and how the page drew it."""
    return await history.workflow(owner_id, generation_id)


@post("/generations/{generation_id:uuid}/cancel", guards=[requires_submit], status_code=HTTP_202_ACCEPTED)
async def cancel_generation(
    dispatcher: NamedDependency[Dispatcher],
    history: NamedDependency[History],
    owner_id: Owner,
    generation_id: FromPath[UUID],
) -> GenerationView:
    """Take it back: at once while it is held, else as soon as ComfyUI lets go of it."""
    await dispatcher.cancel(owner_id, generation_id)
    return await history.show(owner_id, generation_id)


@post(
    "/generations/{generation_id:uuid}/repeat",
    guards=[requires_submit],
    status_code=HTTP_202_ACCEPTED,
    request_max_body_size=PROMPTS_BYTES,
)
async def repeat_generation(
    request: Request[Caller, float, Any],
    data: JSONBody[Repeat],
    admission: NamedDependency[Admission],
    repeats: NamedDependency[Repeats],
    history: NamedDependency[History],
    owner_id: Owner,
    generation_id: FromPath[UUID],
    idempotency_key: Key = None,
) -> GenerationView:
    """Do it again: the same workflow, with whatever shall be different this time."""
    asked_once = once(idempotency_key, "repeat", generation_id, data)
    repeat_id = await admission.earlier(owner_id, asked_once)
    if repeat_id is not None:
        return await history.show(owner_id, repeat_id)
    repeat = await repeats.of(owner_id, generation_id, data, asked_once)
    return await history.view(await admission.admit(repeat, address=client_of(request).address))


@get("/generations/{generation_id:uuid}/timeline", guards=[requires_read])
async def show_timeline(history: NamedDependency[History], owner_id: Owner, generation_id: FromPath[UUID]) -> Timeline:
    """Every step that a generation took, with its time."""
    return await history.timeline(owner_id, generation_id)


@patch("/generations/{generation_id:uuid}", guards=[requires_submit])
async def change_generation(
    data: JSONBody[GenerationPatch],
    editor: NamedDependency[Editor],
    history: NamedDependency[History],
    owner_id: Owner,
    generation_id: FromPath[UUID],
) -> GenerationView:
    """Give a generation another title or other tags, or make it a favourite."""
    await editor.change(owner_id, generation_id, data)
    return await history.show(owner_id, generation_id)


@delete("/generations/{generation_id:uuid}", guards=[requires_submit], status_code=HTTP_200_OK)
async def trash_generation(
    trash: NamedDependency[Trash],
    history: NamedDependency[History],
    owner_id: Owner,
    generation_id: FromPath[UUID],
    *,
    cancel: Cancel = False,
) -> GenerationView:
    """Put a generation into the trash. Its images stay until it is removed for good."""
    await trash.put_in(owner_id, generation_id, cancel=cancel)
    return await history.show(owner_id, generation_id)


@post("/generations/{generation_id:uuid}/restore", guards=[requires_submit], status_code=HTTP_200_OK)
async def restore_generation(
    trash: NamedDependency[Trash],
    history: NamedDependency[History],
    owner_id: Owner,
    generation_id: FromPath[UUID],
) -> GenerationView:
    """Take a generation out of the trash."""
    await trash.take_out(owner_id, generation_id)
    return await history.show(owner_id, generation_id)


@post("/generations/bulk", guards=[requires_submit], status_code=HTTP_200_OK)
async def change_many(data: JSONBody[BulkAction], bulk: NamedDependency[Bulk], owner_id: Owner) -> BulkOutcomes:
    """Cancel, trash, restore or tag up to 500 generations; each has its own outcome."""
    return await bulk.apply(owner_id, data)


@get("/events", guards=[requires_read], media_type="text/event-stream")
async def follow_all(
    request: Request[Caller, float, Any],
    live_events: NamedDependency[LiveEvents],
    recognition: NamedDependency[Recognition],
    persons: NamedDependency[Persons],
    owner_id: Owner,
) -> ServerSentEvent:
    """Everything of mine, live: `hello`, then `generation`, `progress`, `waiting`, `quota` and `quota_warning`."""
    is_out = partial(recognition.has_changed, owner_id, since=request.auth)
    address = persons.elsewhere(client_of(request).address)
    return ServerSentEvent(event_stream(live_events, owner_id, address=address, is_out=is_out))


@get("/generations/{generation_id:uuid}/events", guards=[requires_read], media_type="text/event-stream")
async def follow_generation(
    request: Request[Caller, float, Any],
    live_events: NamedDependency[LiveEvents],
    recognition: NamedDependency[Recognition],
    persons: NamedDependency[Persons],
    history: NamedDependency[History],
    owner_id: Owner,
    generation_id: FromPath[UUID],
) -> ServerSentEvent:
    """One generation, live: `hello`, then `generation`, `progress` and `waiting`."""
    await history.show(owner_id, generation_id)
    is_out = partial(recognition.has_changed, owner_id, since=request.auth)
    address = persons.elsewhere(client_of(request).address)
    return ServerSentEvent(event_stream(live_events, owner_id, generation_id, address=address, is_out=is_out))


@post(
    "/internal/prompts",
    guards=[requires_pairing],
    status_code=HTTP_202_ACCEPTED,
    include_in_schema=False,
    request_max_body_size=WORKFLOW_BYTES,
)
async def submit_prompt(
    request: Request[Any, Any, Any],
    data: JSONBody[PromptSubmission],
    admission: NamedDependency[Admission],
    recognition: NamedDependency[Recognition],
    proxies: NamedDependency[TrustedProxies],
) -> PromptAdmitted:
    """A prompt from ComfyUI's own page, handed over by the pack's gate."""
    owner_id = await recognition.owner(data.owner_id)
    address = proxies.origin_of(data.address, request.headers) if data.address else None
    generation = await admission.admit(from_prompt(data, owner_id), address=address)
    return PromptAdmitted(generation.id, generation.number, generation.state)


@post(
    "/internal/prompts/{generation_id:uuid}/cancel",
    guards=[requires_pairing],
    status_code=HTTP_202_ACCEPTED,
    include_in_schema=False,
)
async def cancel_prompt(
    data: JSONBody[PromptCancellation],
    dispatcher: NamedDependency[Dispatcher],
    recognition: NamedDependency[Recognition],
    generation_id: FromPath[UUID],
) -> None:
    """A prompt that its owner deletes in ComfyUI's own queue panel."""
    await dispatcher.cancel(await recognition.owner(data.owner_id), generation_id)


@post("/internal/prompts/clear", guards=[requires_pairing], status_code=HTTP_200_OK, include_in_schema=False)
async def clear_prompts(
    data: JSONBody[PromptClearing], clearing: NamedDependency[Clearing], recognition: NamedDependency[Recognition]
) -> Cleared:
    """Somebody clears ComfyUI's own queue: some of what is held for them is cancelled, oldest first."""
    return await clearing.clear(await recognition.owner(data.owner_id), data.through, data.shown)


async def event_stream(
    live_events: LiveEvents,
    owner_id: UUID,
    generation_id: UUID | None = None,
    *,
    address: str | None = None,
    is_out: Callable[[], bool] = lambda: False,
) -> AsyncIterator[ServerSentEventMessage]:
    """
    Args:
        address: From where somebody listens who is somebody else by it.
        is_out: Have this person's credentials changed since they were looked at? Asked when somebody listens: who is
            told to go before that would not hear of it.
    """
    over_at = time.monotonic() + STREAM_LASTS_S
    with live_events.listening(owner_id, generation_id, address=address) as listener:
        if is_out():
            return
        yield hello()
        while time.monotonic() < over_at and (message := await next_message(listener)):
            yield message


async def next_message(listener: Listener) -> ServerSentEventMessage | None:
    """What to send next; None when the process stops."""
    try:
        event = await asyncio.wait_for(listener.queue.get(), KEEP_AWAKE_S)
    except asyncio.TimeoutError:
        return ServerSentEventMessage(comment="still here")
    if event is ENDED:
        return None
    if event is None:  # too far behind: read the state anew
        return hello()
    return ServerSentEventMessage(event=event.name, data=msgspec.json.encode(event.data).decode())


def hello() -> ServerSentEventMessage:
    return ServerSentEventMessage(event="hello", data="{}")


PUBLIC_ROUTES = [
    submit_generation,
    estimate_generation,
    list_generations,
    show_generation,
    show_workflow,
    show_timeline,
    cancel_generation,
    repeat_generation,
    change_generation,
    trash_generation,
    restore_generation,
    change_many,
    follow_all,
    follow_generation,
]
INTERNAL_ROUTES = [submit_prompt, cancel_prompt, clear_prompts]
