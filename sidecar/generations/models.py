"""What is stored of a generation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    TypeDecorator,
    desc,
    insert,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeEngine

from sidecar.database import GUID, Base, DateTimeUTC, before_commit, table_of
from sidecar.errors import ImpossibleTransition
from sidecar.generations.states import FINAL, GenerationState, may_go
from sidecar.generations.words import WORD_CHARACTERS, to_tsvector
from sidecar.identity import now, prompt_id_of_run, uuid7
from sidecar.limits import ledger
from sidecar.limits.paces import USUAL_WORK
from sidecar.limits.reasons import Reason, ReasonColumn

State = String(16)
PENDING_IN_SQL: ColumnElement[str] = literal_column("'pending'", String)
IN_FLIGHT_IN_SQL: list[ColumnElement[str]] = [
    literal_column("'submitted'", String),
    literal_column("'running'", String),
]
MOMENT = BigInteger().with_variant(Integer, "sqlite")  # so that it is the rowid
WORD = String(WORD_CHARACTERS).with_variant(String(WORD_CHARACTERS, collation="C"), "postgresql")
"""In the order of its characters, so that those with the same beginning stand together."""


def partial_index(name: str, *columns: Any, where: str, postgresql_where: str | None = None) -> Index:
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(postgresql_where or where))


HELD = "state = 'pending' AND not_before IS NOT NULL"
WAITING: tuple[Any, ...] = ("person_id", desc("priority"), "turn", "not_before", "checkpoint", "work")
NEWEST_FIRST: tuple[Any, ...] = (desc("created_at"), desc("id"))


class Workflow(Base):
    """A workflow and its UI workflow, compressed, once for all generations that share them."""

    __tablename__ = "workflows"

    hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    node_classes: Mapped[list[str]] = mapped_column(JSON, default=list)
    """Those that a ComfyUI must know to run it; ours are replaced where they are not known."""
    content: Mapped[bytes] = mapped_column(LargeBinary)


class Generation(Base):
    """One prompt of one person, from submission to outcome. Its id is ComfyUI's `prompt_id`."""

    __tablename__ = "generations"

    id: Mapped[UUID] = mapped_column(GUID, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, unique=True)
    priority: Mapped[int] = mapped_column(Integer, default=0)
    """While it waits: before those of the same person that have less, whoever else waits."""
    turn: Mapped[int] = mapped_column(Integer, default=lambda row: row.get_current_parameters()["number"])
    """While it waits, its place among those of the same person and priority: its number, unless it went in front."""
    owner_id: Mapped[UUID] = mapped_column(GUID, ForeignKey("users.id"))
    person_id: Mapped[UUID] = mapped_column(GUID, default=lambda row: row.get_current_parameters()["owner_id"])
    """Whom limits and turns are about: the owner; in `open` access perhaps whoever asks from another address."""
    state: Mapped[str] = mapped_column(State)
    source: Mapped[str] = mapped_column(String(16))
    title: Mapped[str] = mapped_column(String(200), default="")
    tags: Mapped[list[str]] = mapped_column(JSON, default=list)
    favourite: Mapped[bool] = mapped_column(Boolean, default=False)

    prompt: Mapped[str] = mapped_column(Text, default="")
    negative_prompt: Mapped[str] = mapped_column(Text, default="")
    checkpoint: Mapped[str] = mapped_column(String(400), default="")
    loras: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    width: Mapped[int | None] = mapped_column(Integer, default=None)
    height: Mapped[int | None] = mapped_column(Integer, default=None)
    batch_size: Mapped[int | None] = mapped_column(Integer, default=None)
    sampler: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    work: Mapped[float] = mapped_column(Float, default=USUAL_WORK)
    """How much is to be done (`limits/paces.py`)."""

    workflow_hash: Mapped[bytes] = mapped_column(LargeBinary(32), ForeignKey("workflows.hash"))
    submission: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    """What else goes to ComfyUI with the workflow: `extra_data`, `partial_execution_targets`."""
    client_id: Mapped[str | None] = mapped_column(String(200), default=None)

    heard_at: Mapped[datetime | None] = mapped_column(DateTimeUTC(timezone=True), default=None)
    """When the instance that has it last showed life, give or take half a minute (`following.py`)."""

    parent_id: Mapped[UUID | None] = mapped_column(GUID, ForeignKey("generations.id"), default=None)
    """What it repeats; None also where that has been purged."""
    child_count: Mapped[int] = mapped_column(Integer, default=0)
    """How often it was repeated."""

    instance_id: Mapped[UUID | None] = mapped_column(GUID, ForeignKey("instances.id"), default=None)
    """Where it is, or where it ended. While it waits: the one that may have it all the same (its answer was lost)."""
    tries: Mapped[int] = mapped_column(Integer, default=0)
    not_before: Mapped[datetime | None] = mapped_column(DateTimeUTC(timezone=True), default=None)
    waiting_reason: Mapped[Reason | None] = mapped_column(ReasonColumn, default=None)
    """Why it waits, where that is not others' turn."""
    memory_freed: Mapped[bool] = mapped_column(Boolean, default=False)
    """It ran out of memory once. It runs a second time when ComfyUI has freed its memory."""
    run: Mapped[int] = mapped_column(Integer, default=1)
    """Each has a prompt id of its own: one that has ended somewhere never runs there again."""
    run_is_over: Mapped[bool] = mapped_column(Boolean, default=False)
    """It was taken out of an instance that came back with it: its next turn is another run."""
    cancel_requested: Mapped[bool] = mapped_column(Boolean, default=False)
    cancel_reason: Mapped[str | None] = mapped_column(String(200), default=None)
    """Where it was not its owner who wanted that."""
    error_code: Mapped[str | None] = mapped_column(String(60), default=None)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON, default=None)
    gpu_seconds: Mapped[float | None] = mapped_column(Float, default=None)
    left_files: Mapped[bool] = mapped_column(Boolean, default=False)
    """ComfyUI has told of files that it wrote, however it ended."""
    charged_s: Mapped[float | None] = mapped_column(Float, default=None)
    """What counts as its GPU seconds among the turns of its person until it has ended; None when that is squared."""

    created_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))
    submitted_at: Mapped[datetime | None] = mapped_column(DateTimeUTC(timezone=True), default=None)
    started_at: Mapped[datetime | None] = mapped_column(DateTimeUTC(timezone=True), default=None)
    finished_at: Mapped[datetime | None] = mapped_column(DateTimeUTC(timezone=True), default=None)
    updated_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))
    """When the row was last written: of two tellings of a generation, the one with the later time is true."""
    review: Mapped[str | None] = mapped_column(String(16), default=None)
    """A rule flagged it, or an administrator did: `waiting` for somebody who looks at it, `released` or `hidden`."""
    trashed_at: Mapped[datetime | None] = mapped_column(DateTimeUTC(timezone=True), default=None)
    """Since when it lies in the trash; one that has not ended is cancelled and goes on to its end there."""

    __table_args__ = (
        Index("ix_generations_owner_newest", "owner_id", desc("created_at"), desc("id")),
        Index("ix_generations_owner_state", "owner_id", "state", desc("created_at"), desc("id")),
        Index("ix_generations_owner_checkpoint", "owner_id", "checkpoint", desc("created_at"), desc("id")),
        # Purging asks who else has this workflow, and which generations were repeats.
        Index("ix_generations_workflow", "workflow_hash"),
        # Of what few generations have, and what somebody who looks for it will want to see in the order of a page.
        partial_index(
            "ix_generations_favourites", "owner_id", *NEWEST_FIRST, where="favourite = 1", postgresql_where="favourite"
        ),
        partial_index("ix_generations_in_trash", "owner_id", *NEWEST_FIRST, where="trashed_at IS NOT NULL"),
        partial_index("ix_generations_parent", "parent_id", "owner_id", *NEWEST_FIRST, where="parent_id IS NOT NULL"),
        partial_index("ix_generations_review", "review", desc("id"), where="review IS NOT NULL"),
        partial_index("ix_generations_trashed", "trashed_at", where="trashed_at IS NOT NULL"),
        partial_index("ix_generations_in_flight", "instance_id", where="state IN ('submitted', 'running')"),
        # By its state, too: SQLite would else take the index above, and sort.
        partial_index("ix_generations_held_until", "state", "not_before", where=HELD),
        # There is none by the state alone: SQLite would look there for what one person waits for. The state is in this
        # one, so that the one above is not taken in its place.
        partial_index("ix_generations_waiting", "state", *WAITING, where="state = 'pending'").ddl_if(dialect="sqlite"),
        # PostgreSQL knows that the state is the same in all of it, and does not look for it: with the state before the
        # person, it would read of everybody who waits to find one.
        partial_index("ix_generations_waiting_people", *WAITING, where="state = 'pending'").ddl_if(
            dialect="postgresql"
        ),
        partial_index("ix_generations_charged", "state", where="charged_s IS NOT NULL"),
    )


