"""Errors on the wire: RFC 9457 problem details. The sentence is for the person; the cause goes to the log."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.types import ExceptionHandlersMap

from sidecar.errors import BodyTooLarge, GenonautError
from sidecar.field_faults import all_faults, explain
from sidecar.request_ids import request_id_of

PROBLEM_JSON = "application/problem+json"
SAID = "genonaut_said"
"""Where in a connection's state its body stands, as far as it was read."""

NOTHING_ELSE: Mapping[str, Any] = MappingProxyType({})
SOME_FIELDS = "Some of what was sent cannot be used; each field is listed with its reason."

log = structlog.get_logger(__name__)


class FieldError(msgspec.Struct):
    """What is wrong with one field: `loras[1].name` is the name of the second LoRA. `code` is for programs."""

    field: str
    message: str
    code: str = "invalid"
    node_id: str | msgspec.UnsetType = msgspec.UNSET
    node_type: str | msgspec.UnsetType = msgspec.UNSET


class Problem(msgspec.Struct, omit_defaults=True):
    """One error. `code` is for programs, `detail` for people."""

    title: str
    status: int
    detail: str
    code: str
    request_id: str
    type: str = "about:blank"
    help: tuple[str, ...] = ()
    retry_after_s: float | None = None
    errors: tuple[FieldError, ...] = ()
    limit: str | None = None
    """Which limit was reached; `used` of what is `allowed` are used."""
    used: int | None = None
    allowed: int | None = None
    group: str | None = None
    """Whose limit it is, where it is not one's own."""


def from_genonaut(request: Request[Any, Any, Any], exc: GenonautError) -> Response[bytes]:
    return respond(
        request,
        exc,
        status=exc.http_status,
        code=exc.code,
        detail=exc.message,
        help=exc.help,
        retry_after_s=exc.retry_after_s,
        errors=[msgspec.convert(error, FieldError) for error in exc.errors],
        facts=exc.facts,
    )


def from_http(request: Request[Any, Any, Any], exc: HTTPException) -> Response[bytes]:
    status = HTTPStatus(exc.status_code)
    errors = [(error.get("key", ""), error.get("message", "")) for error in as_list(exc.extra)]
    if isinstance(exc, ValidationException):
        errors = faults_of_body(request) or errors
    return respond(
        request,
        exc,
        status=status,
        code="invalid_request" if status == HTTPStatus.BAD_REQUEST else status.phrase.lower().replace(" ", "_"),
        detail=SOME_FIELDS if errors else exc.detail,
        errors=[as_field_error(field, message) for field, message in errors],
        headers=exc.headers,  # which methods there are, where this one is not
    )


def as_list(extra: Any) -> list[Any]:
    return extra if isinstance(extra, list) else []


class JSONRequest(Request[Any, Any, Any]):
    """A request that remembers what its body said."""

    async def json(self) -> Any:
        said = self.scope["state"][SAID] = await super().json()
        return said


def faults_of_body(request: Request[Any, Any, Any]) -> list[tuple[str, str]]:
    """Everything that is wrong with the body, where Litestar tells the first fault alone. Empty where it is right."""
    body = request.route_handler.parsed_fn_signature.parameters.get("data")
    state = request.scope["state"]
    if body is None or SAID not in state:
        return []
    return list(all_faults(state[SAID], body.annotation))


def from_too_much(request: Request[Any, Any, Any], _exc: RequestEntityTooLarge) -> Response[bytes]:
    """What HTTP calls it differs between versions of Python; and how much is too much differs between routes."""
    most = request.route_handler.resolve_request_max_body_size() or 0
    return from_genonaut(request, BodyTooLarge(f"The body of this request may have {most // 1024} kB at most."))


def as_field_error(field: str, message: str) -> FieldError:
    """
    What msgspec says of a field, in our words and by our names.

    A parameter has one name, whoever finds its fault; an object is not at fault for what is missing in it.
    """
    fault = explain(message)
    path = ".".join(filter(None, ("" if field == "data" else field, fault.member)))
    return FieldError(path.removeprefix("parameters."), fault.sentence, fault.code)


def from_unexpected(request: Request[Any, Any, Any], exc: Exception) -> Response[bytes]:
    detail = (
        "Something went wrong inside Genonaut. Try again; "
        "if it happens again, the log has the cause under this request id."
    )
    return respond(request, exc, status=HTTPStatus.INTERNAL_SERVER_ERROR, code=GenonautError.code, detail=detail)


def respond(
    request: Request[Any, Any, Any],
    exc: Exception,
    *,
    status: int,
    code: str,
    detail: str,
    help: tuple[str, ...] = (),  # noqa: A002 - the name it has on the wire
    retry_after_s: float | None = None,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
    facts: Mapping[str, Any] = NOTHING_ELSE,
) -> Response[bytes]:
    request_id = request_id_of(request)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request_failed", path=request.url.path, code=code, exc_info=exc)
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=int(status),
        detail=detail,
        code=code,
        request_id=request_id,
        help=help,
        retry_after_s=retry_after_s,
        errors=tuple(errors),
        **facts,
    )
    sent = {**(headers or {})}
    if status == HTTPStatus.UNAUTHORIZED:
        # RFC 9110, section 15.5.2, wants it. Never `Basic`: browsers would ask for a password in a window of their own.
        sent["WWW-Authenticate"] = "Bearer"
    if retry_after_s is not None:
        sent["Retry-After"] = str(max(1, math.ceil(retry_after_s)))
    content = msgspec.json.encode(problem)
    return Response(content, status_code=int(status), media_type=PROBLEM_JSON, headers=sent)


EXCEPTION_HANDLERS: ExceptionHandlersMap = {
    GenonautError: from_genonaut,
    RequestEntityTooLarge: from_too_much,
    HTTPException: from_http,
    Exception: from_unexpected,
}
