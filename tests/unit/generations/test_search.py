"""What is found by its words keeps the order in which it was asked for."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from sidecar.generations.models import Generation
from sidecar.generations.search import Sought, give_moments, moment_of, tsquery_term
from sidecar.generations.words import pair, terms_of

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


def asked_for(*after_ms: float, last_taken_ms: int | None = None) -> list[int]:
    """When those begin that are asked for so long after noon, in milliseconds after it."""
    times = [NOON + timedelta(milliseconds=after) for after in after_ms]
    generations = [Generation(created_at=at, updated_at=at) for at in times]
    give_moments(generations, None if last_taken_ms is None else moment_of(NOON) + last_taken_ms)
    return [moment_of(generation.created_at) - moment_of(NOON) for generation in generations]


def test_no_two_generations_share_a_moment():
    """Whoever comes later in the same one gets the next; whoever has it to themselves keeps it."""
    assert asked_for(0, 5, 9) == [0, 5, 9]
    assert asked_for(0.1, 0.2, 0.9, 7) == [0, 1, 2, 7]
    assert asked_for(3, 3, last_taken_ms=3) == [4, 5]
    assert asked_for(9, last_taken_ms=3) == [9]


def test_a_time_that_is_free_stays_as_it_is_to_the_microsecond():
    """It is what the page shows."""
    at = NOON + timedelta(microseconds=123_456)
    generation = Generation(created_at=at, updated_at=at)
    give_moments([generation], None)

    assert generation.created_at == at


def test_postgresql_is_asked_for_words_in_a_row_by_what_its_index_knows_of_them():
    """Two are a pair. More may all be neighbours somewhere and never stand in a row, so their places are looked at."""

    def asked(text: str) -> str:
        (term,) = terms_of(text)
        return tsquery_term(Sought(term, (term.words[-1],)))

    assert asked('"dawn"') == "('dawn')"
    assert asked('"at dawn"') == f"('{pair('at', 'dawn')}')"
    assert asked('"cliff at dawn"') == (
        f"(('{pair('cliff', 'at')}' & '{pair('at', 'dawn')}' & ('cliff' <-> 'at' <-> 'dawn')))"
    )


def test_beginnings_of_many_words_are_looked_for_behind_the_words_before_them():
    (term,) = terms_of("cliff_at_d")

    assert tsquery_term(Sought(term)) == f"('{pair('cliff', 'at')}' & ('cliff' <-> 'at' <-> 'd':*))"
