"""Takes turns as the dispatcher does, and ends what went as the recorder writes it down."""

from __future__ import annotations

from uuid import UUID

from sidecar.generations.models import Generation, move
from sidecar.generations.shares import settle
from sidecar.generations.states import GenerationState
from sidecar.identity import now
from sidecar.parts import Parts

ADA, BOB, CLO = UUID(int=11), UUID(int=12), UUID(int=13)


async def next_turn(parts: Parts) -> UUID | None:
    """Let the next one go."""
    outlook = await parts.turn_giver.look()
    if outlook.beginning:
        await parts.turn_giver.let_begin(outlook.beginning)
        outlook = await parts.turn_giver.look()
    await parts.turn_giver.let_wait(outlook)
    if not outlook.choices:
        return None
    generation = await parts.turn_giver.give(outlook.choices[0])
    assert generation is not None
    return generation.id


async def end(parts: Parts, generation_id: UUID, *, seconds: float | None = 10.0) -> None:
    """As the recorder writes it down; None: nobody can say what became of it."""
    async with parts.database.writing() as session:
        generation = await session.get_one(Generation, generation_id)
        if seconds is None:
            move(session, generation, GenerationState.LOST, at=now())
            return
        move(session, generation, GenerationState.COMPLETED, at=now())
        generation.gpu_seconds = seconds
        await settle(session, generation)


async def turns(parts: Parts, count: int, *, seconds: float = 10.0) -> list[UUID]:
    """So many, one after the other."""
    went = []
    for _ in range(count):
        generation_id = await next_turn(parts)
        if generation_id is not None:
            went.append(generation_id)
            await end(parts, generation_id, seconds=seconds)
    return went
