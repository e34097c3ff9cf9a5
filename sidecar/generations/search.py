"""
What generations are found by, and how it is kept and asked.

Each has one entry: the words of its title and its prompts (`words.py`), and facts as words that nobody can write. It is
written in the transaction that changes what it tells of, and the database keeps an index of it by itself: FTS5 by
triggers, PostgreSQL by GIN. An entry's key is its generation's time in milliseconds, which no two share, so that FTS5
has what it finds in the order of a page and need not find everything first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import chain, count
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Select,
    SQLColumnExpression,
    cast,
    column,
    insert,
    literal,
    select,
    table,
    update,
)
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from sidecar.generations.models import Generation, SearchEntry, SearchWord
from sidecar.generations.words import Term, document, fact, is_learnt

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MOMENT = timedelta(milliseconds=1)
NEARBY = 1000
"""So many moments in a row are never taken."""
GREATEST_CHARACTER = "\U0010ffff"
ALTERNATIVES_AT_MOST = 100
"""Of a beginning with more words than that nearly every text has one, and no index is of any use."""

INDEX = table("search_index", column("rowid"), column("search_index"))
"""SQLite's alone: the FTS5 table over the entries."""


def moment_of(at: datetime) -> int:
    return (at - EPOCH) // MOMENT


async def give_moments(session: AsyncSession, generations: Sequence[Generation]) -> None:
    """Let each of them begin in a millisecond of its own: in its own, or in the next that nobody has."""
    wanted = [moment_of(generation.created_at) for generation in generations]
    nearby = select(SearchEntry.moment).where(SearchEntry.moment.between(min(wanted), max(wanted) + NEARBY))
    taken = set(await session.scalars(nearby))
    for generation, moment in zip(generations, wanted, strict=True):
        free = next(free for free in count(moment) if free not in taken)
        taken.add(free)
        if free != moment:
            generation.created_at = EPOCH + free * MOMENT
            generation.updated_at = max(generation.updated_at, generation.created_at)


async def make_findable(session: AsyncSession, generations: Sequence[Generation]) -> None:
    """Write the entries of generations that are in the database already."""
    words = [words_about(generation) for generation in generations]
    await learn(session, chain.from_iterable(words))
    entries = [
        {"moment": moment_of(generation.created_at), "generation_id": generation.id, "words": its_words}
        for generation, its_words in zip(generations, words, strict=True)
    ]
    await session.execute(insert(SearchEntry), entries)


async def find_anew(session: AsyncSession, generation: Generation) -> None:
    """Something has changed by which it is found."""
    words = words_about(generation)
    await learn(session, words)
    entry = update(SearchEntry).where(SearchEntry.generation_id == generation.id)
    await session.execute(entry.values(words=words).execution_options(synchronize_session=False))


def words_about(generation: Generation) -> list[str]:
    facts = [
        owner_fact(generation.owner_id),
        checkpoint_fact(generation.checkpoint),
        *(lora_fact(str(lora.get("name", ""))) for lora in generation.loras),
        *map(tag_fact, generation.tags),
    ]
    return document((generation.title, generation.prompt, generation.negative_prompt), dict.fromkeys(facts))


def owner_fact(owner_id: UUID) -> str:
    return fact("owner", owner_id.hex)


def checkpoint_fact(name: str) -> str:
    return fact("checkpoint", name)


def lora_fact(name: str) -> str:
    return fact("lora", name)


def tag_fact(tag: str) -> str:
    return fact("tag", tag)


async def learn(session: AsyncSession, words: Iterable[str]) -> None:
    """Remember which words there are. They are never forgotten: few new ones come, and nobody is shown them."""
    written = set(filter(is_learnt, words))
    known = set(await session.scalars(select(SearchWord.word).where(SearchWord.word.in_(written))))
    if written - known:
        await session.execute(insert(SearchWord), [{"word": word} for word in sorted(written - known)])


@dataclass(frozen=True)
class Sought:
    """A term, and the words for which its last one may stand."""

    term: Term
    endings: tuple[str, ...] = ()
    """None of them: there are too many."""

    @property
    def phrases(self) -> list[tuple[str, ...]]:
        return [(*self.term.words[:-1], ending) for ending in self.endings]


def exactly(word: str) -> Sought:
    return Sought(Term((word,), is_beginning=False), (word,))


