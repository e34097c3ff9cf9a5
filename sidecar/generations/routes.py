"""HTTP for generations: thin, each handler one call into the subject."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage
from litestar.status_codes import HTTP_202_ACCEPTED

from sidecar.generations.admission import Admission, from_prompt, from_submission
from sidecar.generations.dispatcher import Dispatcher
from sidecar.generations.history import History
from sidecar.generations.schemas import (
    GenerationPage,
    GenerationView,
    PromptAdmitted,
    PromptSubmission,
    Submission,
    WorkflowView,
)
from sidecar.generations.states import GenerationState
from sidecar.live_events import ENDED, Listener, LiveEvents

PAGE_AT_MOST = 200
KEEP_AWAKE_S = 15.0

Owner = NamedDependency[UUID]
Limit = Annotated[int, QueryParameter(ge=1, le=PAGE_AT_MOST, description="How many at most.")]
Cursor = Annotated[str | None, QueryParameter(max_length=200, description="`next_cursor` of the page before.")]
States = Annotated[
    list[GenerationState] | None, QueryParameter(name="state", description="Only these; may be repeated.")
]


@post("/generations", status_code=HTTP_202_ACCEPTED)
async def submit_generation(
    data: JSONBody[Submission],
    admission: NamedDependency[Admission],
    history: NamedDependency[History],
    owner_id: Owner,
) -> GenerationView:
    """Ask for a generation, by parameters or by a workflow in ComfyUI's API format."""
    generation = await admission.admit(from_submission(data, owner_id))
    return await history.show(owner_id, generation.id)


@get("/generations")
async def list_generations(
    history: NamedDependency[History], owner_id: Owner, limit: Limit = 50, cursor: Cursor = None, states: States = None
) -> GenerationPage:
    """Mine, newest first."""
    return await history.page(owner_id, limit=limit, cursor=cursor, states=states or ())


@get("/generations/{generation_id:uuid}")
async def show_generation(
    history: NamedDependency[History], owner_id: Owner, generation_id: FromPath[UUID]
) -> GenerationView:
    """One generation as it stands now."""
    return await history.show(owner_id, generation_id)


@get("/generations/{generation_id:uuid}/workflow")
async def show_workflow(
    history: NamedDependency[History], owner_id: Owner, generation_id: FromPath[UUID]
) -> WorkflowView:
    """What was executed, and how the page drew it."""
    return await history.workflow(owner_id, generation_id)


@post("/generations/{generation_id:uuid}/cancel", status_code=HTTP_202_ACCEPTED)
async def cancel_generation(
    dispatcher: NamedDependency[Dispatcher],
    history: NamedDependency[History],
    owner_id: Owner,
    generation_id: FromPath[UUID],
) -> GenerationView:
    """Take it back: at once while it is held, else as soon as ComfyUI lets go of it."""
    await dispatcher.cancel(owner_id, generation_id)
    return await history.show(owner_id, generation_id)


@get("/events", media_type="text/event-stream")
async def follow_all(live_events: NamedDependency[LiveEvents], owner_id: Owner) -> ServerSentEvent:
    """Everything of mine, live: `hello`, then `generation` and `progress`."""
    return ServerSentEvent(event_stream(live_events, owner_id))


@get("/generations/{generation_id:uuid}/events", media_type="text/event-stream")
async def follow_generation(
    live_events: NamedDependency[LiveEvents],
    history: NamedDependency[History],
    owner_id: Owner,
    generation_id: FromPath[UUID],
) -> ServerSentEvent:
    """One generation, live."""
    await history.show(owner_id, generation_id)
    return ServerSentEvent(event_stream(live_events, owner_id, generation_id))


@post("/internal/prompts", status_code=HTTP_202_ACCEPTED, include_in_schema=False)
async def submit_prompt(
    data: JSONBody[PromptSubmission], admission: NamedDependency[Admission], owner_id: Owner
) -> PromptAdmitted:
    """A prompt from ComfyUI's own page, handed over by the pack's gate."""
    generation = await admission.admit(from_prompt(data, owner_id))
    return PromptAdmitted(generation.id, generation.number, generation.state)


async def event_stream(
    live_events: LiveEvents, owner_id: UUID, generation_id: UUID | None = None
) -> AsyncIterator[ServerSentEventMessage]:
    with live_events.listening(owner_id, generation_id) as listener:
        yield hello()
        while message := await next_message(listener):
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
    list_generations,
    show_generation,
    show_workflow,
    cancel_generation,
    follow_all,
    follow_generation,
]
INTERNAL_ROUTES = [submit_prompt]
