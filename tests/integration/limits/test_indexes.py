"""What limits ask at every submission is read off indexes that have all of the answer."""

from __future__ import annotations

from typing import Any

import pytest
from integration.backends import only_embedded
from sqlalchemy import bindparam
from sqlalchemy.dialects import sqlite

from sidecar.database import Database
from sidecar.gallery.stored import BYTES
from sidecar.generations.moving_up import GIVEN_BACK
from sidecar.identity import uuid7
from sidecar.limits.budgets import SUMS
from sidecar.limits.ledger import COLUMNS, HELD, TALLIES
from sidecar.quota.usage import sums_by

ADA = uuid7()
OF_A_GENERATION = "SEARCH usage_entries USING INDEX ix_usage_entries_generation (generation_id=?)"
BY_DAY = sums_by("day", is_postgresql=False).where(
    COLUMNS.account_id == bindparam("account"), COLUMNS.counted_at > bindparam("since")
)

pytestmark = only_embedded("SQLite alone tells its plan before there is anything to plan for")


@pytest.mark.parametrize(
    ("query", "step"),
    [
        (SUMS, "SEARCH usage_entries USING COVERING INDEX ix_usage_entries_window (account_id=? AND counted_at>?)"),
        (TALLIES, "SEARCH usage_entries USING COVERING INDEX ix_usage_entries_window (account_id=? AND counted_at>?)"),
        (BY_DAY, "SEARCH usage_entries USING COVERING INDEX ix_usage_entries_window (account_id=? AND counted_at>?)"),
        (GIVEN_BACK, "SEARCH usage_entries USING INDEX ix_usage_entries_given_back (at>?)"),
        (HELD, OF_A_GENERATION),
        (BYTES, "SEARCH images USING COVERING INDEX ix_images_owner_bytes (owner_id=?)"),
    ],
    ids=["sums", "tallies", "by day", "given back", "of a generation", "stored"],
)
async def test_it_is_read_off_its_index(database: Database, query: Any, step: str):
    """However many entries there are: those of one account, of one day."""
    asked = {name: [ADA] if bind.expanding else None for name, bind in query.compile().binds.items() if bind.required}
    written = query.params(**asked).compile(dialect=sqlite.dialect(), compile_kwargs={"render_postcompile": True})
    async with database.reading() as session:
        connection = await session.connection()
        values = (None,) * len(written.positiontup or ())
        plan = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {written}", values)).all()

    assert plan[0].detail == step
