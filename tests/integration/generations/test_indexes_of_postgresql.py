"""PostgreSQL reads of one person what waits, however many others wait."""

from __future__ import annotations

from typing import Any

from integration.backends import with_postgresql
from sqlalchemy import Select, text

from sidecar.generations import turns, waiting_line
from sidecar.generations.entry_limits import WAITING_OF
from sidecar.identity import now, uuid7
from sidecar.parts import Parts

AT = {"at": now(), "unasked": [], "not_awaited_before": now(), "skip": 0, "at_most": 20}


@with_postgresql
async def test_what_one_person_waits_for_is_looked_for_by_the_person(idle_parts: Parts):
    """By the first column of its index: the state, which all of it have, would have all of it read."""
    asked: list[Select[Any]] = [
        WAITING_OF.params(people=[uuid7()]),
        waiting_line.THEIRS.params(people=[uuid7()], at=now()),
        turns.OF_ONE.params(**AT, person=uuid7()),
    ]
    plans = []
    async with idle_parts.database.reading() as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))  # nothing waits: it would rather read it all
        connection = await session.connection()
        for query in asked:
            written = query.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
            values = tuple(written.params[name] for name in written.positiontup or ())
            steps = await connection.exec_driver_sql(f"EXPLAIN {written}", values)
            plans.append("\n".join(row[0] for row in steps))

    for plan in plans:
        assert "ix_generations_waiting_people" in plan
        assert "Index Cond: (person_id = " in plan
