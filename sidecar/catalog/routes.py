"""HTTP for models: from memory, and for browsers to keep for an hour."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import MediaType, Request, Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK, HTTP_304_NOT_MODIFIED
from msgspec import structs

from sidecar.accounts.callers import Caller
from sidecar.accounts.guards import requires_admin, requires_read
from sidecar.catalog.catalog import Catalog
from sidecar.catalog.discovery import Discovery
from sidecar.catalog.schemas import ModelChange, ModelPage, ModelView, OptionsView, Refreshed
from sidecar.comfyui.model_lists import ModelKind
from sidecar.conditions import is_known

PAGE_AT_MOST = 500
ONE_HOUR_S = 3600
ETAG_BYTES = 16

Models = NamedDependency[Catalog]
Kind = Annotated[ModelKind | None, QueryParameter(description="Only these.")]
Words = Annotated[str, QueryParameter(max_length=200, description="A part of the name.")]
Active = Annotated[bool | None, QueryParameter(description="Only those that are switched on, or off.")]
Limit = Annotated[int, QueryParameter(ge=1, le=PAGE_AT_MOST, description="How many at most.")]
Cursor = Annotated[str | None, QueryParameter(max_length=3000, description="`next_cursor` of the page before.")]


@get("/models", guards=[requires_read])
async def list_models(
    request: Request[Any, Any, Any],
    catalog: Models,
    caller: NamedDependency[Caller],
    kind: Kind = None,
    q: Words = "",
    active: Active = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response[ModelPage]:
    """Checkpoints, LoRAs and VAEs, by kind and name; which instances have them, administrators hear."""
    page = catalog.page(kind=kind, q=q, active=active, limit=limit, cursor=cursor)
    if not caller.is_admin:
        page = ModelPage([structs.replace(model, instances=[]) for model in page.items], page.next_cursor)
    return kept_for_an_hour(request, page)


@get("/models/options", guards=[requires_read])
async def list_options(request: Request[Any, Any, Any], catalog: Models) -> Response[OptionsView]:
    """Samplers and schedulers that can be chosen on any instance."""
    known = catalog.snapshot
    return kept_for_an_hour(request, OptionsView(list(known.samplers), list(known.schedulers)))


@post("/models/refresh", guards=[requires_admin], status_code=HTTP_200_OK)
async def refresh_models(discovery: NamedDependency[Discovery]) -> Refreshed:
    """Ask every instance now which models it has."""
    return await discovery.refresh()


@patch("/models/{model_id:uuid}", guards=[requires_admin])
async def change_model(data: JSONBody[ModelChange], catalog: Models, model_id: FromPath[UUID]) -> ModelView:
    """Switch a model on or off. What waits already with it goes its way."""
    return await catalog.set_active(model_id, active=data.active)


ROUTES: list[Any] = [list_models, list_options, refresh_models, change_model]


def kept_for_an_hour(request: Request[Any, Any, Any], content: msgspec.Struct) -> Response[Any]:
    """The answer, or that the browser has it already. Its ETag is of the very bytes, so it is always right."""
    body = msgspec.json.encode(content)
    etag = f'"{hashlib.blake2b(body, digest_size=ETAG_BYTES).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": f"private, max-age={ONE_HOUR_S}"}
    if is_known(request.headers, etag):
        return Response(b"", status_code=HTTP_304_NOT_MODIFIED, headers=headers)
    return Response(body, media_type=MediaType.JSON, headers=headers)
