"""ComfyUI's refusals, as people read them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from sidecar.comfyui.rejections import REASON_CHARACTERS, as_rejection, is_refusal

NOT_IN_LIST = {
    "type": "value_not_in_list",
    "message": "Value not in list",
    "details": "ckpt_name: 'missing.safetensors' not in ['small.safetensors']",
    "extra_info": {},
}
FAILED_VALIDATION = {
    "type": "prompt_outputs_failed_validation",
    "message": "Prompt outputs failed validation",
    "details": "",
    "extra_info": {},
}


def refusal(error: Any, node_errors: Any) -> httpx.Response:
    return httpx.Response(400, json={"error": error, "node_errors": node_errors})


def test_a_refusal_says_what_is_wrong_with_which_node():
    """ComfyUI's own sentence names neither the node nor the reason; both stand in its node errors."""
    node_errors = {"4": {"errors": [NOT_IN_LIST], "dependent_outputs": ["9"], "class_type": "CheckpointLoaderSimple"}}
    rejection = as_rejection(refusal(FAILED_VALIDATION, node_errors))

    assert rejection.message == (
        "Prompt outputs failed validation. CheckpointLoaderSimple (node 4): "
        "Value not in list: ckpt_name: 'missing.safetensors' not in ['small.safetensors']"
    )
    assert rejection.node_errors == node_errors


def test_a_long_reason_is_cut():
    """The list that a value is not in may have thousands of entries."""
    reason = {**NOT_IN_LIST, "details": "x" * 100_000}
    rejection = as_rejection(refusal(FAILED_VALIDATION, {"4": {"errors": [reason], "class_type": "LoraLoader"}}))

    assert len(rejection.message) < REASON_CHARACTERS + len(FAILED_VALIDATION["message"]) + 5


@pytest.mark.parametrize("node_errors", [[], ["x"], {"4": None}, {"4": {}}, {"4": {"errors": [None]}}])
def test_a_refusal_in_another_shape_is_told_all_the_same(node_errors: Any):
    """Other versions and other packs may word it as they like."""
    assert as_rejection(refusal("No prompt", node_errors)).message


@pytest.mark.parametrize(
    ("status", "refused"),
    [(400, True), (401, True), (413, True), (408, False), (425, False), (429, False), (500, False)],
)
def test_who_asks_to_come_back_later_does_not_refuse(status: int, refused: bool):
    """What a busy proxy answers is tried again, as everything that may pass."""
    assert is_refusal(httpx.Response(status)) is refused