async def seek(session: AsyncSession, terms: Iterable[Term]) -> list[Sought] | None:
    """What to look for; None when one of the terms begins like no word that was ever written."""
    found = []
    for term in terms:
        endings = await words_beginning(session, term.words[-1]) if term.is_beginning else [term.words[-1]]
        if not endings:
            return None
        found.append(Sought(term, tuple(endings) if len(endings) <= ALTERNATIVES_AT_MOST else ()))
    return found


async def words_beginning(session: AsyncSession, beginning: str) -> Sequence[str]:
    """One more than are of use at most."""
    words = select(SearchWord.word).where(SearchWord.word.between(beginning, beginning + GREATEST_CHARACTER))
    return (await session.scalars(words.limit(ALTERNATIVES_AT_MOST + 1))).all()


def holds(term: Term) -> ColumnElement[bool]:
    """Has the entry this term? Read in the entry itself, without the index."""
    beginning = " " + " ".join(term.words)
    return holds_text(SearchEntry.words, literal(beginning if term.is_beginning else beginning + " "), to_tsquery(term))


class holds_text(FunctionElement[bool]):  # noqa: N801 - reads as the SQL function that it is
    """Entry, what stands in SQLite's text, what PostgreSQL asks its own kind of text."""

    name = "holds_text"
    type = Boolean()
    inherit_cache = True


@compiles(holds_text, "sqlite")
def _(element: holds_text, compiler: Any, **options: Any) -> str:
    entry, text, _ = element.clauses
    return f"instr(' ' || {compiler.process(entry, **options)} || ' ', {compiler.process(text, **options)}) > 0"


@compiles(holds_text, "postgresql")
def _(element: holds_text, compiler: Any, **options: Any) -> str:
    entry, _, query = element.clauses
    return f"{compiler.process(entry, **options)} @@ {compiler.process(query, **options)}"


def to_tsquery(term: Term) -> ColumnElement[Any]:
    return as_tsquery(tsquery_phrase(term.words) + (":*" if term.is_beginning else ""))


def as_tsquery(query: str) -> ColumnElement[Any]:
    return cast(literal(query), TSQUERY)


def tsquery_phrase(words: Iterable[str]) -> str:
    return " <-> ".join(f"'{word}'" for word in words)


@dataclass(frozen=True)
class Span:
    """From the one moment to the other."""

    first: datetime | None = None
    last: datetime | None = None

    def of(self, moment: SQLColumnExpression[int]) -> list[ColumnElement[bool]]:
        conditions = []
        if self.first is not None:
            conditions.append(moment >= moment_of(self.first))
        if self.last is not None:
            conditions.append(moment <= moment_of(self.last))
        return conditions


def entries_with(sought: Sequence[Sought], span: Span, *, dialect: str) -> Select[tuple[UUID]]:
    """The generations with these terms, newest first, off the index."""
    return (entries_in_fts5 if dialect == "sqlite" else entries_in_gin)(sought, span)


def entries_in_fts5(sought: Sequence[Sought], span: Span) -> Select[tuple[UUID]]:
    """FTS5 goes from one to the next as they are asked for, and skips what only some of the terms have."""
    indexed = [each for each in sought if each.endings]
    matching = INDEX.c.search_index.op("MATCH")(" AND ".join(map(fts5_term, indexed)))
    return (
        select(SearchEntry.generation_id)
        .join_from(INDEX, SearchEntry, SearchEntry.moment == INDEX.c.rowid)
        .where(matching, *span.of(INDEX.c.rowid), *(holds(each.term) for each in sought if not each.endings))
        .order_by(INDEX.c.rowid.desc())
    )


def fts5_term(sought: Sought) -> str:
    return "(" + " OR ".join(f'"{" ".join(phrase)}"' for phrase in sought.phrases) + ")"


def entries_in_gin(sought: Sequence[Sought], span: Span) -> Select[tuple[UUID]]:
    """Left to itself, PostgreSQL might go through everything somebody has in search of what is rare."""
    query = " & ".join(map(tsquery_term, sought))
    found = (
        select(SearchEntry.moment, SearchEntry.generation_id)
        .where(SearchEntry.words.op("@@")(as_tsquery(query)), *span.of(SearchEntry.moment))
        .cte("found")
        .prefix_with("MATERIALIZED")
    )
    return select(found.c.generation_id).order_by(found.c.moment.desc())


def tsquery_term(sought: Sought) -> str:
    if not sought.endings:
        return f"({tsquery_phrase(sought.term.words)}:*)"
    return "(" + " | ".join(f"({tsquery_phrase(phrase)})" for phrase in sought.phrases) + ")"
