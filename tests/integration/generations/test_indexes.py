"""A page of what few generations have is read off an index, however many others there are."""

from __future__ import annotations

import pytest
from sqlalchemy.dialects import sqlite

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.generations.filters import Filter
from sidecar.generations.finding import first_of
from sidecar.generations.states import GenerationState


@pytest.fixture
def database_url(sqlite_database_url: str) -> str:
    """SQLite alone tells its plan before there is anything to plan for."""
    return sqlite_database_url


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Filter(), "ix_generations_owner_newest"),
        (Filter(states=(GenerationState.FAILED,)), "ix_generations_owner_state"),
        (Filter(checkpoint="rare.safetensors"), "ix_generations_owner_checkpoint"),
        (Filter(favourite=True), "ix_generations_favourites"),
        (Filter(trashed=True), "ix_generations_in_trash"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_narrowed_page_is_read_off_its_index(database, wanted, index):
    """And in the order of the page: nothing is sorted."""
    query = first_of(LOCAL_OWNER_ID, wanted, None, 51)
    written = query.compile(dialect=sqlite.dialect(), compile_kwargs={"render_postcompile": True})
    async with database.reading() as session:
        connection = await session.connection()
        plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {written}", (None,) * len(written.params))
        steps = [row.detail for row in plan]

    assert steps[0].startswith(f"SEARCH generations USING INDEX {index} ")
    assert not [step for step in steps if "TEMP B-TREE" in step]
