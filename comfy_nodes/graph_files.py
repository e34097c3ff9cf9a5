"""
What a workflow may read, and what its outputs are called: the files of whoever it belongs to, and the shared ones.

Every text among a node's inputs may be the name of a file; which one is, only the node knows. So each is looked at as
if it were one. What leads to somebody else's file, or out of ComfyUI's folders, is refused with ComfyUI's own shape of
errors, node by node, whether it is there or not; what merely looks like a path is left alone.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .input_combos import is_for_uploads
from .named_files import Leads, NamedFiles
from .ownership import OwnedFiles
from .places import OWN_FOLDER, Place
from .under_review import REVIEW_FOLDER

OWNER_INPUT = "__owner"
"""
An input that no node has. ComfyUI leaves it out when it runs a node, but not when it asks whether it has run the node
before: so nobody is handed what was made for somebody else out of its cache, nor what was saved for administrators.
"""

FOLDER_NAME = "folder_name"
NODES_OF_DATASETS = frozenset(
    {"SaveImageDataSetToFolder", "SaveImageTextDataSetToFolder", "SaveTrainingDataset", "LoadTrainingDataset"}
)
"""ComfyUI's own (nodes_dataset.py), which put a folder of that name among the outputs without asking where to save."""

READS_DATASETS = "LoadTrainingDataset"

NO_SUCH_FILE = "There is no such file among yours or the shared ones."


class ForeignFiles(Exception):
    """A workflow names files that its owner may not use. In ComfyUI's words, by node: `node_errors`."""

    def __init__(self, node_errors: dict[str, Any]) -> None:
        super().__init__(NO_SUCH_FILE)
        self.node_errors = node_errors


@dataclass
class Text:
    """A text among the inputs of a node, and how to put another one in its place."""

    node_id: str
    input_name: str
    value: str
    holder: Any
    key: Any

    def replace(self, value: str) -> None:
        self.holder[self.key] = value


@dataclass(frozen=True)
class Doubt:
    """A text for which it must be asked whose file that is."""

    text: Text
    place: Place


class InputTypes:
    """What the nodes of one workflow say of their inputs; some read folders for that, so each is asked once."""

    def __init__(self, node_classes: Mapping[str, Any], workflow: Mapping[str, Any]) -> None:
        self._node_classes = node_classes
        self._workflow = workflow
        self._of_class: dict[str, dict[str, Any]] = {}

    def spec_of(self, text: Text) -> tuple[Any, Mapping[str, Any]]:
        """Give the type of an input and what else is said of it; ``("*", {})`` for one that the node does not tell."""
        spec = self._inputs_of(self._workflow[text.node_id].get("class_type")).get(text.input_name)
        if not isinstance(spec, (list, tuple)) or not spec:
            return "*", {}
        more = spec[1] if len(spec) > 1 and isinstance(spec[1], Mapping) else {}
        return spec[0], more

    def is_prose(self, text: Text) -> bool:
        """May anything be written there, also what only looks like the name of a file?"""
        kind, _ = self.spec_of(text)
        return kind in ("STRING", "*")

    def chooses(self, text: Text) -> bool:
        """Is it one of a few values that have nothing to do with uploaded files?"""
        kind, more = self.spec_of(text)
        options: Any = kind if isinstance(kind, (list, tuple)) else more.get("options")
        # Lists of other kinds are packs' ways to take everything.
        return type(options) in (list, tuple) and text.value in options and not is_for_uploads(more)

    def _inputs_of(self, class_type: Any) -> dict[str, Any]:
        if class_type not in self._of_class:
            self._of_class[class_type] = read_inputs(self._node_classes.get(class_type))
        return self._of_class[class_type]


def read_inputs(node_class: Any) -> dict[str, Any]:
    if node_class is None:
        return {}
    try:
        told = node_class.INPUT_TYPES()
        return {**told.get("required", {}), **told.get("optional", {})}
    except Exception:  # noqa: BLE001 - a node of any origin; ComfyUI says what is wrong with it
        return {}


