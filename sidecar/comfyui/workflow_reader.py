"""
Workflow -> facts: what was asked for, read out of any workflow as far as it is there.

Reading starts at the sampler and follows its links backwards, through nodes that nobody here has heard of too. It
takes whatever a page or a program sent, so it never fails: what cannot be read stays empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from msgspec import Struct, field

from sidecar.comfyui.workflow_builder import MAX_NAME_CHARACTERS, MAX_SEED, Lora

SAMPLERS = frozenset({"KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced"})
TAG_NODE = "GenonautTagGeneration"
FORGETS_THE_TEXT = frozenset({"ConditioningZeroOut"})
TEXT_INPUTS = ("text", "text_g", "text_l", "clip_l", "clip_g", "t5xxl", "prompt", "string", "value")
MAX_COUNT = 2**31 - 1  # what fits into an integer column of any database
MAX_TITLE_CHARACTERS = 200
MAX_TAGS = 20
MAX_TAG_CHARACTERS = 50
FOLLOW_VALUES_FOR = 16  # how many nodes a number or text may be handed through before it is read

Node = dict[str, Any]
Check = Callable[[Any], Any]


class SamplerFacts(Struct):
    """How the sampler was set."""

    seed: int | None = None
    steps: int | None = None
    cfg: float | None = None
    sampler_name: str = ""
    scheduler: str = ""
    denoise: float | None = None


class WorkflowFacts(Struct):
    """What could be read from a workflow. Empty or None: it does not say."""

    prompt: str = ""
    negative_prompt: str = ""
    checkpoint: str = ""
    loras: list[Lora] = field(default_factory=list)
    width: int | None = None
    height: int | None = None
    batch_size: int | None = None
    sampler: SamplerFacts = field(default_factory=SamplerFacts)
    title: str = ""
    tags: list[str] = field(default_factory=list)


def read_workflow(workflow: Any) -> WorkflowFacts:
    """The facts of a workflow in ComfyUI's API format. With several samplers, those of the first one to run."""
    graph = Graph(workflow)
    facts = WorkflowFacts()
    read_tags(graph, facts)
    sampler = first_sampler(graph)
    if sampler is not None:
        read_sampler(graph, sampler, facts)
    return facts


class Graph:
    """The nodes of a workflow and the ways between them. Whatever is no node is left out."""

    def __init__(self, workflow: Any) -> None:
        self.nodes: dict[str, Node] = {}
        self.types: dict[str, str] = {}
        for node_id, node in workflow.items() if isinstance(workflow, dict) else ():
            if isinstance(node, dict) and isinstance(node.get("inputs"), dict):
                self.nodes[str(node_id)] = node["inputs"]
                self.types[str(node_id)] = str(node.get("class_type"))

    def source(self, value: Any) -> str | None:
        """The id of the node that a link comes from; None for anything that is no link into this workflow."""
        is_link = isinstance(value, list) and len(value) == 2 and isinstance(value[0], str | int)
        node_id = str(value[0]) if is_link else None
        return node_id if node_id in self.nodes else None

    def literal(self, node_id: str, name: str, check: Check) -> Any:
        """A node's input as a value, also if a node of its own supplies it; None when it cannot be read."""
        value = self.nodes[node_id].get(name)
        for _ in range(FOLLOW_VALUES_FOR):
            source = self.source(value)
            if source is None:
                return check(value)
            value = self.supplied(source, name, check)
        return None

    def supplied(self, node_id: str, name: str, check: Check) -> Any:
        """What a node that only supplies a value holds: the input of that name, `value`, or the only one that fits."""
        inputs = self.nodes[node_id]
        for likely in (name, "value"):
            if likely in inputs:
                return inputs[likely]
        fitting = [value for value in inputs.values() if check(value) is not None]
        return fitting[0] if len(fitting) == 1 else None

    def upstream(self, link: Any, follow: Callable[[str], Iterable[Any]]) -> Iterator[str]:
        """
        The nodes from which a link comes, nearest first, each once.

        Args:
            follow: Which of a node's inputs lead further back.
        """
        waiting, seen = [link], set()
        while waiting:
            node_id = self.source(waiting.pop())
            if node_id is None or node_id in seen:
                continue
            seen.add(node_id)
            yield node_id
            waiting.extend(reversed(list(follow(node_id))))

    def inputs_named(self, *names: str) -> Callable[[str], list[Any]]:
        """Follow the inputs of these names; at a node that has none of them, follow all."""

        def follow(node_id: str) -> list[Any]:
            inputs = self.nodes[node_id]
            named = [inputs[name] for name in names if self.source(inputs.get(name)) is not None]
            return named or list(inputs.values())

        return follow


# What is asked for


def first_sampler(graph: Graph) -> str | None:
    """The sampler whose latent image comes from no other one; any, where they run in a circle."""
    samplers = [node_id for node_id in graph.nodes if is_sampler(graph, node_id)]
    for node_id in samplers:
        before = graph.upstream(graph.nodes[node_id].get("latent_image"), graph.inputs_named("latent_image", "samples"))
        if not any(is_sampler(graph, earlier) for earlier in before):
            return node_id
    return samplers[0] if samplers else None


