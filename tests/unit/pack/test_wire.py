"""What the pack writes for others."""

from __future__ import annotations

import json
import uuid

from comfy_nodes.wire import encode_json, new_generation_id


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
