"""The states of a generation and the ways between them, as data."""

from __future__ import annotations

from enum import Enum


class GenerationState(str, Enum):
    PENDING = "pending"  #: admitted; its turn has not come
    SUBMITTED = "submitted"  #: in ComfyUI's own queue
    RUNNING = "running"  #: ComfyUI works on it
    COMPLETED = "completed"  #: it ended well; its outputs are recorded
    FAILED = "failed"  #: it ended badly; `error` says why
    CANCELLED = "cancelled"  #: somebody took it back
    LOST = "lost"  #: nobody can say how it ended; it may be repeated


IN_FLIGHT = frozenset({GenerationState.SUBMITTED, GenerationState.RUNNING})
OPEN = frozenset({GenerationState.PENDING}) | IN_FLIGHT
FINAL = frozenset(GenerationState) - OPEN

TRANSITIONS: dict[GenerationState, frozenset[GenerationState]] = {
    GenerationState.PENDING: frozenset({GenerationState.SUBMITTED, GenerationState.FAILED, GenerationState.CANCELLED}),
    # Straight to a final state: short prompts end before anybody sees them run. Back to pending: the instance died.
    GenerationState.SUBMITTED: frozenset({GenerationState.PENDING, GenerationState.RUNNING}) | FINAL,
    GenerationState.RUNNING: frozenset({GenerationState.PENDING}) | FINAL,
    **{state: frozenset() for state in FINAL},
}


def may_go(before: GenerationState, after: GenerationState) -> bool:
    """Is this a way that a generation can go?"""
    return after in TRANSITIONS[before]
