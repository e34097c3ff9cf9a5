"""How far what runs is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.cluster.bus import Bus
from sidecar.comfyui.conversation import ObserverEvent
from sidecar.generations.progress import ProgressBoard, ProgressNews
from sidecar.generations.schemas import Progress, ProgressEvent
from sidecar.identity import uuid7
from sidecar.live_events import LiveEvents

WORKFLOW = {node_id: {"class_type": kind} for node_id, kind in {"1": "Loader", "2": "KSampler", "3": "Save"}.items()}


def node(node_id: str, state: str, value: float, most: float) -> dict[str, Any]:
    return {"node_id": node_id, "display_node_id": node_id, "state": state, "value": value, "max": most}


def progress_state(generation_id: object, *nodes: dict[str, Any]) -> ObserverEvent:
    data = {"prompt_id": str(generation_id), "nodes": {entry["node_id"]: entry for entry in nodes}}
    return ObserverEvent("progress_state", data=data)


def test_progress_goes_by_the_steps_of_the_sampler_first_of_all():
    """Half of the steps are about half of it all, however many quick nodes are done."""
    board, generation_id = ProgressBoard(LiveEvents(), Bus()), uuid7()
    board.begin(generation_id, LOCAL_OWNER_ID, WORKFLOW)
    board.heard(progress_state(generation_id, node("1", "finished", 1, 1), node("2", "running", 10, 20)))
    progress = board.progress_of(generation_id)

    assert progress is not None
    assert (progress.fraction, progress.node_type, progress.step, progress.steps) == (0.5, "KSampler", 10, 20)


def test_nodes_that_come_from_the_cache_are_done():
    """They count once, also when ComfyUI names them again among the finished ones."""
    board, generation_id = ProgressBoard(LiveEvents(), Bus()), uuid7()
    board.begin(generation_id, LOCAL_OWNER_ID, WORKFLOW)
    cached = ObserverEvent("execution_cached", data={"prompt_id": str(generation_id), "nodes": ["1", "2"]})
    board.heard(cached)
    board.heard(progress_state(generation_id, node("1", "finished", 1, 1), node("2", "finished", 1, 1)))
    progress = board.progress_of(generation_id)

    assert progress is not None
    assert progress.fraction == pytest.approx(21 / 22, abs=1e-4)


def test_events_of_prompts_that_are_none_of_ours_are_left_alone():
    """Another pack may run what it likes."""
    board = ProgressBoard(LiveEvents(), Bus())
    board.heard(progress_state("something else", node("1", "running", 1, 2)))

    assert board.progress_of(uuid7()) is None


def test_a_browser_hears_of_progress_at_most_twice_a_second():
    """A sampler with a thousand quick steps must not flood anybody."""
    live_events, generation_id = LiveEvents(), uuid7()
    board = ProgressBoard(live_events, Bus())
    board.begin(generation_id, LOCAL_OWNER_ID, WORKFLOW)
    with live_events.listening(LOCAL_OWNER_ID) as listener:
        for step in range(100):
            board.heard(progress_state(generation_id, node("2", "running", step, 100)))

        assert listener.queue.qsize() == 1


async def test_after_a_gap_nothing_is_known_of_what_runs_elsewhere():
    """Its end may be what was lost, and then nothing would ever take it away."""
    board, generation_id = ProgressBoard(LiveEvents(), Bus()), uuid7()
    event = ProgressEvent(generation_id, Progress(fraction=0.5, node_id=None, node_type=None, step=None, steps=None))
    await board.heard_elsewhere(msgspec.to_builtins(ProgressNews(LOCAL_OWNER_ID, event)))
    before = board.progress_of(generation_id)
    board.start_anew()

    assert before is not None
    assert board.progress_of(generation_id) is None
