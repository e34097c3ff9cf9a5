"""
What somebody posted to ``/prompt``, read and checked before ComfyUI sees it.

ComfyUI trusts this body: a list where it wants text ends its websocket loop, a missing ``inputs`` or values nested
deeper than Python's stack end its worker thread for good, and it goes on looking healthy. So the shape is checked here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from aiohttp import web

from .wire import is_nested_deeper_than

WORD_FOR: dict[type[Any], str] = {dict: "a JSON object", list: "a list", str: "text"}

BODY_TOO_LARGE = (
    "This workflow is larger than ComfyUI accepts. "
    "Take large data out of it, or start ComfyUI with a higher --max-upload-size."
)
MOST_LEVELS = 100
"""How deep the body may be nested. ComfyUI copies prompts recursively, and Python's stack ends at 1000 calls."""


class UnusableBody(Exception):
    """The posted body cannot be a prompt."""

    def __init__(self, kind: str, message: str, details: str = "", *, status: int = 400) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.details = details
        self.status = status


@dataclass(frozen=True)
class PromptBody:
    """A body of the right shape; whether ComfyUI can run it is ComfyUI's to say."""

    posted: dict[str, Any]
    """The whole body, as posted."""

    workflow: dict[str, Any]
    extra_data: dict[str, Any]
    client_id: str | None
    partial_execution_targets: list[str] | None

    def told_to(self, client_id: str | None) -> PromptBody:
        """Make the same with another client id, wherever one stands in it."""
        extra_data = {key: value for key, value in self.extra_data.items() if key != "client_id"}
        posted = {**self.posted, "extra_data": extra_data, "client_id": client_id}
        return replace(self, posted=posted, extra_data=extra_data, client_id=client_id)


async def read_prompt_body(request: web.Request) -> PromptBody:
    """
    Read the body of a request, bounded by ComfyUI's own limit for uploads.

    Raises:
        UnusableBody: With the sentence for whoever posted it.
    """
    try:
        content = await request.read()
    except web.HTTPRequestEntityTooLarge as exc:
        raise UnusableBody(
            "body_too_large",
            BODY_TOO_LARGE,
            status=413,
        ) from exc
    return check_prompt_body(parse(content))


def parse(content: bytes) -> Any:
    try:
        value = json.loads(content, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as exc:
        raise UnusableBody("invalid_json", "The request is not valid JSON.", str(exc)) from exc
    if is_nested_deeper_than(MOST_LEVELS, value):
        raise UnusableBody("nested_too_deeply", f"The request is nested deeper than {MOST_LEVELS} levels.")
    return value


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number.")


def check_prompt_body(value: Any) -> PromptBody:
    """
    Check the shape of a parsed body.

    Raises:
        UnusableBody: With the sentence for whoever posted it.
    """
    if not isinstance(value, dict):
        raise UnusableBody("invalid_request", "The request must be a JSON object with a prompt in it.")
    if "prompt" not in value:
        raise UnusableBody("no_prompt", "No prompt provided", "No prompt provided")  # ComfyUI's own words
    check_numbers(value)
    extra_data = optional(value, "extra_data", dict) or {}
    if extra_data.get("extra_pnginfo") is not None and not isinstance(extra_data["extra_pnginfo"], dict):
        raise UnusableBody("invalid_request", "extra_data.extra_pnginfo must be a JSON object.")
    targets = optional(value, "partial_execution_targets", list)
    if targets is not None and not all(isinstance(target, str) for target in targets):
        raise UnusableBody("invalid_request", "partial_execution_targets must be a list of node ids.")
    return PromptBody(
        posted=value,
        workflow=check_workflow(value["prompt"]),
        extra_data=extra_data,
        client_id=optional(value, "client_id", str) or optional(extra_data, "client_id", str),
        partial_execution_targets=targets,
    )


def optional(value: dict[str, Any], name: str, kind: type[Any]) -> Any:
    found = value.get(name)
    if found is not None and not isinstance(found, kind):
        raise UnusableBody("invalid_request", f"{name} must be {WORD_FOR[kind]}.")
    return found


def check_numbers(value: dict[str, Any]) -> None:
    number = value.get("number", 0)
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise UnusableBody("invalid_number", "number must be a number.", f"It was {str(number)[:100]!r}.")
    try:
        json.dumps(value, allow_nan=False)
    except ValueError as exc:  # 1e999 is valid JSON, and infinite once read
        raise UnusableBody("invalid_number", "A number in the request is too large to be one.", str(exc)) from exc


def check_workflow(workflow: Any) -> dict[str, Any]:
    if not isinstance(workflow, dict):
        raise UnusableBody("invalid_prompt", "The prompt must be a JSON object of nodes by id.")
    for node_id, node in workflow.items():
        if not isinstance(node, dict):
            raise UnusableBody(
                "invalid_prompt", "Every node of the prompt must be a JSON object.", f"Node ID '#{node_id}'"
            )
        check_node(node_id, node)
    return workflow


def check_node(node_id: str, node: dict[str, Any]) -> None:
    # Only what ComfyUI would fall over: a node without class_type it refuses itself, in its own words.
    if not isinstance(node.get("class_type", ""), str):
        raise UnusableBody("invalid_prompt", "The class_type of a node must be text.", f"Node ID '#{node_id}'")
    if "class_type" in node and not isinstance(node.get("inputs"), dict):
        raise UnusableBody(
            "invalid_prompt", "Every node of the prompt needs its inputs as a JSON object.", f"Node ID '#{node_id}'"
        )
