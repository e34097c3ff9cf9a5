"""A page of what few generations have is read off an index, however many others there are."""

from __future__ import annotations

from typing import Any

import pytest
from integration.backends import only_embedded
from sqlalchemy import Select, select, true
from sqlalchemy.dialects import sqlite

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.database import Database
from sidecar.generations import places, shares, turns, waiting_line
from sidecar.generations.entry_limits import WAITING_OF
from sidecar.generations.filters import Filter
from sidecar.generations.finding import Walk, first_of, found_by_words
from sidecar.generations.releasing import NEXT
from sidecar.generations.search import exactly
from sidecar.generations.states import GenerationState
from sidecar.identity import now

pytestmark = only_embedded("SQLite alone tells its plan before there is anything to plan for")


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Filter(), "ix_generations_owner_newest"),
        (Filter(states=(GenerationState.FAILED,)), "ix_generations_owner_state"),
        (Filter(checkpoint="rare.safetensors"), "ix_generations_owner_checkpoint"),
        (Filter(favourite=True), "ix_generations_favourites"),
        (Filter(trashed=True), "ix_generations_in_trash"),
        (Filter(parent_id=LOCAL_OWNER_ID), "ix_generations_parent"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_narrowed_page_is_read_off_its_index(database, wanted, index):
    """And in the order of the page: nothing is sorted."""
    steps = await plan_of(database, first_of(LOCAL_OWNER_ID, wanted, None, 51))

    assert steps[0].startswith(f"SEARCH generations USING INDEX {index} ")
    assert not [step for step in steps if "TEMP B-TREE" in step]


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Filter(text="f"), "ix_generations_owner_newest"),
        (Filter(text="fox", states=(GenerationState.FAILED,), favourite=False), "ix_generations_owner_state"),
        (Filter(text="fox", parent_id=LOCAL_OWNER_ID), "ix_generations_parent"),
        (Filter(text="fox", favourite=True), "ix_generations_favourites"),
        (Filter(text="fox", trashed=True), "ix_generations_in_trash"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_is_looked_through_is_read_off_its_index(database, wanted, index):
    """Of each that is found there, its entry is read; what is sorted is a page of them."""
    async with database.reading() as session:
        (way,) = wanted.ways() if index != "ix_generations_owner_newest" else (true(),)
        steps = await plan_of(database, Walk(session, LOCAL_OWNER_ID, wanted, way, None, 51).matching())

    assert steps[1].startswith(f"SEARCH generations USING INDEX {index} ")
    assert "SEARCH search_entries USING INDEX sqlite_autoindex_search_entries_1 (generation_id=?)" in steps


async def test_what_is_found_by_words_is_found_in_the_order_of_a_page(database):
    """FTS5 gives one after the other, so that it ends when a page is full."""
    wanted = Filter(text="fox", states=(GenerationState.FAILED,))
    sought = [exactly("fox")]
    steps = await plan_of(database, found_by_words(LOCAL_OWNER_ID, wanted, sought, None, dialect="sqlite").limit(51))

    assert steps[0].startswith("SCAN search_index VIRTUAL TABLE INDEX ")
    assert steps[1] == "SEARCH search_entries USING INTEGER PRIMARY KEY (rowid=?)"
    assert steps[2:] == [
        "CORRELATED SCALAR SUBQUERY 1",
        "SEARCH generations USING INDEX sqlite_autoindex_generations_1 (id=?)",
    ]


async def test_the_next_moment_at_which_something_is_let_go_is_the_first_of_its_index(database):
    """However much is held."""
    steps = await plan_of(database, NEXT)

    assert steps == ["SEARCH generations USING COVERING INDEX ix_generations_held_until (state=? AND not_before>?)"]


async def test_how_much_of_one_person_waits_is_read_off_an_index_that_has_it(database):
    """However many others wait."""
    steps = await plan_of(database, WAITING_OF.params(people=[LOCAL_OWNER_ID]))

    assert steps == ["SEARCH generations USING COVERING INDEX ix_generations_waiting (state=? AND person_id=?)"]


OF_PERSON = "SEARCH generations USING INDEX ix_generations_waiting"
AT = {"at": now(), "unasked": [], "not_awaited_before": now(), "skip": 0, "at_most": 20}


@pytest.mark.parametrize(
    ("query", "steps"),
    [
        (turns.PEOPLE.params(**AT), ["SCAN shares USING INDEX ix_shares_waiting", OF_PERSON]),
        (turns.OF_ONE.params(**AT, person=LOCAL_OWNER_ID), [OF_PERSON]),
        (places.FIRST_PLACES.params(ids=[LOCAL_OWNER_ID]), [OF_PERSON.replace("generations ", "generations_1 ")]),
        (places.FIRSTS.params(**AT), ["SCAN shares USING INDEX ix_shares_waiting", OF_PERSON]),
        (select(shares.has_ready(LOCAL_OWNER_ID, at=now())), [OF_PERSON]),
        (turns.ALL_IN_FLIGHT, ["SCAN generations USING INDEX ix_generations_in_flight"]),
        (waiting_line.THEIRS.params(at=now(), people=[LOCAL_OWNER_ID]), [OF_PERSON]),
        (
            waiting_line.BEHIND.params(at_most=1, tag=0, turn_since=now(), person_id=LOCAL_OWNER_ID),
            ["SEARCH shares USING INDEX ix_shares_waiting"],
        ),
        (waiting_line.NEWS.params(**{"from": LOCAL_OWNER_ID}), []),
        (waiting_line.OF_GENERATIONS.params(ids=[LOCAL_OWNER_ID]), []),
        (waiting_line.DUE.params(since=now(), at=now()), ["SEARCH generations USING INDEX ix_generations_held_until"]),
        (shares.DUE.params(since=now(), at=now()), ["SEARCH generations USING INDEX ix_generations_held_until"]),
        (shares.UNSETTLED, ["SCAN generations USING INDEX ix_generations_charged"]),
    ],
    ids=[
        "the line",
        "one person's",
        "a place",
        "the first of each",
        "has somebody any",
        "in flight",
        "how much each waits for",
        "behind somebody",
        "news",
        "whose they are",
        "due for places",
        "due",
        "unsettled",
    ],
)
async def test_whose_turn_it_is_is_read_off_indexes(database, query, steps):
    """However many wait, and however much is recorded."""
    found = [step.partition(" (")[0].replace("COVERING ", "") for step in await plan_of(database, query)]

    assert [step for step in found if " USING INDEX ix_" in step] == steps


async def plan_of(database: Database, query: Select[Any]) -> list[str]:
    written = query.compile(dialect=sqlite.dialect(), compile_kwargs={"render_postcompile": True})
    async with database.reading() as session:
        connection = await session.connection()
        plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {written}", (None,) * len(written.params))
        return [row.detail for row in plan]
