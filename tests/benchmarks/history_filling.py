"""
Fills a sidecar's database with a long history: half of it is the local owner's, the rest many other people's.

The first row of each table is written through the models; all others are copies of it with other ids, numbers, times
and states, made by SQLite itself, which takes a million in seconds rather than in minutes.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from functools import cache
from itertools import accumulate, islice
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple
from uuid import UUID

from fakes.people import somebody
from sqlalchemy import Table
from sqlalchemy.dialects import sqlite

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.database import Base, Database
from sidecar.gallery.models import ImageState
from sidecar.gallery.storage import ImageStore, image_key, thumbnail_key
from sidecar.gallery.thumbnails import SIZES_PX
from sidecar.generations.models import note_beginnings
from sidecar.generations.search import checkpoint_fact, lora_fact, make_findable, moment_of, owner_fact, tag_fact
from sidecar.generations.states import GenerationState
from sidecar.generations.words import document, words_of
from sidecar.generations.workflows import pack_workflow, store_workflows
from sidecar.identity import uuid7
from sidecar.limits.ledger import Reservation, reserve
from sidecar.migrations import upgrade
from sidecar.tables import Generation, GenerationEvent, Image, UsageEntry, User

GO_ON_FOR_S = 90.0
AT_ONCE = 20_000
WITH_THUMBNAILS = 100
ONE_IN_FAILED = 1000
ONE_IN_RARE = 5000  # has a checkpoint, a LoRA, a tag and a word in its prompt that no other one has
BETWEEN_TWO = timedelta(seconds=20)  # so a million of them are the last eight months

WORKFLOW: dict[str, Any] = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "benchmark"}},
}
PEOPLE = 1000
PROMPT = "a lighthouse on a cliff at dawn, long exposure, soft light"
NEGATIVE_PROMPT = "blurry"
PROMPTS = 5000  # different ones
WORDS = 20_000  # in them, each the rarer the later it comes, as in any language
WORDS_EACH = (5, 10, 20, 40)
TOOK_MS = 4000
CHECKPOINTS = ("sd15.safetensors", "sdxl.safetensors", "flux.safetensors")
LORA, TAG = "ink.safetensors", "sea"  # of every tenth, and of another tenth
RARE_WORD, RARE_TAG = "zeppelin", "harbour"
RARE_CHECKPOINT, RARE_LORA = "rare.safetensors", "watercolour.safetensors"
SAMPLER = {"seed": 1, "steps": 20, "cfg": 7.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}


INDEXES = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
TRIGGERS = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
DIFFERING = (
    *("id", "owner_id", "person_id", "number", "turn", "state", "created_at", "prompt"),
    *("checkpoint", "loras", "tags", "favourite", "trashed_at"),
)
IN_THE_LEDGER = "INSERT INTO usage_entries (id, account_id, generation_id, kind, generations, gpu_ms, counted_at, at)"
RESERVED = f"""
    {IN_THE_LEDGER} SELECT randomblob(16), person_id, id, 'reserve', 1, 2000, created_at, created_at FROM generations
"""
SETTLED = f"""
    {IN_THE_LEDGER} SELECT randomblob(16), person_id, id, iif(state = 'completed', 'settle', 'return'),
    iif(state = 'completed', 0, -1), iif(state = 'completed', -500, -2000), created_at, created_at FROM generations