class GenerationEvent(Base):
    """One transition, with its time."""

    __tablename__ = "generation_events"

    id: Mapped[UUID] = mapped_column(GUID, primary_key=True)
    generation_id: Mapped[UUID] = mapped_column(GUID, ForeignKey("generations.id"), index=True)
    state: Mapped[str] = mapped_column(State)
    reason: Mapped[str] = mapped_column(String(200), default="")
    at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))


class Words(TypeDecorator[list[str]]):
    """A list of words, in the form of which the database keeps an index. It is written, never read."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(TSVECTOR() if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: list[str] | None, dialect: Dialect) -> str:
        return (to_tsvector if dialect.name == "postgresql" else " ".join)(value or [])


class SearchEntry(Base):
    """What a generation is found by (`search.py`)."""

    __tablename__ = "search_entries"

    moment: Mapped[int] = mapped_column(MOMENT, primary_key=True, autoincrement=False)
    """When the generation was created, in milliseconds: the order in which SQLite finds it."""
    generation_id: Mapped[UUID] = mapped_column(GUID, ForeignKey("generations.id"), unique=True)
    words: Mapped[list[str]] = mapped_column(Words)

    __table_args__ = (
        # On SQLite it is `search_index` (FTS5), which migrations make.
        Index("ix_search_entries_words", "words", postgresql_using="gin").ddl_if(dialect="postgresql"),
    )


class SearchWord(Base):
    """A word that once was written."""

    __tablename__ = "search_words"

    word: Mapped[str] = mapped_column(WORD, primary_key=True)


class IdempotencyKey(Base):
    """A request that shall have its effect once, and the generation that it made."""

    __tablename__ = "idempotency_keys"

    owner_id: Mapped[UUID] = mapped_column(GUID, ForeignKey("users.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary(32))
    """A hash of everything that makes it another request."""
    generation_id: Mapped[UUID] = mapped_column(GUID, ForeignKey("generations.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True), index=True)


class JournalPosition(Base):
    """How far the outcome journal of an instance is recorded; committed together with the outcomes themselves."""

    __tablename__ = "journal_positions"

    journal: Mapped[str] = mapped_column(String(64), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, default=0)


def move(
    session: AsyncSession, generation: Generation, state: GenerationState, *, at: datetime, reason: str = ""
) -> None:
    """
    Let a generation go to another state and write down that it did. The one place where states change.

    Raises:
        ImpossibleTransition: `states.TRANSITIONS` does not know this way.
    """
    before = GenerationState(generation.state)
    if state is GenerationState.CANCELLED:
        reason = generation.cancel_reason or reason
    if not may_go(before, state):
        raise ImpossibleTransition(f"Generation {generation.id} cannot go from {before.value} to {state.value}.")
    at = max(at, latest_time(generation))
    generation.state = state.value
    touch(generation)
    if state is GenerationState.SUBMITTED:
        generation.submitted_at = at
    elif state is GenerationState.RUNNING:
        generation.started_at = at
    elif state is GenerationState.PENDING:
        generation.submitted_at = generation.started_at = None
    elif state in FINAL:
        generation.finished_at = at
        before_commit(session, settle, generation)
    note_transition(session, generation, at=at, reason=reason)


def ask_to_cancel(session: AsyncSession, generation: Generation, *, reason: str | None = None) -> None:
    """
    Write down that it is to end: at once while it waits, else when ComfyUI has let go of it.

    Args:
        reason: Why, for its timeline, where it is not its owner's wish.
    """
    generation.cancel_requested = True
    generation.cancel_reason = reason or generation.cancel_reason
    if generation.state == GenerationState.PENDING.value:
        move(session, generation, GenerationState.CANCELLED, at=now())
    else:
        touch(generation)


async def settle(session: AsyncSession, ended: Sequence[Generation]) -> None:
    """What was reserved for them is settled, or given back (`limits/ledger.py`)."""
    await ledger.settle(session, {generation.id: measured_ms(generation) for generation in ended})


def measured_ms(generation: Generation) -> int | None:
    """
    What one took that counts, all its tries together: it is completed, or has left files however it ended, since one
    could else have any number of pictures by having something fail behind them. None: nothing of it counts.
    """
    if generation.state != GenerationState.COMPLETED.value and not generation.left_files:
        return None
    return round((generation.gpu_seconds or 0.0) * 1000)


def is_pending() -> ColumnElement[bool]:
    """
    Which are held. In SQL's own words: of what stands in the place of a value no database knows beforehand that it is
    what an index is for.
    """
    return Generation.state == PENDING_IN_SQL


def is_in_flight() -> ColumnElement[bool]:
    """Which a ComfyUI has in its hands; in SQL's own words, too."""
    return Generation.state.in_(IN_FLIGHT_IN_SQL)