class GraphFiles:
    """Makes workflows ready for their owner. One a process."""

    def __init__(self, files: OwnedFiles, node_classes: Mapping[str, Any]) -> None:
        self._files = files
        self._named = NamedFiles(files)
        self._node_classes = node_classes

    async def prepare(
        self, workflow: dict[str, Any], owner_id: str, *, is_under_review: bool = False
    ) -> dict[str, Any]:
        """
        Give the workflow as it may run for its owner.

        Their own files are called by their full names, so that two people's files of one name are two files to
        ComfyUI's cache as well, and output nodes carry `OWNER_INPUT`.

        Raises:
            ForeignFiles: It names files that they may not use.
            SidecarAway: Nobody can say whose a file is.
        """
        ready = {node_id: copied(node) for node_id, node in workflow.items()}
        refused, doubts = await asyncio.to_thread(self._look_through, ready, owner_id)
        for doubt in doubts:
            if await self._files.owner_of(doubt.place) != owner_id:
                refused.append(doubt.text)
        if refused:
            raise ForeignFiles(as_node_errors(refused, workflow))
        self._name_owner(ready, owner_id, is_under_review=is_under_review)
        return ready

    def _look_through(self, workflow: dict[str, Any], owner_id: str) -> tuple[list[Text], list[Doubt]]:
        types = InputTypes(self._node_classes, workflow)
        refused: list[Text] = []
        doubts: list[Doubt] = []
        for text in texts_of(workflow):
            if self._call_by_full_name(text, types, owner_id):
                continue
            found = self._follow(text, types, owner_id)
            if isinstance(found, Place):
                doubts.append(Doubt(text, found))
            elif found is not Leads.NOWHERE:
                refused.append(text)
        return refused, doubts

    def _call_by_full_name(self, text: Text, types: InputTypes, owner_id: str) -> bool:
        own = self._named.own_name(text.value, owner_id)
        if own is None:
            return False
        name, annotation = own
        if not annotation and (types.is_prose(text) or types.chooses(text)):
            return False
        text.replace(name.as_input(annotation))
        return True

    def _follow(self, text: Text, types: InputTypes, owner_id: str) -> Leads | Place:
        """Find out where a text leads to, with regard to what its node says of it."""
        found = self._named.follow(text.value, owner_id)
        if found in (Leads.OUT, Leads.OUT_IN_VAIN) and types.chooses(text):
            return Leads.NOWHERE  # ComfyUI itself offers it
        if found in (Leads.OUT_IN_VAIN, Leads.MISREAD) and types.is_prose(text):
            return Leads.NOWHERE
        if found is not Leads.NOWHERE or not may_need_asking(text.value):
            return found
        is_a_file = not types.is_prose(text) and not types.chooses(text)
        return self._named.open_question(text.value, owner_id) if is_a_file else Leads.NOWHERE

    def _name_owner(self, workflow: dict[str, Any], owner_id: str, *, is_under_review: bool) -> None:
        saves_for = f"{REVIEW_FOLDER}/{owner_id}" if is_under_review else owner_id
        for node in workflow.values():
            class_type, inputs = node.get("class_type"), node.get("inputs")
            if not isinstance(inputs, dict):
                continue
            if is_output(self._node_classes.get(class_type)):
                inputs[OWNER_INPUT] = saves_for
            if class_type in NODES_OF_DATASETS and isinstance(inputs.get(FOLDER_NAME), str):
                folder = owner_id if class_type == READS_DATASETS else saves_for
                inputs[FOLDER_NAME] = own_folder_of_datasets(inputs[FOLDER_NAME], folder)


def copied(node: Any) -> Any:
    """Copy what may be changed: dictionaries and lists, all the way down."""
    if isinstance(node, dict):
        return {key: copied(value) for key, value in node.items()}
    return [copied(value) for value in node] if isinstance(node, list) else node


def texts_of(workflow: dict[str, Any]) -> Iterator[Text]:
    """Every text among the inputs of all nodes, however deep it lies."""
    for node_id, node in workflow.items():
        inputs = node.get("inputs")
        for input_name, value in tuple(inputs.items()) if isinstance(inputs, dict) else ():
            if not is_link(value):
                yield from texts_in(node_id, input_name, inputs, input_name)


def texts_in(node_id: str, input_name: str, holder: Any, key: Any) -> Iterator[Text]:
    value = holder[key]
    if isinstance(value, str):
        yield Text(node_id, input_name, value, holder, key)
    elif isinstance(value, dict):
        for inner in value:
            yield from texts_in(node_id, input_name, value, inner)
    elif isinstance(value, list):
        for inner in range(len(value)):
            yield from texts_in(node_id, input_name, value, inner)


def is_link(value: Any) -> bool:
    """
    Is it a connection to another node, as ComfyUI tells it (comfy_execution/graph_utils.py, is_link)?

    Only as the whole of an input: further down the same is a list of a text and a number.
    """
    return (
        isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], (int, float))
    )


def is_output(node_class: Any) -> bool:
    """Does this node show what it made? Since 0.30 or so also some that do not end a workflow."""
    return any(getattr(node_class, name, False) is True for name in ("OUTPUT_NODE", "HAS_INTERMEDIATE_OUTPUT"))


def own_folder_of_datasets(name: str, folder: str) -> str:
    """Give the name by which a set is saved and found in a person's folder, wherever the one they chose would lead."""
    own = f"{OWN_FOLDER}/{folder}/"
    inside = os.path.normpath(f"/{name}").replace(os.sep, "/").lstrip("/")
    return inside if inside.startswith(own) else own + inside


def may_need_asking(text: str) -> bool:
    return text.endswith("]") or OWN_FOLDER in text.casefold()


def as_node_errors(refused: list[Text], workflow: Mapping[str, Any]) -> dict[str, Any]:
    """Say it as ComfyUI says that a node's own validation failed (execution.py, validate_inputs)."""
    errors: dict[str, Any] = {}
    for text in refused:
        node = errors.setdefault(
            text.node_id,
            {"errors": [], "dependent_outputs": [], "class_type": workflow[text.node_id].get("class_type", "")},
        )
        error = {
            "type": "custom_validation_failed",
            "message": NO_SUCH_FILE,
            "details": f"{text.input_name} - {text.value[:200]}",
            "extra_info": {"input_name": text.input_name},
        }
        node["errors"].append(error)
    return errors