"""
ENTRY = "INSERT INTO search_entries (moment, generation_id, words) VALUES (?, ?, ?)"


async def fill_history(url: str, file: Path, wanted: int) -> int:
    """
    Record so many generations with an image each, ending now; fewer where the disk is slow. The sidecar must not run.

    Returns:
        How many there are.
    """
    database = Database(url)
    await upgrade(database.engine)
    first = datetime.now(timezone.utc) - wanted * BETWEEN_TWO
    generation, image = await write_first(database, first)
    people = await write_people(database)
    await database.close()
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        # Nothing here has to survive anything.
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA journal_mode=OFF")
        indexes = connection.execute(INDEXES).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        triggers = connection.execute(TRIGGERS).fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        make = Rows(first, people)
        written = copy_pair(connection, generation, image, make, wanted)
        connection.execute(RESERVED)
        connection.execute(SETTLED)
        connection.execute("INSERT INTO search_index(search_index) VALUES ('rebuild')")
        connection.executemany("INSERT OR IGNORE INTO search_words VALUES (?)", ([word] for word in make.vocabulary))
        for _, statement in (*indexes, *triggers):  # sorting once is quicker than inserting a million times
            connection.execute(statement)
        connection.execute("PRAGMA journal_mode=WAL")
    return written


async def write_first(database: Database, at: datetime) -> tuple[UUID, UUID]:
    generation_id, image_id = id_at(at), id_at(at)
    packed = pack_workflow(WORKFLOW, None)
    async with database.writing() as session:
        await store_workflows(session, [packed])
        generation = Generation(
            id=generation_id,
            number=1,
            owner_id=LOCAL_OWNER_ID,
            state=GenerationState.COMPLETED.value,
            source="page",
            prompt=PROMPT,
            negative_prompt=NEGATIVE_PROMPT,
            checkpoint="sd15.safetensors",
            sampler=SAMPLER,
            width=512,
            height=512,
            batch_size=1,
            workflow_hash=packed.hash,
            submission={"extra_data": {}, "partial_execution_targets": None},
            created_at=at,
            submitted_at=at,
            started_at=at,
            finished_at=at,
            updated_at=at,
        )
        session.add(generation)
        await session.flush()
        await make_findable(session, [generation])
        await note_beginnings(session, [generation])
        await reserve(session, [Reservation(generation_id, (LOCAL_OWNER_ID,), TOOK_MS, at)], at=at)
        session.add(
            Image(
                id=image_id,
                generation_id=generation_id,
                owner_id=LOCAL_OWNER_ID,
                node_id="2",
                position=0,
                file={"filename": "benchmark_00001_.png", "subfolder": "", "type": "output"},
                state=ImageState.KEPT.value,
                storage_key=image_key(image_id, ".png"),
                media_type="image/png",
                width=512,
                height=512,
                bytes=400_000,
                etag="0" * 64,
                thumbhash="3OcRJYB4d3h/iIeHeEh3eIhw+j2w",
                thumbnails={
                    size: {"key": thumbnail_key(image_id, size), "width": 512, "height": 512, "bytes": 20_000}
                    for size in SIZES_PX
                },
                created_at=at,
                kept_at=at,
            )
        )
    return generation_id, image_id


async def write_people(database: Database) -> list[UUID]:
    """Everybody but the local owner."""
    people = [somebody(uuid7()) for _ in range(1, PEOPLE)]
    async with database.writing() as session:
        session.add_all(people)
    return [person.id for person in people]


def copy_pair(connection: sqlite3.Connection, generation: UUID, image: UUID, make: Rows, wanted: int) -> int:
    """Copy a generation and its image until there are so many of them, or the time is up."""
    deadline = monotonic() + GO_ON_FOR_S
    copy_generations = copier(connection, Generation, generation, *DIFFERING)
    copy_images = copier(connection, Image, image, "id", "generation_id", "owner_id")
    entry = first_of(connection, UsageEntry)
    copy_entries = copier(connection, UsageEntry, entry, "id", "generation_id", "account_id", "counted_at", "at")
    numbers = iter(range(2, wanted + 1))
    written = 1
    while (chunk := list(islice(numbers, AT_ONCE))) and monotonic() < deadline:
        rows = [make.row(number) for number in chunk]
        connection.execute("BEGIN")
        copy_generations(rows)
        copy_images((id_at(row.created_at), row.id, row.owner_id) for row in rows)
        # As many as it was estimated to take: there was nothing to settle.
        copy_entries((id_at(row.created_at), row.id, row.owner_id, row.created_at, row.created_at) for row in rows)
        connection.executemany(ENTRY, ((moment_of(row.created_at), row.id.bytes, make.entry(row)) for row in rows))
        connection.execute("COMMIT")
        written += len(chunk)
    return written


class GenerationRow(NamedTuple):
    """What `DIFFERING` names."""

    id: UUID
    owner_id: UUID
    person_id: UUID
    number: int
    turn: int
    state: str
    created_at: datetime
    prompt: str
    checkpoint: str
    loras: list[dict[str, Any]]
    tags: list[str]
    favourite: bool
    trashed_at: datetime | None


class Rows:
    """Makes them, the same ones each time but for their ids and times."""

    def __init__(self, first: datetime, people: list[UUID]) -> None:
        self._first = first
        self._people = people
        self._chance = random.Random(7)
        self._prompts = made_up_prompts(self._chance)
        self.vocabulary = set(words_of(f"{PROMPT} {NEGATIVE_PROMPT} {RARE_WORD} {' '.join(self._prompts)}"))

    def row(self, number: int) -> GenerationRow:
        is_rare = number % ONE_IN_RARE == 0
        at = self._first + number * BETWEEN_TWO
        prompt = self._chance.choice(self._prompts)
        lora = RARE_LORA if is_rare else LORA
        tag = RARE_TAG if is_rare else TAG
        owner_id = self._chance.choice(self._people) if number % 2 else LOCAL_OWNER_ID
        return GenerationRow(
            id=id_at(at),
            owner_id=owner_id,
            person_id=owner_id,
            number=number,
            turn=number,
            state=(GenerationState.COMPLETED if number % ONE_IN_FAILED else GenerationState.FAILED).value,
            created_at=at,
            prompt=f"{prompt}, a {RARE_WORD}" if is_rare else prompt,
            checkpoint=RARE_CHECKPOINT if is_rare else CHECKPOINTS[number // 10 % len(CHECKPOINTS)],
            loras=[{"name": lora, "strength_model": 1.0, "strength_clip": 1.0}] if is_rare or number % 10 == 2 else [],
            tags=[tag] if is_rare or number % 10 == 4 else [],
            favourite=is_rare,
            # Its neighbour of the same kind lies in the trash.
            trashed_at=at if number % (2 * ONE_IN_RARE) == 0 else None,
        )

    @staticmethod
    def entry(row: GenerationRow) -> str:
        """As `search.words_about` makes it."""
        facts = facts_about(row.owner_id, row.checkpoint, *(lora["name"] for lora in row.loras), tags=tuple(row.tags))
        return f"{facts} {entry_of(row.prompt)}"


@cache
def facts_about(owner_id: UUID, checkpoint: str, *loras: str, tags: tuple[str, ...]) -> str:
    return " ".join([owner_fact(owner_id), checkpoint_fact(checkpoint), *map(lora_fact, loras), *map(tag_fact, tags)])


@cache
def entry_of(prompt: str) -> str:
    return " ".join(document(("", prompt, NEGATIVE_PROMPT), ()))


def made_up_prompts(chance: random.Random) -> list[str]:
    """Every third is of a lighthouse; all others are of nothing that there is."""
    words = made_up_words(chance)
    frequencies = list(accumulate(1 / rank for rank in range(3, WORDS + 3)))
    said = [
        " ".join(chance.choices(words, cum_weights=frequencies, k=chance.choice(WORDS_EACH))) for _ in range(PROMPTS)
    ]
    return [f"{PROMPT}, {words}" if place % 3 == 0 else words for place, words in enumerate(said)]


def made_up_words(chance: random.Random) -> list[str]:
    syllables = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in ("a", "e", "i", "o", "u", "er", "in")]
    words: dict[str, None] = {}
    while len(words) < WORDS:
        words["".join(chance.choices(syllables, k=chance.choice((1, 2, 3, 3, 4))))] = None
    return list(words)


def add_waiting(file: Path, count: int) -> list[UUID]:
    """Let so many more generations wait, beside a sidecar that runs. Returns their ids in the order of their turns."""
    with closing(sqlite3.connect(file, timeout=30)) as connection, connection:
        (newest,) = connection.execute("SELECT owner_id FROM generations ORDER BY id DESC LIMIT 1").fetchone()
        return copy_waiting(connection, [UUID(bytes=newest)] * count)


def add_people_waiting(file: Path, count: int) -> None:
    """
    The same with a person for each, whom nobody knew, as they would stand there if each had submitted something: half
    of them came just now, the others had turns before, which were counted.
    """
    with closing(sqlite3.connect(file, timeout=30)) as connection, connection:
        (somebody_there,) = connection.execute("SELECT max(id) FROM users").fetchone()
        people = [uuid7() for _ in range(count)]
        copy_people = copier(connection, User, UUID(bytes=somebody_there), "id", "name", "comparable_name")
        copy_people((person, str(person), str(person)) for person in people)
        copy_waiting(connection, people)


def copy_waiting(connection: sqlite3.Connection, owners: list[UUID]) -> list[UUID]:
    """Let a copy of the newest generation wait for each of them, with all that is written when one is admitted."""
    (last, newest) = connection.execute("SELECT max(number), max(id) FROM generations").fetchone()
    chance, began = random.Random(last), datetime.now(timezone.utc)
    moments = [began + number * timedelta(microseconds=1) for number in range(len(owners))]
    ids = [id_at(at) for at in moments]
    pending = GenerationState.PENDING.value
    differing = ("id", "number", "turn", "state", "created_at", "owner_id", "person_id", "checkpoint", "work")
    copier(connection, Generation, UUID(bytes=newest), *differing)(
        (one, number, number, pending, at, owner, owner, chance.choice(CHECKPOINTS), chance.choice(WORKS))
        for number, (one, at, owner) in enumerate(zip(ids, moments, owners, strict=True), start=last + 1)
    )
    told = list(zip(ids, owners, moments, strict=True))
    copy_events = copier(
        connection, GenerationEvent, first_of(connection, GenerationEvent), "id", "generation_id", "at"
    )
    copy_events((id_at(at), one, at) for one, _, at in told)
    entry = first_of(connection, UsageEntry)
    copy_entries = copier(connection, UsageEntry, entry, "id", "generation_id", "account_id", "counted_at", "at")
    copy_entries((id_at(at), one, owner, at, at) for one, owner, at in told)
    tags = {owner: chance.choice((0, chance.randrange(HAD_TURNS_OF_US))) for owner in owners}
    since = {owner: at.isoformat(sep=" ") for owner, at in zip(owners, moments, strict=True)}
    connection.executemany(LET_WAIT, [(owner.bytes, tags[owner], since[owner], since[owner]) for owner in tags])
    return ids


def first_of(connection: sqlite3.Connection, model: type[Base]) -> UUID:
    (first,) = connection.execute(f"SELECT min(id) FROM {model.__tablename__}").fetchone()
    return UUID(bytes=first)


WORKS = (1.0, 5.0, 20.0, 80.0)
HAD_TURNS_OF_US = 3_600_000_000
LET_WAIT = """
    INSERT INTO shares (person_id, tag, weight, is_waiting, waiting_since, turn_since, passed_s)
    VALUES (?, ?, 1.0, 1, ?, ?, 0.0) ON CONFLICT (person_id) DO UPDATE SET is_waiting = 1
