"""ComfyUI's refusals, as people read them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from sidecar.errors import PromptRejected

COME_BACK_LATER = frozenset({408, 425, 429})  # request time-out, too early, too many requests
NODES_NAMED_AT_MOST = 5
REASON_CHARACTERS = 500  # "not in list" names the whole list, and there are people with thousands of LoRAs


def is_refusal(response: httpx.Response) -> bool:
    """Would it say no again? A proxy that asks to come back later does not say so."""
    return response.is_client_error and response.status_code not in COME_BACK_LATER


def as_rejection(response: httpx.Response) -> PromptRejected:
    """ComfyUI's refusal as it worded it."""
    try:
        answer = response.json()
        error = answer["error"]
        node_errors = answer.get("node_errors") or {}
        message = error if isinstance(error, str) else " ".join(filter(None, (error["message"], error.get("details"))))
        return PromptRejected(". ".join([message, *reasons_of(node_errors)]), node_errors=node_errors)
    except (ValueError, KeyError, TypeError, AttributeError):
        return PromptRejected(f"ComfyUI refused the workflow with status {response.status_code}.")


def reasons_of(node_errors: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the nodes, node by node: ComfyUI's own sentence says only that something is."""
    for node_id, found in itertools.islice(node_errors.items(), NODES_NAMED_AT_MOST):
        for reason in found["errors"]:
            said = ": ".join(filter(None, (reason.get("message"), reason.get("details"))))
            yield f"{found['class_type']} (node {node_id}): {said}"[:REASON_CHARACTERS]
