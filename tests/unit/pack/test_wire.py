"""What the pack writes for others."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from comfy_nodes.prompt_body import MOST_LEVELS
from comfy_nodes.wire import DEEPEST_VALUE, encode_json, new_generation_id


def test_ids_are_uuid7_and_sort_by_their_time() -> None:
    """Lower case with hyphens, version 7, and later ones are never smaller."""
    ids = [new_generation_id() for _ in range(1000)]

    assert {str(uuid.UUID(one)) for one in ids} == set(ids)
    assert {uuid.UUID(one).version for one in ids} == {7}
    assert {uuid.UUID(one).variant for one in ids} == {uuid.RFC_4122}
    assert [one[:18] for one in ids] == sorted(one[:18] for one in ids)


def test_whatever_a_node_hands_out_becomes_json_that_strict_readers_take() -> None:
    """Not a number is null, half a surrogate pair a question mark, anything else its text; rings end somewhere."""
    ring: dict[object, object] = {"nan": float("nan"), "half": "\ud800", "set": {1}, (1, 2): object}
    ring["itself"] = ring

    read = json.loads(encode_json(ring), parse_constant=lambda name: 1 / 0)

    assert (read["nan"], read["half"], read["set"]) == (None, "?", [1])
    assert read["(1, 2)"] == "<class 'object'>"


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"in": inner}, lambda inner: (inner,)])
@pytest.mark.parametrize("levels", [500, 9000])
def test_what_is_nested_too_deeply_is_cut_off_with_a_note(wrap: Callable[[Any], Any], levels: int) -> None:
    """Some Pythons write 9000 levels without a word, and the readers give up at 1000 and lose what comes after."""
    value: Any = "core"
    for _ in range(levels):
        value = wrap(value)
    told = encode_json({"outputs": value, "status": "completed"}).decode()

    assert max(told.count("["), told.count("{")) <= DEEPEST_VALUE
    assert "nested too deeply" in told
    assert json.loads(told)["status"] == "completed"


def test_what_a_prompt_may_hold_is_told_whole() -> None:
    """The gate takes a hundred levels; none of them is lost on the way to the sidecar."""
    value: Any = "core"
    for _ in range(MOST_LEVELS):
        value = [value]

    assert json.loads(encode_json({"workflow": value})) == {"workflow": value}
