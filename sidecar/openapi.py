"""What the API says of itself: OpenAPI, and its page, which works without the internet."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec
from litestar import Litestar, Request, Router, get
from litestar.datastructures import ResponseHeader
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import (
    OpenAPIMediaType,
    OpenAPIResponse,
    Operation,
    Parameter,
    Reference,
    Schema,
    SecurityScheme,
)
from litestar.openapi.spec.base import BaseSchemaObject

from sidecar import __version__
from sidecar.accounts.authentication import PUBLIC
from sidecar.accounts.cookies import HOST_SESSION_COOKIE, SESSION_COOKIE
from sidecar.accounts.guards import (
    guarded_routes,
    requires_admin,
    requires_log_in,
    requires_member,
    requires_read,
    requires_submit,
)
from sidecar.errors import (
    AdministratorsOnly,
    BodyTooLarge,
    CredentialsInvalid,
    ForeignOrigin,
    GenonautError,
    InvalidRequest,
    MembersOnly,
    NotFound,
    NotLoggedIn,
    NotWithToken,
    ScopeMissing,
)
from sidecar.openapi_facts import EVENTS, EXAMPLES, OTHER_ANSWERS, REFUSALS
from sidecar.problems import PROBLEM_JSON, Problem

DOCS = "/schema"
DOCS_FILES = "/schema-files"  # told to the page relatively: ComfyUI serves both below /genonaut
PAGE = f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Genonaut</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{DOCS_FILES[1:]}/swagger-ui.css">
</head>
<body>
<div id="page"></div>
<script src="{DOCS_FILES[1:]}/swagger-ui-bundle.js"></script>
<script src="{DOCS[1:]}/start.js"></script>
</body>
</html>
"""
START = f"""\
SwaggerUIBundle({{
  url: '{DOCS[1:]}/openapi.json',
  dom_id: '#page',
  deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis],
}})
"""
# Swagger draws its signs from data: addresses.
FROM_HERE_ALONE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
PROBLEM = "Problem"
EVENT_STREAM = "text/event-stream"
Method = Literal["GET", "POST", "DELETE", "PATCH", "PUT", "HEAD", "TRACE", "OPTIONS"] | HttpMethod
WITHOUT_A_BODY = {"204"}
WAYS_TO_SHOW_WHO_ASKS = {
    "token": SecurityScheme(type="http", scheme="bearer", description="An API token."),
    "password": SecurityScheme(type="http", scheme="basic", description="A name, and its token or password."),
    "session": SecurityScheme(
        type="apiKey",
        name=SESSION_COOKIE,
        security_scheme_in="cookie",
        description=f"A log-in. Through TLS its name is `{HOST_SESSION_COOKIE}`.",
    ),
}
"""In `open` access none is needed."""
REFUSED_BY: dict[Any, tuple[type[GenonautError], ...]] = {
    requires_read: (NotLoggedIn, CredentialsInvalid, ScopeMissing),
    requires_submit: (NotLoggedIn, CredentialsInvalid, ScopeMissing, ForeignOrigin),
    requires_admin: (NotLoggedIn, CredentialsInvalid, AdministratorsOnly, ScopeMissing),
    requires_member: (MembersOnly,),
    requires_log_in: (NotWithToken,),
}
METHODS = ("get", "put", "post", "delete", "head", "patch")


@dataclass
class Whole(BaseSchemaObject):
    """An example as it is: of any other, Litestar leaves out what is null."""

    example: dict[str, Any]

    def to_schema(self) -> dict[str, Any]:
        return self.example


class Page(OpenAPIRenderPlugin):
    """Swagger without a script inside the page, so that the browser can be told to run none that stands there."""

    def __init__(self) -> None:
        super().__init__(path="/")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return PAGE.encode()

    def receive_router(self, router: Router) -> None:
        router.register(start_page)


class Description(JsonRenderPlugin):
    """
    The description itself, made when somebody first asks for it: it is a third of the time that the app takes to make.

    One an app.
    """

    def __init__(self) -> None:
        super().__init__()
        self._rendered: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """What Litestar hands over is only what can be read off the handlers."""
        if self._rendered is None:
            self._rendered = self.render_json(request, describe(request.app))
        return self._rendered


@get("/start.js", media_type="text/javascript", sync_to_thread=False)
def start_page() -> str:
    return START


