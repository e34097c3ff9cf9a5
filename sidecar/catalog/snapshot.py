"""What is known of models at one moment: read once, asked often, never changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from msgspec import Struct, field

from sidecar.comfyui.model_lists import LOADERS, Inputs, ModelInput, ModelKind
from sidecar.comfyui.model_names import comparable
from sidecar.comfyui.workflow_builder import Choices, Options

Key = tuple[ModelKind, str]
"""A model, by its kind and its comparable name."""

Version = tuple[int, int]
"""How often the catalogue was changed, and how many instances there are."""


class KnownModel(Struct, frozen=True):
    """One model. `instances` are those that have it; empty: it is known from earlier."""

    id: UUID
    kind: ModelKind
    name: str
    active: bool
    first_seen: datetime
    last_seen: datetime
    instances: tuple[UUID, ...] = ()

    @property
    def key(self) -> Key:
        return self.kind, comparable(self.name)

    @property
    def available(self) -> bool:
        return bool(self.instances)


class InstanceListing(Struct, frozen=True):
    """What one instance said of itself."""

    inputs: Inputs = field(default_factory=dict)
    samplers: tuple[str, ...] = ()
    schedulers: tuple[str, ...] = ()
    node_classes: frozenset[str] = frozenset()
    """Every node that it knows; empty: nothing is known of that."""
    instance_id: UUID | None = None


class Snapshot:
    """Every model, and what each instance said, as of `version`."""

    def __init__(
        self,
        version: Version = (0, 0),
        models: Iterable[KnownModel] = (),
        listings: Iterable[InstanceListing] = (),
    ) -> None:
        said = list(listings)
        self.version = version
        self.models = sorted(models, key=position_of)
        self.samplers = in_order(listing.samplers for listing in said)
        self.schedulers = in_order(listing.schedulers for listing in said)
        self.listed = frozenset(listing.instance_id for listing in said if listing.instance_id)
        """The instances that have said what they have."""
        self._node_classes = {one.instance_id: one.node_classes for one in said if one.instance_id and one.node_classes}
        self._known_to_all = frozenset.intersection(*self._node_classes.values()) if self._node_classes else frozenset()
        self._known_to_some = frozenset().union(*self._node_classes.values())
        self._inputs = merged(listing.inputs for listing in said)
        self._by_key = {model.key: model for model in self.models}
        self.options = Options(
            checkpoints=self._choices(ModelKind.CHECKPOINT),
            loras=self._choices(ModelKind.LORA),
            samplers=Choices(self.samplers) if self.samplers else None,
            schedulers=Choices(self.schedulers) if self.schedulers else None,
        )

    def find(self, kind: ModelKind, name: str) -> KnownModel | None:
        return self._by_key.get((kind, comparable(name)))

    def matching(self, *, kind: ModelKind | None = None, q: str = "", active: bool | None = None) -> list[KnownModel]:
        """The models of a kind, with these letters in their names, switched on or off; in the order of lists."""
        return [
            model
            for model in self.models
            if (kind is None or model.kind is kind)
            and (active is None or model.active is active)
            and q.casefold() in model.name.casefold()
        ]

    def holders(self, checkpoint: str, loras: Iterable[str]) -> frozenset[UUID] | None:
        """The instances that have all of these; None where nothing is known of any of them."""
        wanted = [(ModelKind.CHECKPOINT, checkpoint), *((ModelKind.LORA, name) for name in loras)]
        known = [model for kind, name in wanted if (model := self.find(kind, name)) is not None]
        return frozenset.intersection(*(frozenset(model.instances) for model in known)) if known else None

    @property
    def nodes_differ(self) -> bool:
        """Do some instances know nodes that others do not?"""
        return self._known_to_all != self._known_to_some

    def uncommon_nodes(self, node_classes: Iterable[str]) -> frozenset[str]:
        """Those of them that only some instances know. What none knows is for ComfyUI to refuse, in its own words."""
        return (frozenset(node_classes) & self._known_to_some) - self._known_to_all

    def able(self, checkpoint: str, loras: Iterable[str], nodes: frozenset[str]) -> frozenset[UUID] | None:
        """The instances that have these models and know these (uncommon) nodes; None where all may do it."""
        holders = self.holders(checkpoint, loras)
        if not nodes:
            return holders
        knowing = self.listed - {one for one, known in self._node_classes.items() if not nodes <= known}
        return knowing if holders is None else holders & knowing

    def knows_all(self, kind: ModelKind) -> bool:
        """Has any instance said which models of this kind it has? Before that nobody can say that one is not there."""
        class_type, name = LOADERS[kind]
        return name in self.inputs_of(class_type)

    def _choices(self, kind: ModelKind) -> Choices | None:
        # One that is switched off is no unknown one: its refusal says why.
        names = (model.name for model in self.models if model.kind is kind and (model.available or not model.active))
        return Choices(names) if self.knows_all(kind) else None

    def inputs_of(self, class_type: str) -> Mapping[str, ModelInput]:
        """The inputs of a node class that choose a model."""
        return self._inputs.get(class_type, {})


def position_of(model: KnownModel) -> tuple[str, str, str]:
    """Where it stands in lists: by kind, then by name as people sort names."""
    return model.kind.value, model.name.casefold(), model.name


def in_order(offered: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """Each once, in the order in which the first instance that has it names it."""
    return tuple(dict.fromkeys(choice for choices in offered for choice in choices))


def merged(offered: Iterable[Inputs]) -> Inputs:
    """What can be chosen on any of the instances."""
    everywhere: Inputs = {}
    for inputs in offered:
        for class_type, found in inputs.items():
            known = everywhere.setdefault(class_type, {})
            for name, chosen in found.items():
                known[name] = both(known[name], chosen) if name in known else chosen
    return everywhere


def both(one: ModelInput, other: ModelInput) -> ModelInput:
    return ModelInput(one.kind, in_order([one.others, other.others]))
