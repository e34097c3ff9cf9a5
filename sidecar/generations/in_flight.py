"""What we believe ComfyUI is doing, and how that is brought into line with what it does."""

from __future__ import annotations

from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.generations.models import Generation, move
from sidecar.generations.states import IN_FLIGHT, GenerationState
from sidecar.identity import now

TRIES_AT_MOST = 3

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
    if state is GenerationState.SUBMITTED:
        generation.tries -= 1  # it only waited there: whatever ended that ComfyUI, it was not this
    if generation.cancel_requested:
        move(
            session,
            generation,
            GenerationState.CANCELLED,
            at=now(),
            reason="cancelled while ComfyUI was away",
        )
    elif generation.tries < TRIES_AT_MOST:
        move(session, generation, GenerationState.PENDING, at=now(), reason="ComfyUI does not have it any more")
        generation.instance_id = None
    else:
        move(session, generation, GenerationState.LOST, at=now(), reason="ComfyUI lost it again and again")
        generation.error_code = "lost"
        generation.error = {
            "message": f"ComfyUI stopped {generation.tries} times while it worked on this. "
            "It may need more memory than there is; try a smaller size."
        }
    log.warning(
        "generation_missing_in_comfyui",
        generation_id=str(generation.id),
        state=generation.state,
        tries=generation.tries,
    )
    return True


def is_in_flight() -> ColumnElement[bool]:
    return Generation.state.in_([state.value for state in IN_FLIGHT])


def is_at(generation: Generation, instance_id: UUID) -> bool:
    """Is it in flight there, as far as we know?"""
    return GenerationState(generation.state) in IN_FLIGHT and generation.instance_id == instance_id
