"""Which generations a list shows, as conditions on the table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, ColumnElement, Text, and_, cast, literal_column, not_, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from sidecar.generations.models import Generation
from sidecar.generations.states import GenerationState

SEARCHED_WORDS_AT_MOST = 20


@dataclass(frozen=True)
class Filter:
    """What a list shall show; whatever is left empty does not narrow it."""

    states: tuple[GenerationState, ...] = ()
    checkpoint: str | None = None
    lora: str | None = None
    text: str | None = None
    """Words, each of which stands in the title or one of the prompts."""
    since: datetime | None = None
    until: datetime | None = None
    """`since` and later, earlier than `until`."""
    tag: str | None = None
    favourite: bool | None = None
    parent_id: UUID | None = None
    trashed: bool = False
    """What lies in the trash, and nothing else; or everything else."""

    def one_state_each(self) -> list[Filter]:
        """The same with one state at a time, as the index on states wants to be asked."""
        return [replace(self, states=(state,)) for state in self.states] or [self]

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        yield Generation.trashed_at.is_not(None) if self.trashed else Generation.trashed_at.is_(None)
        if self.states:
            yield Generation.state.in_([state.value for state in self.states])
        for wanted, condition in (
            (self.checkpoint, Generation.checkpoint.__eq__),
            (self.parent_id, Generation.parent_id.__eq__),
            (self.since, Generation.created_at.__ge__),
            (self.until, Generation.created_at.__lt__),
            (self.lora, partial(holds_name, Generation.loras)),
        ):
            if wanted is not None:
                yield condition(wanted)
        if self.favourite is not None:
            yield is_favourite(self.favourite)
        if self.tag is not None:
            yield is_tagged(self.tag)
        yield from map(says, (self.text or "").split()[:SEARCHED_WORDS_AT_MOST])


def is_favourite(wanted: bool) -> ColumnElement[bool]:  # noqa: FBT001 - what somebody filters by
    """As `ix_generations_favourites` has it: what is compared with a parameter, no partial index is used for."""
    return and_(Generation.favourite) if wanted else not_(Generation.favourite)


def is_tagged(tag: str) -> ColumnElement[bool]:
    """The first half says the same as `ix_generations_tagged`, so that those without any tag need not be read."""
    return and_(cast(Generation.tags, Text) != literal_column("'[]'"), holds_text(Generation.tags, tag))


def says(word: str) -> ColumnElement[bool]:
    """Does the title or one of the prompts contain this, in whatever case?"""
    columns = (Generation.title, Generation.prompt, Generation.negative_prompt)
    return or_(*(column.icontains(word, autoescape=True) for column in columns))


class holds_text(FunctionElement[bool]):  # noqa: N801 - reads as the SQL function that it is
    """Is this text in a JSON list of texts?"""

    name = "holds_text"
    type = Boolean()
    inherit_cache = True


class holds_name(FunctionElement[bool]):  # noqa: N801 - same
    """Has one of the objects in a JSON list this `name`?"""

    name = "holds_name"
    type = Boolean()
    inherit_cache = True


@compiles(holds_text, "sqlite")
def _(element: holds_text, compiler: Any, **options: Any) -> str:
    column, wanted = (compiler.process(part, **options) for part in element.clauses)
    return f"EXISTS (SELECT 1 FROM json_each({column}) AS entry WHERE entry.value = {wanted})"  # noqa: S608 - made of SQLAlchemy's SQL


@compiles(holds_name, "sqlite")
def _(element: holds_name, compiler: Any, **options: Any) -> str:
    column, wanted = (compiler.process(part, **options) for part in element.clauses)
    name = "json_extract(entry.value, '$.name')"
    return f"EXISTS (SELECT 1 FROM json_each({column}) AS entry WHERE {name} = {wanted})"  # noqa: S608 - same


@compiles(holds_text, "postgresql")
def _(element: holds_text, compiler: Any, **options: Any) -> str:
    column, wanted = (compiler.process(part, **options) for part in element.clauses)
    return f"CAST({column} AS jsonb) @> jsonb_build_array(CAST({wanted} AS text))"


@compiles(holds_name, "postgresql")
def _(element: holds_name, compiler: Any, **options: Any) -> str:
    column, wanted = (compiler.process(part, **options) for part in element.clauses)
    return f"CAST({column} AS jsonb) @> jsonb_build_array(jsonb_build_object('name', CAST({wanted} AS text)))"
