"""Which generations a list shows, as conditions on the table and as terms of the search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, not_

from sidecar.generations.models import Generation
from sidecar.generations.search import lora_fact, tag_fact
from sidecar.generations.states import GenerationState
from sidecar.generations.words import Term, terms_of

READ = ("id", "created_at", "state", "checkpoint", "favourite", "parent_id", "trashed_at")
"""What the conditions ask about, and the order of a page."""


@dataclass(frozen=True)
class Filter:
    """What a list shall show; whatever is left empty does not narrow it."""

    states: tuple[GenerationState, ...] = ()
    checkpoint: str | None = None
    lora: str | None = None
    text: str | None = None
    """Words that stand in the title or the prompts (`words.terms_of`)."""
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
        return [replace(self, states=(state,)) for state in dict.fromkeys(self.states)] or [self]

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """What the search knows about."""
        facts = [
            *([lora_fact(self.lora)] if self.lora is not None else []),
            *([tag_fact(self.tag)] if self.tag is not None else []),
        ]
        return (*(Term((fact,), is_beginning=False) for fact in facts), *terms_of(self.text or ""))

    def conditions(self, row: Any) -> Iterator[ColumnElement[bool]]:
        """
        All but the times and the terms.

        Args:
            row: `Generation`, or what has its columns `READ`.
        """
        yield row.trashed_at.is_not(None) if self.trashed else row.trashed_at.is_(None)
        if self.states:
            yield row.state.in_([state.value for state in self.states])
        if self.checkpoint is not None:
            yield row.checkpoint == self.checkpoint
        if self.parent_id is not None:
            yield row.parent_id == self.parent_id
        if self.favourite is not None:
            yield is_favourite(row, wanted=self.favourite)

    def ways(self) -> Iterator[ColumnElement[bool]]:
        """By what, besides the terms, an index can be followed in the order of a page; likely the rarest first."""
        if self.parent_id is not None:
            yield Generation.parent_id == self.parent_id
        if self.trashed:
            yield Generation.trashed_at.is_not(None)
        if self.favourite:
            yield is_favourite(Generation, wanted=True)
        if self.states:
            yield Generation.state.in_([state.value for state in self.states])
        if self.checkpoint is not None and not self.terms:  # the search knows it, too
            yield Generation.checkpoint == self.checkpoint


def is_favourite(row: Any, *, wanted: bool) -> ColumnElement[bool]:
    """As `ix_generations_favourites` has it: what is compared with a parameter, no partial index is used for."""
    return and_(row.favourite) if wanted else not_(row.favourite)
