"""What we believe ComfyUI is doing, and how that is brought into line with what it does."""

from __future__ import annotations

from uuid import UUID

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.generations.models import Generation, is_in_flight, move
from sidecar.generations.retries import TRIES_AT_MOST, next_try
from sidecar.generations.states import IN_FLIGHT, GenerationState
from sidecar.identity import now
from sidecar.instances import standing
from sidecar.instances.models import Instance

log = structlog.get_logger(__name__)


async def believed_in_flight(session: AsyncSession, instance_id: UUID) -> list[UUID]:
    """The generations that an instance should have in its hands."""
    query = select(Generation.id).where(is_in_flight(), Generation.instance_id == instance_id)
    return list(await session.scalars(query))


async def count_in_flight(session: AsyncSession) -> dict[UUID | None, int]:
    """How many generations each instance has; those that have none are not in it."""
    query = select(Generation.instance_id, func.count()).where(is_in_flight()).group_by(Generation.instance_id)
    return {row[0]: row[1] for row in await session.execute(query)}


def bring_into_line(session: AsyncSession, generation: Generation, *, running: set[UUID], queued: set[UUID]) -> bool:
    """Move one generation to where ComfyUI has it; tells whether anything changed."""
    state = GenerationState(generation.state)
    if state not in IN_FLIGHT or generation.id in queued:
        return False
    if generation.id in running:
        if state is GenerationState.RUNNING:
            return False
        move(session, generation, GenerationState.RUNNING, at=now())
        return True
    take_back(session, generation, reason="ComfyUI does not have it any more")
    return True


def take_back(session: AsyncSession, generation: Generation, *, reason: str) -> None:
    """An instance has lost it, or is lost with it: it waits for another try, if one is left."""
    if generation.state == GenerationState.SUBMITTED.value:
        # It only waited there: whatever ended that ComfyUI, it was not this. One that was found there was never tried.
        generation.tries = max(generation.tries - 1, 0)
    else:
        generation.not_before = next_try(tries=generation.tries, at=now())
    if generation.cancel_requested:
        move(
            session,
            generation,
            GenerationState.CANCELLED,
            at=now(),
            reason="cancelled while ComfyUI was away",
        )
    elif generation.tries < TRIES_AT_MOST:
        move(session, generation, GenerationState.PENDING, at=now(), reason=reason)
        generation.instance_id = None
    else:
        move(session, generation, GenerationState.LOST, at=now(), reason="ComfyUI lost it again and again")
        generation.error_code = "lost"
        generation.error = {
            "message": f"ComfyUI stopped {generation.tries} times while it worked on this. "
            "It may need more memory than there is; try a smaller size."
        }
    log.warning(
        "generation_taken_back",
        generation_id=str(generation.id),
        state=generation.state,
        tries=generation.tries,
        reason=reason,
    )


def is_at(generation: Generation, instance_id: UUID) -> bool:
    """Is it in flight there, as far as we know?"""
    return GenerationState(generation.state) in IN_FLIGHT and generation.instance_id == instance_id


async def note_death(session: AsyncSession, generation: Generation) -> None:
    """The instance ended in the middle of this generation."""
    standing.failed(
        await session.get_one(Instance, generation.instance_id),
        code="ended_while_running",
        reason="ComfyUI ended while it worked on this.",
        generation_id=generation.id,
        at=now(),
    )


async def show_life(session: AsyncSession, instance_id: UUID | None) -> None:
    """An instance did something: the silence of everything that it has counts anew (`timeouts.py`)."""
    here = is_in_flight() & (Generation.instance_id == instance_id)
    await session.execute(update(Generation).where(here).values(heard_at=now()))
