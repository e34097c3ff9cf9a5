"""The one place where the sidecar is put together: everything that lives as long as the process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from argon2 import PasswordHasher

from sidecar import worker
from sidecar.accounts import desk
from sidecar.accounts.desk import Accounts
from sidecar.catalog.catalog import Catalog
from sidecar.catalog.discovery import Discovery
from sidecar.clients import TrustedProxies
from sidecar.cluster.bus import Bus
from sidecar.cluster.leadership import Leadership
from sidecar.database import Database
from sidecar.gallery.intake import Intake
from sidecar.gallery.kept import KeptImages
from sidecar.gallery.storage import ImageStore
from sidecar.generations.admission import Admission
from sidecar.generations.aftermath import Aftermath
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
from sidecar.generations.postings import Postings
from sidecar.generations.progress import PROGRESS, ProgressBoard
from sidecar.generations.queueing import Queueing
from sidecar.generations.recorder import Recorders
from sidecar.generations.releasing import Releasing
from sidecar.generations.relocation import Relocation
from sidecar.generations.repeat import Repeats
from sidecar.generations.reviews import Reviews
from sidecar.generations.stopping import Interruptions, stop_all
from sidecar.generations.sweeper import Sweeper
from sidecar.generations.tending import Tending
from sidecar.generations.timeouts import Timeouts
from sidecar.generations.trash import Trash
from sidecar.generations.turn_giving import TurnGiver
from sidecar.generations.waiting_telling import WaitingTelling
from sidecar.health import HealthCheck
from sidecar.instances.connections import Instances
from sidecar.limits.groups import Groups
from sidecar.limits.overrides import Overrides
from sidecar.limits.persons import OldSalts, Persons
from sidecar.limits.plan_book import PlanBook
from sidecar.limits.plans import Plans
from sidecar.live_events import LiveEvents
from sidecar.operations.instance_desk import InstanceDesk
from sidecar.operations.queue_desk import QueueDesk
from sidecar.queues.choose import WorkQueue, choose_queue
from sidecar.queues.embedded import EmbeddedWorker
from sidecar.quota.quotas import Quotas
from sidecar.quota.telling import QuotaTelling
from sidecar.quota.usage import Usage
from sidecar.rules.book import RuleBook
from sidecar.rules.desk import RuleDesk
from sidecar.rules.hits import Hits
from sidecar.rules.inspector import Inspector
from sidecar.rules.moderation import Moderation, moderation_of
from sidecar.settings import Settings

# What processes tell one another.
CHANGED = "changed"  # a generation looks different now
WAKE = "wake"  # somebody's turn may have come
INSTANCES = "instances"  # some came, went, or are wanted otherwise


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
    waiting_telling: WaitingTelling
    persons: Persons
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
    turn_giver: TurnGiver
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
    persons = Persons(settings.access)
    quotas = Quotas(database, plans, persons)
    quota_telling = QuotaTelling(quotas, live_events)
    plans.on(quota_telling.changed)
    board = ProgressBoard(live_events, bus)
    places = Places(database, plans)
    waiting_telling = WaitingTelling(database, places, persons, live_events)
    places.on(waiting_telling.moved)
    told = (quota_telling.changed, waiting_telling.changed)
    history = History(database, board, live_events, places, persons, told=told)
    turns = choose_queue(settings.queue_url, worker.TURNS)
    images = choose_queue(settings.queue_url, worker.IMAGES)
    queueing = Queueing(turns=turns, images=images)
    catalog = Catalog(database)
    discovery = Discovery(database, catalog, instances)

    def met(instance_id: UUID) -> None:
        places.changed()
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
    turn_giver = TurnGiver(database, leadership, catalog, plans, postings)
    recorders = Recorders(database, leadership, instances, turn_giver, postings, aftermath)
    dispatcher = Dispatcher(database, leadership, instances, turn_giver, queueing, recorders, postings, board, announce)
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
    interruptions = Interruptions(database, leadership, dispatcher.cancel_in_comfyui, announce)
    accounts.changes.on(interruptions.callers_changed)

    rule_book = RuleBook(database)
    plans.on(rule_book.hear)
    moderation = moderation_of(settings)
    inspector = Inspector(plans, rule_book, Hits(database, keep_texts=settings.keep_rule_texts), moderation)
    entry_limits = EntryLimits(settings, plans)
    admission = Admission(database, turn_giver, queueing, catalog, discovery, entry_limits, inspector, announce)
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
        waiting_telling=waiting_telling,
        persons=persons,
        usage=Usage(database, persons),
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
        turn_giver=turn_giver,
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