def is_sampler(graph: Graph, node_id: str) -> bool:
    """One of ComfyUI's own, or a node of somebody else's with the inputs that make a sampler."""
    inputs = graph.nodes[node_id]
    return graph.types[node_id] in SAMPLERS or (
        "latent_image" in inputs and ("positive" in inputs or "guider" in inputs)
    )


def read_sampler(graph: Graph, sampler: str, facts: WorkflowFacts) -> None:
    inputs = graph.nodes[sampler]
    guider = graph.source(inputs.get("guider"))
    guided = sampler if guider is None else guider
    facts.sampler = sampler_facts(graph, sampler, guided)
    conditions = graph.nodes[guided]
    positive = "positive" if "positive" in conditions else "conditioning"
    facts.prompt = read_text(graph, conditions.get(positive), "positive")
    facts.negative_prompt = read_text(graph, conditions.get("negative"), "negative")
    read_models(graph, conditions.get("model"), facts)
    read_size(graph, inputs.get("latent_image"), facts)


def sampler_facts(graph: Graph, sampler: str, guided: str) -> SamplerFacts:
    """The settings, wherever they are: in the sampler itself or in the small nodes in front of it."""
    parts = [sampler, guided]
    parts += [part for name in ("noise", "sampler", "sigmas") if (part := graph.source(graph.nodes[sampler].get(name)))]

    def find(check: Check, *names: str) -> Any:
        values = (graph.literal(part, name, check) for part in parts for name in names if name in graph.nodes[part])
        return next((value for value in values if value is not None), None)

    return SamplerFacts(
        seed=find(as_seed, "seed", "noise_seed"),
        steps=find(as_count, "steps"),
        cfg=find(as_number, "cfg"),
        sampler_name=find(as_name, "sampler_name") or "",
        scheduler=find(as_name, "scheduler") or "",
        denoise=find(as_number, "denoise"),
    )


def read_text(graph: Graph, link: Any, role: str) -> str:
    """The texts that lead to a conditioning; several of them line by line."""
    texts: list[str] = []

    def follow(node_id: str) -> list[Any]:
        if graph.types[node_id] in FORGETS_THE_TEXT or own_texts(graph, node_id) or is_sampler(graph, node_id):
            return []
        inputs = graph.nodes[node_id]
        conditions = [inputs[name] for name in inputs if name == role or str(name).startswith("cond")]
        return conditions or list(inputs.values())

    for node_id in graph.upstream(link, follow):
        texts += [text for text in own_texts(graph, node_id) if text not in texts]
    return "\n".join(texts)


def own_texts(graph: Graph, node_id: str) -> list[str]:
    """The texts of a node that encodes them."""
    if "clip" not in graph.nodes[node_id]:
        return []
    found = (graph.literal(node_id, name, as_text) for name in TEXT_INPUTS if name in graph.nodes[node_id])
    return list(dict.fromkeys(text for text in found if text))


def read_models(graph: Graph, link: Any, facts: WorkflowFacts) -> None:
    for node_id in graph.upstream(link, graph.inputs_named("model")):
        lora = read_lora(graph, node_id)
        if lora is not None:
            facts.loras.insert(0, lora)  # the nearest one was applied last
        for name in ("ckpt_name", "unet_name"):
            facts.checkpoint = facts.checkpoint or graph.literal(node_id, name, as_name) or ""


def read_lora(graph: Graph, node_id: str) -> Lora | None:
    name = graph.literal(node_id, "lora_name", as_name)
    if name is None:
        return None
    strength = graph.literal(node_id, "strength_model", as_number)
    # Without a strength for the text encoder, the node changes the model alone.
    strength_clip = graph.literal(node_id, "strength_clip", as_number) if "clip" in graph.nodes[node_id] else 0.0
    return Lora(name, 1.0 if strength is None else strength, 1.0 if strength_clip is None else strength_clip)


def read_size(graph: Graph, link: Any, facts: WorkflowFacts) -> None:
    for node_id in graph.upstream(link, graph.inputs_named("latent_image", "samples", "latent")):
        width, height = (graph.literal(node_id, side, as_count) for side in ("width", "height"))
        if width is not None and height is not None:
            facts.width, facts.height = width, height
            facts.batch_size = graph.literal(node_id, "batch_size", as_count)
            return


def read_tags(graph: Graph, facts: WorkflowFacts) -> None:
    tags: list[str] = []
    for node_id, inputs in graph.nodes.items():
        if graph.types[node_id] == TAG_NODE:
            facts.title = facts.title or (as_text(inputs.get("title")) or "").strip()[:MAX_TITLE_CHARACTERS]
            tags += (tag.strip()[:MAX_TAG_CHARACTERS] for tag in (as_text(inputs.get("tags")) or "").split(","))
    facts.tags = [tag for tag in dict.fromkeys(tags) if tag][:MAX_TAGS]


# Values: what fits comes back, clean; None for anything else


def as_text(value: Any) -> str | None:
    """Text that every database stores: JSON may carry half characters and NUL."""
    if not isinstance(value, str):
        return None
    return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def as_name(value: Any) -> str | None:
    text = as_text(value)
    return text[:MAX_NAME_CHARACTERS] if text else None


def as_number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) <= MAX_COUNT else None


def as_count(value: Any) -> int | None:
    return as_whole(value, MAX_COUNT)


def as_seed(value: Any) -> int | None:
    return as_whole(value, MAX_SEED)


def as_whole(value: Any, most: int) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most else None
