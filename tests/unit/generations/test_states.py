"""Which ways a generation can go."""

from __future__ import annotations

import pytest

from sidecar.generations.states import FINAL, IN_FLIGHT, OPEN, TRANSITIONS, GenerationState, may_go


def test_every_state_is_open_or_final_and_never_both():
    """Nobody has to ask twice whether something may still happen to a generation."""
    assert frozenset(GenerationState) == OPEN | FINAL
    assert not OPEN & FINAL


@pytest.mark.parametrize("state", sorted(FINAL))
def test_nothing_happens_after_a_final_state(state: GenerationState):
    """What has ended stays as it ended."""
    assert not any(may_go(state, other) for other in GenerationState)


@pytest.mark.parametrize("state", sorted(OPEN))
def test_every_open_state_can_be_cancelled_and_can_fail(state: GenerationState):
    """Nothing is ever stuck without a way out."""
    assert {GenerationState.CANCELLED, GenerationState.FAILED} <= TRANSITIONS[state]


@pytest.mark.parametrize("state", sorted(IN_FLIGHT))
def test_what_is_in_flight_may_go_back_to_the_queue(state: GenerationState):
    """An instance that dies costs a try, not the generation."""
    assert may_go(state, GenerationState.PENDING)


def test_a_pending_generation_cannot_complete_without_having_been_submitted():
    """`completed` always means that ComfyUI had it."""
    assert not may_go(GenerationState.PENDING, GenerationState.COMPLETED)
