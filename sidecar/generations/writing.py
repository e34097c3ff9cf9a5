"""Writing generations down, with all that a new one is found, counted and put in line by."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import count
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.counters import PURGED, Counter
from sidecar.generations.models import Generation, note_beginnings, touch
from sidecar.generations.search import LAST_MOMENT_NEARBY, give_moments, make_findable, moments_nearby
from sidecar.generations.shares import let_wait
from sidecar.generations.states import GenerationState
from sidecar.generations.submissions import Request
from sidecar.generations.turns import go_in_front
from sidecar.generations.workflows import pack_workflow, store_workflows
from sidecar.identity import now
from sidecar.limits.estimate import lines_of, to_ms
from sidecar.limits.ledger import Reservation, reserve
from sidecar.limits.plans import read_groups

TITLE_CHARACTERS = 200
CLIENT_ID_CHARACTERS = 200

LASTS = select(
    select(func.max(Generation.number)).scalar_subquery(),
    select(Counter.value).where(Counter.name == PURGED).scalar_subquery(),
    LAST_MOMENT_NEARBY,
)
"""The highest number that there is, the highest that there was, and a moment (`search.moments_nearby`)."""


async def write_generation(
    session: AsyncSession, request: Request, *, at: datetime, state: GenerationState = GenerationState.PENDING
) -> Generation:
    """Add a generation to the running transaction, with what can be read from its workflow."""
    generation = to_generation(request, at=at, state=state)
    await write_generations(session, [(request, generation)])
    await count_in(session, generation)
    return generation


async def count_in(session: AsyncSession, generation: Generation) -> None:
    """What came without asking is counted for its person and their groups all the same."""
    groups = (await read_groups(session, [generation.person_id])).get(generation.person_id, ())
    usual = (await lines_of(session, [generation.checkpoint]))[generation.checkpoint].usual
    accounts = (generation.person_id, *(group.id for group in groups))
    reservation = Reservation(generation.id, accounts, to_ms(usual.seconds(generation.work)), generation.created_at)
    await reserve(session, [reservation], at=now())


async def write_generations(session: AsyncSession, new: Sequence[tuple[Request, Generation]]) -> None:
    """Add generations to the running transaction, in this order."""
    if not new:
        return
    generations = [generation for _, generation in new]
    packed = [pack_workflow(request.workflow, request.ui_workflow) for request, _ in new]
    await store_workflows(session, packed)
    highest_there, highest_gone, moment_before = (await session.execute(LASTS, moments_nearby(generations))).one()
    give_moments(generations, moment_before)
    numbers = count(max(highest_there or 0, highest_gone or 0) + 1)
    for number, (request, generation), workflow in zip(numbers, new, packed, strict=False):
        generation.number = number
        generation.workflow_hash = workflow.hash
        generation.parent_id = await counted_parent(session, request)
    session.add_all(generations)
    await session.flush()
    await make_findable(session, generations)
    await note_beginnings(session, generations)
    await let_wait(session, generations)
    for request, generation in new:
        if request.front and generation.state == GenerationState.PENDING.value:
            await go_in_front(session, generation)


def to_generation(request: Request, *, at: datetime, state: GenerationState = GenerationState.PENDING) -> Generation:
    """What is written down of a submission, but for what depends on those written before."""
    facts = request.facts
    return Generation(
        id=request.id,
        owner_id=request.owner_id,
        state=state.value,
        source=request.source,
        title=(request.title or facts.title)[:TITLE_CHARACTERS],
        tags=list(request.tags or facts.tags),
        prompt=facts.prompt,
        negative_prompt=facts.negative_prompt,
        checkpoint=facts.checkpoint,
        loras=msgspec.to_builtins(facts.loras),
        width=facts.width,
        height=facts.height,
        batch_size=facts.batch_size,
        sampler=msgspec.to_builtins(facts.sampler),
        work=request.work,
        submission={
            "extra_data": request.extra_data,
            "partial_execution_targets": request.partial_execution_targets,
        },
        priority=request.priority,
        client_id=request.client_id[:CLIENT_ID_CHARACTERS] if request.client_id else None,
        created_at=at,
        updated_at=at,
    )


async def counted_parent(session: AsyncSession, request: Request) -> UUID | None:
    """The generation that is repeated, if it has not been purged in this moment: it counts its repeats."""
    parent = await session.get(Generation, request.parent_id) if request.parent_id else None
    if parent is None:
        return None
    parent.child_count += 1
    touch(parent)
    return parent.id
