"""HTTP for administrators: what is looked at before its owner sees it."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, get, post, route
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK

from sidecar.accounts.audit import Actor
from sidecar.accounts.guards import requires_admin
from sidecar.gallery.kept import KeptImages
from sidecar.gallery.routes import ANSWERS, picture, require_size, serve, thumbnail
from sidecar.gallery.storage import ImageStore
from sidecar.generations.reviews import ReviewPage, Reviews, ReviewView, Verdict
from sidecar.generations.schemas import Review

PAGE_AT_MOST = 200

Desk = NamedDependency[Reviews]
Kept = NamedDependency[KeptImages]
Store = NamedDependency[ImageStore]
Wanted = Annotated[Review, QueryParameter(name="review", description="Only these.")]
Limit = Annotated[int, QueryParameter(ge=1, le=PAGE_AT_MOST, description="How many at most.")]
Cursor = Annotated[str | None, QueryParameter(max_length=200, description="`next_cursor` of the page before.")]


@get("/reviews", guards=[requires_admin])
async def list_reviews(
    reviews: Desk, review: Wanted = "waiting", limit: Limit = 50, cursor: Cursor = None
) -> ReviewPage:
    """What waits to be looked at, or was released or hidden; newest first."""
    return await reviews.page(review, limit=limit, cursor=cursor)


@post("/reviews/{generation_id:uuid}", guards=[requires_admin], status_code=HTTP_200_OK)
async def decide_review(
    data: JSONBody[Verdict], reviews: Desk, actor: NamedDependency[Actor], generation_id: FromPath[UUID]
) -> ReviewView:
    """Release, hide or delete a generation; also one that no rule has flagged. The same again changes nothing."""
    return await reviews.decide(generation_id, data, actor)


@route(
    "/reviews/{generation_id:uuid}/images/{image_id:uuid}",
    guards=[requires_admin],
    http_method=ANSWERS,
    media_type="image/*",
)
async def show_reviewed_image(
    request: Request[Any, Any, Any],
    reviews: Desk,
    kept_images: Kept,
    store: Store,
    generation_id: FromPath[UUID],
    image_id: FromPath[UUID],
) -> Response[Any]:
    """A picture that is looked at, as it was saved."""
    owner_id = await reviews.owner_of_image(generation_id, image_id)
    image = await kept_images.find_withheld(owner_id, image_id)
    return await serve(request, kept_images, store, picture(owner_id, image_id, image))


@route(
    "/reviews/{generation_id:uuid}/images/{image_id:uuid}/thumbnail/{size:str}",
    guards=[requires_admin],
    http_method=ANSWERS,
    media_type="image/*",
)
async def show_reviewed_thumbnail(
    request: Request[Any, Any, Any],
    reviews: Desk,
    kept_images: Kept,
    store: Store,
    generation_id: FromPath[UUID],
    image_id: FromPath[UUID],
    size: FromPath[str],
) -> Response[Any]:
    """A picture that is looked at, as a WebP of one of the sizes of thumbnails."""
    require_size(size)
    owner_id = await reviews.owner_of_image(generation_id, image_id)
    image = await kept_images.find_withheld(owner_id, image_id)
    return await serve(request, kept_images, store, thumbnail(owner_id, image_id, image, size))


ROUTES: list[Any] = [
    Router("/admin", route_handlers=[list_reviews, decide_review, show_reviewed_image, show_reviewed_thumbnail])
]
