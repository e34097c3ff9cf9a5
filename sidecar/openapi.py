"""What the API says of itself: OpenAPI, and its page, which works without the internet."""

from __future__ import annotations

from typing import Any, Literal, cast

import msgspec
from litestar import Litestar
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import SwaggerRenderPlugin
from litestar.openapi.spec import Example, OpenAPIMediaType, OpenAPIResponse, Operation, Reference, RequestBody, Schema

from sidecar import __version__
from sidecar.problems import PROBLEM_JSON, Problem

DOCS = "/schema"
DOCS_FILES = "/schema-files"  # told to the page relatively: ComfyUI serves both below /genonaut
PROBLEM = "Problem"
Method = Literal["GET", "POST", "DELETE", "PATCH", "PUT", "HEAD", "TRACE", "OPTIONS"] | HttpMethod
METHODS = ("get", "put", "post", "delete", "head", "patch")

EXAMPLES: dict[str, dict[str, Example | Reference]] = {
    "submit_generation": {
        "parameters": Example(
            summary="By parameters",
            value={
                "parameters": {
                    "prompt": "a lighthouse at dawn",
                    "negative_prompt": "blurry",
                    "checkpoint": "sd15.safetensors",
                    "width": 512,
                    "height": 512,
                    "steps": 20,
                },
                "title": "Lighthouse",
                "tags": ["sea"],
            },
        ),
        "workflow": Example(
            summary="By a workflow in ComfyUI's API format",
            value={
                "workflow": {
                    "1": {
                        "class_type": "EmptyImage",
                        "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 255},
                    },
                    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "blue"}},
                }
            },
        ),
    }
}


def openapi_config() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Genonaut",
        version=__version__,
        description="Generations, images and their owners on a shared ComfyUI.",
        path=DOCS,
        use_handler_docstrings=True,
        operation_id_creator=name_operation,
        render_plugins=[
            SwaggerRenderPlugin(
                path="/",
                favicon="",  # the default one comes from the internet
                js_url=f"{DOCS_FILES[1:]}/swagger-ui-bundle.js",
                css_url=f"{DOCS_FILES[1:]}/swagger-ui.css",
                standalone_preset_js_url=f"{DOCS_FILES[1:]}/swagger-ui-standalone-preset.js",
            )
        ],
    )


def name_operation(handler: HTTPRouteHandler, method: Method, _path: list[Any]) -> str:
    """The handler's own name; one that answers HEAD as well as GET needs two."""
    return f"{handler.handler_name}_head" if method == HttpMethod.HEAD else handler.handler_name


def complete(app: Litestar) -> None:
    """Add what cannot be read off the handlers: how errors look, once for all of them, and examples."""
    schema = app.openapi_schema
    (problem,), components = msgspec.json.schema_components([Problem], ref_template="#/components/schemas/{name}")
    schema.components.schemas |= cast("dict[str, Schema]", components)
    content = {PROBLEM_JSON: OpenAPIMediaType(schema=Reference(problem["$ref"]))}
    schema.components.responses = {
        PROBLEM: OpenAPIResponse("What went wrong, for programs (`code`) and for people (`detail`).", content=content)
    }
    for path in (schema.paths or {}).values():
        for method in METHODS:
            operation = getattr(path, method)
            if operation is not None:
                complete_operation(operation)


def complete_operation(operation: Operation) -> None:
    operation.summary, _, rest = (operation.description or "").partition("\n")
    operation.summary = operation.summary.rstrip(".")
    operation.description = rest.strip() or None
    # Litestar describes the errors it would give itself; here every error is a problem.
    answers = {status: answer for status, answer in (operation.responses or {}).items() if status != "400"}
    operation.responses = {**answers, "default": Reference(f"#/components/responses/{PROBLEM}")}
    examples = EXAMPLES.get(operation.operation_id or "")
    if isinstance(operation.request_body, RequestBody):
        for media in operation.request_body.content.values():
            media.examples = examples
