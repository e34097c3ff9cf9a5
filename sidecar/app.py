"""HTTP over the parts of the sidecar: its routes, and what a handler may ask for by name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

import structlog
from argon2 import PasswordHasher
from litestar import Litestar, Router
from litestar.datastructures import CacheControlHeader, State
from litestar.di import Provide
from litestar.middleware import DefineMiddleware
from litestar.static_files import create_static_files_router

from sidecar.accounts import admin_routes, authentication, internal_routes
from sidecar.accounts import routes as account_routes
from sidecar.accounts.authentication import PUBLIC, Authentication
from sidecar.accounts.guards import require_guards
from sidecar.accounts.paired import ProvenAnswers
from sidecar.accounts.refusals import Refusals
from sidecar.catalog import routes as catalog_routes
from sidecar.entrance import Entrance
from sidecar.gallery import routes as gallery_routes
from sidecar.generations import review_routes
from sidecar.generations import routes as generation_routes
from sidecar.handing_over import hand_over_in_turn
from sidecar.health import ROUTES as HEALTH_ROUTES
from sidecar.limits import admin_routes as limit_routes
from sidecar.openapi import DOCS_FILES, openapi_config
from sidecar.operations import routes as operation_routes
from sidecar.origins import pages_let_in, refuse_foreign_pages
from sidecar.parts import Parts, put_together
from sidecar.problems import EXCEPTION_HANDLERS, JSONRequest
from sidecar.quota import routes as quota_routes
from sidecar.rules import routes as rule_routes
from sidecar.running import running
from sidecar.settings import Settings

BODY_BYTES = 64 * 1024  # five hundred ids are 20 kB; routes that take a workflow say what they take
ONE_DAY_S = 24 * 3600
API = "/api/v1"

log = structlog.get_logger(__name__)


def create_app(settings: Settings, hasher: PasswordHasher | None = None) -> Litestar:
    return app_of(put_together(settings, hasher))


def app_of(parts: Parts) -> Litestar:
    """HTTP over these parts, which start and stop with it."""
    settings = parts.settings

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        async with running(parts, works=settings.worker == "embedded"):
            if await parts.accounts.first_administrator.is_missing():
                log.warning("no_administrator", what_to_do=parts.accounts.first_administrator.instruction())
            yield

    app = Litestar(
        route_handlers=[
            Router(API, route_handlers=generation_routes.PUBLIC_ROUTES, tags=["Generations"]),
            Router(API, route_handlers=gallery_routes.ROUTES, tags=["Images"]),
            Router(API, route_handlers=catalog_routes.ROUTES, tags=["Models"]),
            Router(API, route_handlers=[*rule_routes.ROUTES, *review_routes.ROUTES], tags=["Rules"]),
            Router(API, route_handlers=operation_routes.ROUTES, tags=["Operations"]),
            Router(API, route_handlers=account_routes.ROUTES, tags=["Account"]),
            Router(API, route_handlers=admin_routes.ROUTES, tags=["Administration"]),
            Router(API, route_handlers=limit_routes.ROUTES, tags=["Limits"]),
            Router(API, route_handlers=quota_routes.ROUTES, tags=["Limits"]),
            # Of these the pairing secret says who is asking.
            Router("/", route_handlers=generation_routes.INTERNAL_ROUTES, opt={PUBLIC: True}),
            Router("/", route_handlers=gallery_routes.INTERNAL_ROUTES, opt={PUBLIC: True}),
            Router("/", route_handlers=internal_routes.ROUTES, opt={PUBLIC: True}),
            Router("/", route_handlers=HEALTH_ROUTES, tags=["Health"], opt={PUBLIC: True}),
            docs_files(),
        ],
        dependencies=provided(parts),
        lifespan=[lifespan],
        middleware=[DefineMiddleware(Authentication, recognition=parts.accounts.recognition)],
        before_request=refuse_foreign_pages(settings),
        cors_config=pages_let_in(settings),
        exception_handlers=EXCEPTION_HANDLERS,
        request_class=JSONRequest,
        after_exception=[Refusals(parts.accounts.audit).hear],
        request_max_body_size=BODY_BYTES,
        openapi_config=openapi_config(),
        state=State(
            {
                "live_events": parts.live_events,
                "pairing_secret": settings.pairing_secret,
                "proxy_user_header": settings.proxy_user_header,
                "session_cookies": parts.accounts.cookies,
            }
        ),
        logging_config=None,  # `logs` has set it up
    )
    require_guards(app)
    app.asgi_handler = Entrance(ProvenAnswers(app.asgi_handler), parts.proxies)
    hand_over_in_turn(app)
    return app


def provided(parts: Parts) -> dict[str, Provide]:
    """What a handler may ask for by name."""

    def always(value: Any) -> Provide:
        return Provide(lambda: value, sync_to_thread=False)

    subjects = (
        "kept_images",
        "catalog",
        "discovery",
        "repeats",
        "editor",
        "trash",
        "bulk",
        "clearing",
        "rule_desk",
        "reviews",
    )
    names = (
        "database",
        "proxies",
        "live_events",
        "store",
        "history",
        "forecasts",
        "admission",
        "dispatcher",
        "instance_desk",
        "queue_desk",
        "health_check",
        "plan_book",
        "overrides",
        "groups",
        "quotas",
        "usage",
        "persons",
    )
    of_accounts = ("recognition", "people", "sessions", "tokens", "invites", "first_administrator", "audit")
    settings, accounts = parts.settings, parts.accounts
    front_door = account_routes.FrontDoor(settings.access, settings.open_plan, accounts.log_in, accounts.cookies)
    return {
        **{name: always(getattr(parts, name)) for name in names + subjects},
        **{name: always(getattr(accounts, name)) for name in of_accounts},
        "front_door": always(front_door),
        "caller": Provide(authentication.caller, sync_to_thread=False),
        "owner_id": Provide(authentication.owner_id, sync_to_thread=False),
        "actor": Provide(admin_routes.actor, sync_to_thread=False),
    }


def docs_files() -> Router:
    """Swagger's own files, so that the page of the API works without the internet."""
    folder = files("litestar_offline_docs") / "static"
    return create_static_files_router(
        DOCS_FILES,
        directories=[str(folder)],
        include_in_schema=False,
        opt={PUBLIC: True},
        cache_control=CacheControlHeader(max_age=ONE_DAY_S),
    )
