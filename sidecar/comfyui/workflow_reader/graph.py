"""The nodes of a workflow and the ways between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

HANDED_ON_AT_MOST = 16  # how many nodes a value may be handed through before it is read

T = TypeVar("T")
Check = Callable[[Any], "T | None"]
Follow = Callable[[str], Iterable[Any]]


class Place(NamedTuple):
    """An input of a node."""

    node_id: str
    name: str


@dataclass(frozen=True)
class Found(Generic[T]):
    """A value, and where in the workflow it is written."""

    value: T
    place: Place


class Graph:
    """A workflow as it can be walked. Whatever in it is no node is left out."""

    def __init__(self, workflow: Any) -> None:
        self.nodes: dict[str, dict[str, Any]] = {}
        self.types: dict[str, str] = {}
        for node_id, node in workflow.items() if isinstance(workflow, dict) else ():
            if isinstance(node, dict) and isinstance(node.get("inputs"), dict):
                self.nodes[str(node_id)] = node["inputs"]
                self.types[str(node_id)] = str(node.get("class_type"))

    def at(self, place: Place) -> Any:
        return self.nodes[place.node_id].get(place.name)

    def source(self, value: Any) -> str | None:
        """The id of the node that a link comes from; None for anything that is no link into this workflow."""
        is_link = isinstance(value, list) and len(value) == 2 and isinstance(value[0], str | int)
        node_id = str(value[0]) if is_link else None
        return node_id if node_id in self.nodes else None

    def links(self, node_id: str) -> list[Any]:
        """What leads to a node, by whichever of its inputs."""
        return [value for value in self.nodes[node_id].values() if self.source(value) is not None]

    def find(self, node_id: str, name: str, check: Check[T]) -> Found[T] | None:
        """A node's input as a value, also if nodes of their own supply it; None when it cannot be read."""
        place = Place(node_id, name) if name in self.nodes[node_id] else None
        for _ in range(HANDED_ON_AT_MOST):
            if place is None:
                return None
            source = self.source(self.at(place))
            if source is None:
                value = check(self.at(place))
                return None if value is None else Found(value, place)
            place = self.supplying(source, place.name, check)
        return None

    def supplying(self, node_id: str, name: str, check: Check[Any]) -> Place | None:
        """Where a node that only supplies a value has it: the input of that name, `value`, or the only one that may."""
        inputs = self.nodes[node_id]
        for likely in (name, "value"):
            if likely in inputs:
                return Place(node_id, likely)
        possible = [other for other, value in inputs.items() if self.source(value) or check(value) is not None]
        return Place(node_id, possible[0]) if len(possible) == 1 else None

    def upstream(self, links: Iterable[Any], follow: Follow) -> Iterator[str]:
        """
        The nodes from which links come, nearest first, each once.

        Args:
            follow: Which of a node's inputs lead further back.
        """
        waiting, seen = list(links)[::-1], set()
        while waiting:
            node_id = self.source(waiting.pop())
            if node_id is None or node_id in seen:
                continue
            seen.add(node_id)
            yield node_id
            waiting.extend(reversed(list(follow(node_id))))

    def by_names(self, *names: str) -> Follow:
        """Follow the inputs of these names; at a node that has none of them, follow all."""

        def follow(node_id: str) -> list[Any]:
            inputs = self.nodes[node_id]
            named = [inputs[name] for name in names if self.source(inputs.get(name)) is not None]
            return named or self.links(node_id)

        return follow

    def only_by(self, name: str) -> Follow:
        """Follow the inputs of this name, and no others."""
        return lambda node_id: [self.nodes[node_id].get(name)]