def latest_time(generation: Generation) -> datetime:
    """
    When it last went somewhere.

    Times never go back, though the clock of a ComfyUI on another machine may be behind ours.
    """
    times = (generation.created_at, generation.submitted_at, generation.started_at)
    return max(time for time in times if time is not None)


def touch(generation: Generation) -> None:
    """
    Say that the row is written now: later than ever before, whatever the clock says.

    Never the time at which something happened: an outcome is older than the message, read before it, that its prompt
    began, and a browser that holds the message would take the outcome for overtaken.
    """
    generation.updated_at = max(now(), generation.updated_at + timedelta(microseconds=1))


def prompt_id_of(generation: Generation) -> str:
    """What ComfyUI calls it: our own id, or what another pack that queued it came up with."""
    return generation.submission.get("prompt_id") or prompt_id_of_run(generation.id, generation.run)


def forget_foreign_prompt_id(generation: Generation) -> None:
    if "prompt_id" in generation.submission:
        generation.submission = {key: value for key, value in generation.submission.items() if key != "prompt_id"}


NOTE_BEGINNING = insert(table_of(GenerationEvent))


async def note_beginnings(session: AsyncSession, generations: Iterable[Generation]) -> None:
    """The first transition of each, in one statement. They are in the database already."""
    first = [
        {
            "id": uuid7(),
            "generation_id": generation.id,
            "state": generation.state,
            "reason": "",
            "at": generation.created_at,
        }
        for generation in generations
    ]
    await session.execute(NOTE_BEGINNING, first)


def note_transition(session: AsyncSession, generation: Generation, *, at: datetime, reason: str = "") -> None:
    session.add(
        GenerationEvent(id=uuid7(), generation_id=generation.id, state=generation.state, reason=reason[:200], at=at)
    )


__all__ = [
    "Generation",
    "GenerationEvent",
    "GenerationState",
    "IdempotencyKey",
    "JournalPosition",
    "SearchEntry",
    "SearchWord",
    "Workflow",
    "forget_foreign_prompt_id",
    "is_in_flight",
    "is_pending",
    "latest_time",
    "measured_ms",
    "move",
    "note_beginnings",
    "note_transition",
    "prompt_id_of",
    "touch",
]
