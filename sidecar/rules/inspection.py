"""Which rules a workflow goes against. Nothing here looks anything up, so that it can be read and tested as it is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct

from sidecar.comfyui.workflow_reader import Graph, Place, Written, measure, read_written
from sidecar.errors import ContentRefused, GraphRefused
from sidecar.limits.plans import Limits, Standing
from sidecar.rules.book import Action, CompiledRule
from sidecar.rules.content import Level, applies
from sidecar.rules.graph import extent_faults

TEXTS_CHARACTERS = 200_000  # of all texts of a workflow; a novel has that many
TOLD_AT_MOST = 5
TITLE = "title"
BOUNDS = ("pixels_at_most", "batch_at_most", "frames_at_most", "steps_at_most")


class Hit(Struct, frozen=True):
    """What goes against a rule, or against the bounds of a plan."""

    code: str
    message: str
    action: Action = "refuse"
    rule_id: UUID | None = None
    """None: no rule of this place, but what the plan allows, or somebody else's opinion."""
    rule_name: str = ""
    """Empty: it is beyond what the plan allows, and nobody need write it down."""
    level: Level | None = None
    place: Place | None = None
    """Where it stands; None: the whole workflow is meant. The title has no node."""
    node_type: str = ""
    text: str | None = None

    @property
    def field(self) -> str:
        return ".".join(filter(None, self.place or ()))

    @property
    def text_hash(self) -> bytes | None:
        return None if self.text is None else hashlib.sha256(self.text.encode("utf-8", "replace")).digest()

    def as_error(self) -> dict[str, Any]:
        node = {"node_id": self.place.node_id, "node_type": self.node_type} if self.place and self.place.node_id else {}
        return {"field": self.field, "code": self.code, "message": self.message, **node}


class Findings(Struct, frozen=True):
    """All that a workflow goes against."""

    hits: tuple[Hit, ...] = ()

    @property
    def refusals(self) -> list[Hit]:
        return [hit for hit in self.hits if hit.action == "refuse"]

    @property
    def is_flagged(self) -> bool:
        return any(hit.action == "flag" for hit in self.hits)

    def require_allowed(self) -> None:
        """
        Raises:
            ContentRefused: Something is written in it that may not be asked for.
            GraphRefused: It has what it may not have, or asks for too much.
        """
        refusals = self.refusals
        if not refusals:
            return
        refused = ContentRefused if any(hit.text is not None for hit in refusals) else GraphRefused
        sentences = dict.fromkeys(hit.message for hit in refusals)
        raise refused(" ".join(list(sentences)[:TOLD_AT_MOST]), errors=tuple(hit.as_error() for hit in refusals))


NOTHING_FOUND = Findings()


def inspect(workflow: dict[str, Any], title: str, rules: Iterable[CompiledRule], standing: Standing) -> Findings:
    """
    Look at a workflow with every rule that concerns whoever submits it.

    Args:
        title: Also written by them, and seen by others.
        standing: What holds for them.
    """
    concerned = [rule for rule in rules if concerns(rule, standing)]
    content = [rule for rule in concerned if rule.content is not None]
    graph = [rule for rule in concerned if rule.graph is not None]
    hits: list[Hit] = []
    if content:
        hits += content_hits(workflow, title, content)
    if graph or any(getattr(standing.limits, bound) is not None for bound in BOUNDS):
        hits += graph_hits(workflow, graph, standing.limits)
    return Findings(tuple(hits)) if hits else NOTHING_FOUND


def concerns(rule: CompiledRule, standing: Standing) -> bool:
    if rule.plan not in (None, standing.plan):
        return False
    return rule.content is None or applies(rule.level, standing.limits.sensitivity)


def written_in(workflow: dict[str, Any], title: str) -> list[Written]:
    """All texts that somebody submits."""
    return [*read_written(workflow), *([Written(title, Place("", TITLE))] if title else [])]


def content_hits(workflow: dict[str, Any], title: str, rules: Sequence[CompiledRule]) -> Iterator[Hit]:
    texts = written_in(workflow, title)
    too_long = too_long_together(texts)
    if too_long is not None:
        yield too_long
        return
    types = Graph(workflow).types
    for rule in rules:
        for written in texts:
            if rule.content is not None and rule.content.concerns(written) and rule.content.is_hit_by(written.text):
                yield hit_of_text(rule, written, types.get(written.place.node_id, ""))


def too_long_together(texts: Iterable[Written]) -> Hit | None:
    """What cannot be looked at is refused: else a text would only have to be long enough."""
    if sum(len(written.text) for written in texts) <= TEXTS_CHARACTERS:
        return None
    message = (
        f"The texts of this workflow have more than {TEXTS_CHARACTERS:,} characters together, "
        "which is more than can be looked at here. Shorten them."
    )
    return Hit("texts_too_long", message)


def hit_of_text(rule: CompiledRule, written: Written, node_type: str) -> Hit:
    node_id = written.place.node_id
    where = f"The text in node {node_id} ({node_type})" if node_id else "The title"
    message = f"{where} goes against the rule “{rule.name}” of this place. Change it and submit it again."
    return hit_of(rule, "content_refused", message, place=written.place, node_type=node_type, text=written.text)


def graph_hits(workflow: dict[str, Any], rules: Sequence[CompiledRule], limits: Limits) -> Iterator[Hit]:
    graph, extent = Graph(workflow), measure(workflow)
    for fault in extent_faults(extent, limits):
        yield Hit(fault.code, f"{fault.message} That is what your plan says.")
    for rule in rules:
        for fault in rule.graph.faults(graph, extent) if rule.graph is not None else ():
            yield hit_of(rule, fault.code, f"{fault.message} The rule “{rule.name}” of this place says so.")


def hit_of(rule: CompiledRule, code: str, message: str, **where: Any) -> Hit:
    return Hit(code, message, rule.action, rule.id, rule.name, rule.level, **where)