"""


def copier(
    connection: sqlite3.Connection, model: type[Base], original: UUID, *differing: str
) -> Callable[[Iterable[tuple[Any, ...]]], None]:
    """Make what writes copies of one row, given what differs from it, in this order."""
    table = model.__table__
    assert isinstance(table, Table)
    names = [*differing, *(column.name for column in table.columns if column.name not in differing)]
    values = ["?" if name in differing else name for name in names]
    statement = (
        f"INSERT INTO {table.name} ({', '.join(names)}) SELECT {', '.join(values)} FROM {table.name} WHERE id = ?"
    )
    dialect = sqlite.dialect()
    stored = [table.columns[name].type.dialect_impl(dialect).bind_processor(dialect) for name in differing]

    def bound(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        for row in rows:
            yield (
                *(value if how is None else how(value) for how, value in zip(stored, row, strict=True)),
                original.bytes,
            )

    def copy(rows: Iterable[tuple[Any, ...]]) -> None:
        connection.executemany(statement, bound(rows))

    return copy


def id_at(at: datetime) -> UUID:
    """A UUIDv7 as it would have been made then."""
    milliseconds = int(at.timestamp() * 1000)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | random.getrandbits(12) << 64 | 0b10 << 62 | random.getrandbits(62))


async def give_thumbnails(file: Path, images_folder: Path, content: bytes) -> list[UUID]:
    """Put bytes into the store for the local owner's newest images, which were only said to be there; their ids."""
    store = ImageStore(images_folder)
    with closing(sqlite3.connect(file)) as connection, connection:
        query = "SELECT id FROM images WHERE owner_id = ? ORDER BY id DESC LIMIT ?"
        newest = connection.execute(query, [LOCAL_OWNER_ID.bytes, WITH_THUMBNAILS])
        found = [UUID(bytes=image_id) for (image_id,) in newest]
        for image_id in found:
            keys = {size: thumbnail_key(image_id, size) for size in SIZES_PX}
            kept = {
                size: {"key": key, "width": 256, "height": 256, "bytes": len(content)} for size, key in keys.items()
            }
            connection.execute("UPDATE images SET thumbnails = ? WHERE id = ?", [json.dumps(kept), image_id.bytes])
            for key in keys.values():
                await store.put(key, content)
    return found
