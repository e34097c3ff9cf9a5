"""The one place where the sidecar is put together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from typing import Any
from uuid import UUID

import structlog
from argon2 import PasswordHasher
from litestar import Litestar, Router
from litestar.datastructures import CacheControlHeader, State
from litestar.di import Provide
from litestar.middleware import DefineMiddleware
from litestar.static_files import create_static_files_router

from sidecar import __version__, worker
from sidecar.accounts import admin_routes, authentication, desk, internal_routes
from sidecar.accounts import routes as account_routes
from sidecar.accounts.authentication import PUBLIC, Authentication
from sidecar.accounts.desk import Accounts
from sidecar.accounts.guards import require_guards
from sidecar.accounts.paired import ProvenAnswers
from sidecar.accounts.refusals import Refusals
from sidecar.catalog import routes as catalog_routes
from sidecar.catalog.catalog import Catalog
from sidecar.catalog.discovery import Discovery
from sidecar.clients import TrustedProxies
from sidecar.cluster.bus import GAP, Bus
from sidecar.cluster.leadership import Leadership
from sidecar.database import Database
from sidecar.entrance import Entrance
from sidecar.gallery import routes as gallery_routes
from sidecar.gallery.intake import Intake
from sidecar.gallery.kept import KeptImages
from sidecar.gallery.storage import ImageStore
from sidecar.generations import review_routes
from sidecar.generations import routes as generation_routes
from sidecar.generations.admission import Admission
from sidecar.generations.bulk import Bulk
from sidecar.generations.clearing import Clearing
from sidecar.generations.collecting import Collecting
from sidecar.generations.dispatcher import Dispatcher
from sidecar.generations.editing import Editor, NewImages
from sidecar.generations.entry_limits import EntryLimits
from sidecar.generations.following import Following, Surroundings
from sidecar.generations.forecasts import Forecasts
from sidecar.generations.history import History, owns_anything
from sidecar.generations.idempotency import RememberedKeys
from sidecar.generations.moving_up import MovingUp
from sidecar.generations.output_sources import OutputSources
from sidecar.generations.places import Places
from sidecar.generations.progress import PROGRESS, ProgressBoard
from sidecar.generations.queueing import Queueing
from sidecar.generations.recorder import Aftermath, Postings, Recorders
from sidecar.generations.releasing import Releasing
from sidecar.generations.relocation import Relocation
from sidecar.generations.repeat import Repeats
from sidecar.generations.reviews import Reviews
from sidecar.generations.stopping import Interruptions, stop_all
from sidecar.generations.sweeper import Sweeper
from sidecar.generations.tending import Tending
from sidecar.generations.timeouts import Timeouts
from sidecar.generations.trash import Trash
from sidecar.handing_over import hand_over_in_turn
from sidecar.health import ROUTES as HEALTH_ROUTES
from sidecar.health import HealthCheck
from sidecar.instances import registry
from sidecar.instances.connections import Instances
from sidecar.limits import admin_routes as limit_routes
from sidecar.limits.groups import Groups
from sidecar.limits.overrides import Overrides
from sidecar.limits.persons import OldSalts
from sidecar.limits.plan_book import PlanBook
from sidecar.limits.plans import Plans
from sidecar.live_events import LiveEvents
from sidecar.migrations import upgrade
from sidecar.openapi import DOCS_FILES, openapi_config
from sidecar.operations import routes as operation_routes
from sidecar.operations.instance_desk import InstanceDesk
from sidecar.operations.queue_desk import QueueDesk
from sidecar.origins import pages_let_in, refuse_foreign_pages
from sidecar.problems import EXCEPTION_HANDLERS, JSONRequest
from sidecar.queues.choose import WorkQueue, choose_queue
from sidecar.queues.embedded import EmbeddedWorker
from sidecar.quota import routes as quota_routes
from sidecar.quota.quotas import Quotas
from sidecar.quota.telling import QuotaTelling
from sidecar.quota.usage import Usage
from sidecar.rules import routes as rule_routes
from sidecar.rules.book import RuleBook
from sidecar.rules.desk import RuleDesk
from sidecar.rules.hits import Hits
from sidecar.rules.inspector import Inspector
from sidecar.rules.moderation import Moderation, moderation_of
from sidecar.settings import Access, Settings
from sidecar.tasks import end, until_one_ends

BODY_BYTES = 64 * 1024  # five hundred ids are 20 kB; routes that take a workflow say what they take
STOP_GRACE_S = 3.0
ONE_DAY_S = 24 * 3600
API = "/api/v1"

# What processes tell one another.
CHANGED = "changed"  # a generation looks different now
WAKE = "wake"  # somebody's turn may have come
INSTANCES = "instances"  # some came, went, or are wanted otherwise

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Parts:
    """Everything that lives as long as the process."""

    settings: Settings
    database: Database
    accounts: Accounts
    plans: Plans
    plan_book: PlanBook
    overrides: Overrides
    groups: Groups
    quotas: Quotas
    quota_telling: QuotaTelling
    usage: Usage
    proxies: TrustedProxies
    instances: Instances
    live_events: LiveEvents
    store: ImageStore
    kept_images: KeptImages
    history: History
    forecasts: Forecasts
    reviews: Reviews
    rule_desk: RuleDesk
    moderation: Moderation | None
    places: Places
    admission: Admission
    queueing: Queueing
    catalog: Catalog
    discovery: Discovery
    dispatcher: Dispatcher
    repeats: Repeats
    editor: Editor
    trash: Trash
    bulk: Bulk
    clearing: Clearing
    timeouts: Timeouts
    collecting: Collecting
    recorders: Recorders
    following: Following
    moving_up: MovingUp
    interruptions: Interruptions
    tending: Tending
    instance_desk: InstanceDesk
    queue_desk: QueueDesk
    bus: Bus
    leadership: Leadership
    queues: tuple[WorkQueue, ...]
    workers: tuple[EmbeddedWorker, ...]
    health_check: HealthCheck


def put_together(settings: Settings, hasher: PasswordHasher | None = None) -> Parts:
    """
    Args:
        hasher: What hashing a password costs; as argon2-cffi sees fit where nobody says so.
    """
    database = Database(settings.database_url)
    instances = Instances(database, settings.pairing_secret)
    live_events = LiveEvents()
    bus, leadership = cluster_of(database)
    accounts = desk.put_together(database, bus, settings, owns_anything, stop_all, hasher)
    plans = Plans(database, bus, settings)
    accounts.changes.on(plans.hear)
    overrides = Overrides(database, plans)
    quotas = Quotas(database, plans, settings)
    quota_telling = QuotaTelling(quotas, live_events)
    plans.on(quota_telling.changed)
    board = ProgressBoard(live_events, bus)
    places = Places(plans)
    history = History(database, board, live_events, places, told=quota_telling.changed)
    turns = choose_queue(settings.queue_url, worker.TURNS)
    images = choose_queue(settings.queue_url, worker.IMAGES)
    queueing = Queueing(turns=turns, images=images)
    catalog = Catalog(database)
    discovery = Discovery(database, catalog, instances)

    def met(instance_id: UUID) -> None:
        dispatcher.wake()
        discovery.met(instance_id)

    async def announce(generation_id: UUID) -> None:
        bus.tell(CHANGED, generation_id)
        places.changed()
        following.held_changed()
        moving_up.wake()
        await history.announce(generation_id)

    def wake() -> None:
        bus.tell(WAKE)
        places.changed()
        dispatcher.wake()

    postings = Postings()
    aftermath = Aftermath(queueing, announce, board.end)
    recorders = Recorders(database, leadership, instances, postings, aftermath)
    dispatcher = Dispatcher(
        database, leadership, instances, catalog, plans, queueing, recorders, postings, board, announce
    )
    queueing.wake_leader = dispatcher.wake
    moving_up = MovingUp(leadership, database, plans, queueing, announce)
    relocation = Relocation(database, leadership, postings, aftermath)
    surroundings = Surroundings(database, leadership, board, relocation, places, announce, settings.access, met=met)
    following = Following(instances, recorders, surroundings)

    def instances_changed() -> None:
        bus.tell(INSTANCES)
        following.instances_changed()
        dispatcher.wake()

    async def hear_change(news: Any) -> None:
        generation_id = UUID(news)
        board.end_elsewhere(generation_id)
        places.changed()
        following.held_changed()
        moving_up.wake()
        dispatcher.wake()
        await history.announce(generation_id)

    async def hear_wake(_news: Any) -> None:
        places.changed()
        dispatcher.wake()

    async def hear_instances(_news: Any) -> None:
        following.instances_changed()
        dispatcher.wake()

    kept_images = KeptImages(database)
    bus.on(CHANGED, hear_change)
    bus.on(PROGRESS, board.heard_elsewhere)
    bus.on(WAKE, hear_wake)
    bus.on(INSTANCES, hear_instances)
    bus.on_gap(board.start_anew)
    accounts.changes.on(live_events.end_of)
    accounts.changes.on(following.callers_changed)
    interruptions = Interruptions(database, dispatcher.cancel_in_comfyui)
    accounts.changes.on(interruptions.callers_changed)

    rule_book = RuleBook(database)
    plans.on(rule_book.hear)
    moderation = moderation_of(settings)
    inspector = Inspector(plans, rule_book, Hits(database, keep_texts=settings.keep_rule_texts), moderation)
    entry_limits = EntryLimits(settings, plans)
    admission = Admission(database, queueing, catalog, discovery, entry_limits, inspector, announce)
    store = ImageStore(settings.data_folder / "images")
    editor = Editor(database, announce)
    trash = Trash(database, store, dispatcher, announce, days=settings.trash_days)
    intake = Intake(database, store, OutputSources(database, instances), NewImages(announce))
    tending = Tending(database, instances, wake)
    timeouts = Timeouts(database, instances, recorders, aftermath, settings)
    releasing = Releasing(database, wake, queueing)
    sweeper = Sweeper(database, wake, queueing, releasing)
    collecting = Collecting(database, recorders)
    clockwork = worker.clockwork(
        sweeper,
        tending,
        collecting,
        timeouts,
        trash,
        RememberedKeys(database),
        discovery,
        accounts,
        overrides,
        OldSalts(database),
    )
    return Parts(
        settings=settings,
        database=database,
        accounts=accounts,
        plans=plans,
        plan_book=PlanBook(database, plans, settings),
        overrides=overrides,
        groups=Groups(database, plans),
        quotas=quotas,
        quota_telling=quota_telling,
        usage=Usage(database),
        proxies=TrustedProxies(settings.trusted_proxies),
        instances=instances,
        live_events=live_events,
        store=store,
        kept_images=kept_images,
        history=history,
        reviews=Reviews(database, bus, kept_images, announce),
        places=places,
        rule_desk=RuleDesk(database, rule_book, plans.tell),
        moderation=moderation,
        admission=admission,
        forecasts=Forecasts(database, admission, entry_limits, inspector, places),
        queueing=queueing,
        catalog=catalog,
        discovery=discovery,
        dispatcher=dispatcher,
        repeats=Repeats(database, catalog),
        editor=editor,
        trash=trash,
        bulk=Bulk(dispatcher, trash, editor),
        clearing=Clearing(database, dispatcher, announce),
        timeouts=timeouts,
        collecting=collecting,
        recorders=recorders,
        following=following,
        moving_up=moving_up,
        interruptions=interruptions,
        tending=tending,
        instance_desk=InstanceDesk(database, changed=instances_changed),
        queue_desk=QueueDesk(database, changed=wake),
        bus=bus,
        leadership=leadership,
        queues=(turns, images),
        workers=(
            worker.turns_worker(turns, wake, releasing, clockwork),
            worker.images_worker(images, intake),
        ),
        health_check=HealthCheck(database, turns, store),
    )


def cluster_of(database: Database) -> tuple[Bus, Leadership]:
    """How this process gets along with others, if the database lets there be any."""
    if not database.is_shared:
        return Bus(), Leadership(database)
    from sidecar.cluster.postgresql import ElectedLeadership, PostgresBus  # noqa: PLC0415 - needs an extra

    return PostgresBus(database), ElectedLeadership(database)


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


@asynccontextmanager
async def running(parts: Parts, *, works: bool = True) -> AsyncIterator[None]:
    """
    Start everything in the order in which it is needed; stop it in reverse.

    Args:
        works: Work off jobs and, while this process leads, drive ComfyUI; else leave that to other processes.
    """
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(parts.database.close)
        await upgrade(parts.database.engine)
        await parts.plans.require_those_of_settings()
        stack.push_async_callback(parts.instances.close)
        if parts.moderation is not None:
            stack.push_async_callback(parts.moderation.close)
        # Where nobody else can lead, or at the first start of all: the instances are there as soon as it is ready.
        if not parts.database.is_shared or (works and not await parts.instances.all()):
            await parts.instance_desk.keep_configured(parts.settings.comfyui_urls)
        await parts.catalog.load()
        stack.push_async_callback(stopped, asyncio.create_task(parts.catalog.stay_true()))
        stack.push_async_callback(stopped, asyncio.create_task(parts.plans.stay_true()))
        stack.push_async_callback(stopped, asyncio.create_task(parts.quota_telling.run()))
        if parts.settings.access is not Access.OPEN:
            stack.push_async_callback(stopped, asyncio.create_task(parts.accounts.changes.stay_true()))
        stack.push_async_callback(stopped, asyncio.create_task(parts.discovery.run()))
        for queue in parts.queues:
            await queue.connect()
            stack.push_async_callback(queue.disconnect)
        stack.push_async_callback(stopped, asyncio.create_task(parts.bus.run()))
        if works:
            stack.push_async_callback(stop_workers, parts.workers)
            for each in parts.workers:
                await each.start()
            leading = parts.leadership.lead(partial(drive, parts))
            stack.push_async_callback(stopped, asyncio.create_task(leading))
        log.info("sidecar_ready", version=__version__, comfyui=parts.settings.comfyui_urls)
        yield


async def drive(parts: Parts) -> None:
    """
    What one process does for all: follow every ComfyUI, and send it what is next.

    Its own setting says which ones: that of a process which drives nothing, such as a server beside workers, is perhaps
    not even set. A process that is alone has seen to that when it started.
    """
    if parts.database.is_shared:
        await parts.instance_desk.keep_configured(parts.settings.comfyui_urls)
    parts.live_events.start_anew()  # whoever led before may have died before it told what it had done
    parts.bus.tell(GAP)
    async with parts.leadership.writing() as session:
        await registry.nobody_is_met_yet(session)
    parts.dispatcher.wake()
    doings = (parts.following, parts.dispatcher, parts.moving_up, parts.interruptions)
    await until_one_ends(*(doing.run() for doing in doings))


async def stop_workers(workers: Iterable[EmbeddedWorker]) -> None:
    """Running jobs end, or go back to their queue; all workers have the same grace."""
    await asyncio.gather(*(each.stop(STOP_GRACE_S) for each in workers))


async def stopped(task: asyncio.Task[None]) -> None:
    await end(task)
    with contextlib.suppress(asyncio.CancelledError):
        task.result()


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
