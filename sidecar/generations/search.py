"""
What generations are found by, and how it is kept and asked.

Each has one entry: the words of its title and its prompts (`words.py`), and facts as words that nobody can write. It is
written in the transaction that changes what it tells of. The database keeps an index of the entries by itself (FTS5
with triggers, GIN), and by triggers, too, a list of the words that were ever written.

An entry's key is its generation's time in milliseconds, which no two share, so that FTS5 has what it finds in the order
of a page and need not find everything first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Select,
    SQLColumnExpression,
    bindparam,
    cast,
    column,
    func,
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

from sidecar.database import table_of
from sidecar.generations.models import Generation, SearchEntry, SearchWord
from sidecar.generations.words import FACT, Term, document, fact, pair

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MOMENT = timedelta(milliseconds=1)
NEARBY = 1000
"""Nobody is put off by more moments than these: that would take a thousand generations in one second."""
GREATEST_CHARACTER = "\U0010ffff"
ALTERNATIVES_AT_MOST = 100
"""Of a beginning with more words than that nearly every text has one, and no index is of any use."""

ENTRIES = table_of(SearchEntry)
ENTER = insert(ENTRIES)
LAST_MOMENT_NEARBY = (
    select(func.max(ENTRIES.c.moment))
    .where(ENTRIES.c.moment.between(bindparam("first_moment"), bindparam("last_moment")))
    .scalar_subquery()
)
"""The last of some moments (`moments_nearby`) that is taken; mostly there is none."""

INDEX = table("search_index", column("rowid"), column("search_index"))
"""SQLite's alone: the FTS5 table over the entries."""


def moment_of(at: datetime) -> int:
    return (at - EPOCH) // MOMENT


def moments_nearby(generations: Sequence[Generation]) -> dict[str, int]:
    """All that these generations might have: what `LAST_MOMENT_NEARBY` wants to know."""
    wanted = [moment_of(generation.created_at) for generation in generations]
    return {"first_moment": min(wanted), "last_moment": max(wanted) + NEARBY}


def give_moments(generations: Iterable[Generation], last: int | None) -> None:
    """Let each of them begin in a millisecond of its own, in its own or in the next that is free."""
    free = 0 if last is None else last + 1
    for generation in sorted(generations, key=lambda generation: generation.created_at):
        free = max(free, moment_of(generation.created_at))
        if free != moment_of(generation.created_at):
            generation.created_at = generation.updated_at = EPOCH + free * MOMENT
        free += 1


async def make_findable(session: AsyncSession, generations: Sequence[Generation]) -> None:
    """Write the entries of generations that are in the database already."""
    entries = [
        {
            "moment": moment_of(generation.created_at),
            "generation_id": generation.id,
            "words": words_about(generation),
        }
        for generation in generations
    ]
    await session.execute(ENTER, entries)


async def find_anew(session: AsyncSession, generation: Generation) -> None:
    """Something has changed by which it is found."""
    entry = update(SearchEntry).where(SearchEntry.generation_id == generation.id)
    await session.execute(entry.values(words=words_about(generation)).execution_options(synchronize_session=False))


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


def dialect_of(session: AsyncSession) -> str:
    return session.get_bind().dialect.name


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


def is_fact(sought: Sought) -> bool:
    return sought.term.words[0].startswith(FACT)


def holds(term: Term, words: Any = SearchEntry.words) -> ColumnElement[bool]:
    """Has the entry this term? Read in the entry itself, without the index."""
    beginning = " " + " ".join(term.words)
    return holds_text(words, literal(beginning if term.is_beginning else beginning + " "), to_tsquery(term))


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


def tsquery_pairs(words: Sequence[str]) -> str:
    """What GIN knows of words in a row."""
    return " & ".join(f"'{pair(first, second)}'" for first, second in pairwise(words))


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


def gives_one_by_one(sought: Sequence[Sought], *, dialect: str) -> bool:
    """Does the index tell the newest before it has found all, so that it may be asked for what is frequent?"""
    return dialect == "sqlite" and bool(sought) and all(each.endings for each in sought)


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
    indexed = [each for each in sought if each.endings]
    if all(is_fact(each) for each in indexed):
        indexed = list(sought)  # all beginnings of many words: collecting them beats reading everything somebody has
    checked = [each for each in sought if each not in indexed]
    read = [SearchEntry.words] if checked else []  # larger than everything else, and mostly nobody looks at it
    found = (
        select(SearchEntry.moment, SearchEntry.generation_id, *read)
        .where(
            SearchEntry.words.op("@@")(as_tsquery(" & ".join(map(tsquery_term, indexed)))),
            *span.of(SearchEntry.moment),
        )
        .cte("found")
        .prefix_with("MATERIALIZED")
    )
    held = (holds(each.term, found.c.words) for each in checked)
    return select(found.c.generation_id).where(*held).order_by(found.c.moment.desc())


def tsquery_term(sought: Sought) -> str:
    if sought.endings:
        return "(" + " | ".join(map(tsquery_in_a_row, sought.phrases)) + ")"
    beginning = f"{tsquery_phrase(sought.term.words)}:*"
    pairs = tsquery_pairs(sought.term.words[:-1])
    return f"({pairs} & ({beginning}))" if pairs else f"({beginning})"


def tsquery_in_a_row(words: Sequence[str]) -> str:
    """A word, a pair of neighbours, or pairs whose places have to be looked at as well."""
    if len(words) == 1:
        return f"'{words[0]}'"
    pairs = tsquery_pairs(words)
    return pairs if len(words) == 2 else f"({pairs} & ({tsquery_phrase(words)}))"