def openapi_config() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Genonaut",
        version=__version__,
        description="Generations, images and their owners on a shared ComfyUI.",
        use_handler_docstrings=True,
        operation_id_creator=name_operation,
        render_plugins=[Page(), Description()],
        openapi_router=Router(
            DOCS,
            route_handlers=[],
            include_in_schema=False,
            opt={PUBLIC: True},
            response_headers=[ResponseHeader("Content-Security-Policy", value=FROM_HERE_ALONE)],
        ),
    )


def name_operation(handler: HTTPRouteHandler, method: Method, _path: list[Any]) -> str:
    """The handler's own name; one that answers HEAD as well as GET needs two."""
    return f"{handler.handler_name}_head" if method == HttpMethod.HEAD else handler.handler_name


def describe(app: Litestar) -> dict[str, Any]:
    """
    What can be read off the handlers, and what cannot: how errors look, which to expect, and examples.

    Once an app: it changes what Litestar has made and keeps.
    """
    schema = app.openapi_schema
    guards = guards_by_operation(app)
    schema.components.security_schemes = {**WAYS_TO_SHOW_WHO_ASKS}
    _, components = msgspec.json.schema_components([Problem], ref_template="#/components/schemas/{name}")
    schema.components.schemas |= {name: Schema(**described) for name, described in components.items()}
    for name, examples in EXAMPLES.items():
        schema.components.schemas[name].examples = [Whole(example) for example in examples]
    sentence = "What went wrong, for programs (`code`) and for people (`detail`)."
    schema.components.responses = {PROBLEM: described_problem(sentence)}
    for path in (schema.paths or {}).values():
        for method in METHODS:
            operation = getattr(path, method)
            if operation is not None:
                complete_operation(operation, guards[operation.operation_id or ""])
    return schema.to_schema()


def guards_by_operation(app: Litestar) -> dict[str, list[Any]]:
    return {
        name_operation(handler, method, []): handler.resolve_guards()
        for _path, handler in guarded_routes(app)
        for method in handler.http_methods
    }


def complete_operation(operation: Operation, guards: list[Any]) -> None:
    operation.summary, _, rest = (operation.description or "").partition("\n")
    operation.summary = operation.summary.rstrip(".")
    operation.description = rest.strip() or None
    operation.security = [{way: []} for way in WAYS_TO_SHOW_WHO_ASKS] if guards else None
    # Litestar describes the errors it would give itself; here every error is a problem.
    answers = {status: answer for status, answer in (operation.responses or {}).items() if status != "400"}
    for status in answers.keys() & WITHOUT_A_BODY:
        answers[status] = OpenAPIResponse("Done.")
    other = OTHER_ANSWERS.get(operation.operation_id or "", {})
    operation.responses = {
        **{status: with_example(answer) for status, answer in answers.items()},
        **{status: OpenAPIResponse(description) for status, description in other.items()},
        **refusals_of(operation, guards),
        "default": Reference(f"#/components/responses/{PROBLEM}"),
    }


def with_example(answer: OpenAPIResponse | Reference) -> OpenAPIResponse | Reference:
    """A stream has no schema to carry its example."""
    if isinstance(answer, OpenAPIResponse) and EVENT_STREAM in (answer.content or {}):
        return replace(answer, content={EVENT_STREAM: OpenAPIMediaType(example=EVENTS)})
    return answer


def refusals_of(operation: Operation, guards: list[Any]) -> dict[str, OpenAPIResponse]:
    """The problems to expect, by their status."""
    expected = [*REFUSALS.get(operation.operation_id or "", ())]
    for guard in guards:
        expected += [error for error in REFUSED_BY[guard] if error not in expected]
    if operation.request_body is not None:
        expected.append(BodyTooLarge)
    places = {parameter.param_in for parameter in operation.parameters or () if isinstance(parameter, Parameter)}
    if "query" in places or operation.request_body is not None:
        expected.append(InvalidRequest)
    if "path" in places:
        expected.append(NotFound)
    sentences: dict[str, list[str]] = defaultdict(list)
    for error in expected:
        sentences[str(error.http_status)].append(f"`{error.code}`: {error().message}")
    return {status: described_problem("\n\n".join(found)) for status, found in sentences.items()}


def described_problem(description: str) -> OpenAPIResponse:
    schema = Reference(f"#/components/schemas/{PROBLEM}")
    return OpenAPIResponse(description, content={PROBLEM_JSON: OpenAPIMediaType(schema=schema)})
