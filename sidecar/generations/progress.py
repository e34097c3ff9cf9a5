"""How far what runs is. Kept in memory only: after a restart the next event tells it again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from sidecar.cluster.bus import Bus
from sidecar.comfyui.conversation import ObserverEvent
from sidecar.generations.schemas import Progress, ProgressEvent
from sidecar.identity import generation_id_of
from sidecar.live_events import LiveEvent, LiveEvents

SAMPLER_WEIGHT = 20  # sampling takes nearly all of the time; every other node counts once
PROGRESS = "progress"  # what the bus calls it
PROGRESS_INTERVAL_S = 0.5  # at most two progress events a second for each generation


class ProgressNews(msgspec.Struct):
    """What is told to the other processes."""

    owner_id: UUID
    event: ProgressEvent


@dataclass
class Running:
    """What is known of one running generation."""

    owner_id: UUID
    node_types: Mapping[str, str]
    cached: frozenset[str] = frozenset()
    nodes: dict[str, Any] = field(default_factory=dict)
    told_at: float = 0.0

    def progress(self) -> Progress:
        # Nodes that a running node has expanded into count as well.
        weights = {node_id: weight_of(self.node_types.get(node_id, "")) for node_id in {*self.node_types, *self.nodes}}
        done = sum(
            weight * (1.0 if node_id in self.cached else share_done(self.nodes.get(node_id, {})))
            for node_id, weight in weights.items()
        )
        total = sum(weights.values()) or 1
        current: Mapping[str, Any] = next(
            (state for state in self.nodes.values() if state.get("state") == "running"), {}
        )
        node_id = current.get("display_node_id") or current.get("node_id")
        counts_steps = current.get("max", 0) > 1
        return Progress(
            fraction=round(done / total, 4),
            node_id=node_id,
            node_type=self.node_types.get(node_id or ""),
            step=int(current["value"]) if counts_steps else None,
            steps=int(current["max"]) if counts_steps else None,
        )


class ProgressBoard:
    """Takes in ComfyUI's progress events. One a process."""

    def __init__(self, live_events: LiveEvents, bus: Bus) -> None:
        self._live_events = live_events
        self._bus = bus
        self._running: dict[UUID, Running] = {}
        self._elsewhere: dict[UUID, Progress] = {}
        """What the process that follows ComfyUI told of what it follows."""

    def begin(self, generation_id: UUID, owner_id: UUID, workflow: Mapping[str, Any]) -> None:
        node_types = {node_id: class_of(node) for node_id, node in workflow.items()}
        self._running.setdefault(generation_id, Running(owner_id, node_types))

    def knows(self, generation_id: UUID) -> bool:
        return generation_id in self._running

    def end(self, generation_id: UUID) -> None:
        self._running.pop(generation_id, None)
        self._elsewhere.pop(generation_id, None)

    def progress_of(self, generation_id: UUID) -> Progress | None:
        running = self._running.get(generation_id)
        return running.progress() if running else self._elsewhere.get(generation_id)

    def heard(self, event: ObserverEvent) -> None:
        """Take in one event; those of generations that nobody began are none of ours."""
        generation_id = generation_id_of(str(event.data.get("prompt_id") or ""))
        running = self._running.get(generation_id)
        if running is None:
            return
        if event.type == "execution_cached":
            running.cached = frozenset(map(str, event.data.get("nodes") or ()))
        elif event.type == "progress_state":
            running.nodes = {str(node_id): state for node_id, state in (event.data.get("nodes") or {}).items()}
            self._tell(generation_id, running)

    def _tell(self, generation_id: UUID, running: Running) -> None:
        if time.monotonic() - running.told_at < PROGRESS_INTERVAL_S:
            return
        running.told_at = time.monotonic()
        event = ProgressEvent(generation_id, running.progress())
        self._live_events.publish(running.owner_id, LiveEvent("progress", generation_id, event))
        self._bus.tell(PROGRESS, ProgressNews(running.owner_id, event))

    def end_elsewhere(self, generation_id: UUID) -> None:
        """It has changed: what is told next of its progress is true, and not what was told last."""
        self._elsewhere.pop(generation_id, None)

    def start_anew(self) -> None:
        """News may have been lost, also that something has ended; what still runs elsewhere is told again soon."""
        self._elsewhere.clear()
        self._live_events.start_anew()

    async def heard_elsewhere(self, news: Any) -> None:
        """Another process follows this one."""
        told = msgspec.convert(news, ProgressNews)
        self._elsewhere[told.event.id] = told.event.progress
        self._live_events.publish(told.owner_id, LiveEvent("progress", told.event.id, told.event))


def weight_of(node_type: str) -> int:
    return SAMPLER_WEIGHT if "sampler" in node_type.lower() else 1


def class_of(node: Any) -> str:
    """A prompt of another pack is recorded whatever it looks like."""
    return str(node.get("class_type", "")) if isinstance(node, Mapping) else ""


def share_done(state: Mapping[str, Any]) -> float:
    """How much of one node is done, 0..1."""
    if state.get("state") == "finished":
        return 1.0
    most = float(state.get("max") or 0)
    return min(float(state.get("value") or 0) / most, 1.0) if most > 0 else 0.0
