"""A thousand people look on while what they wait for moves forward: what it costs to tell them."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from datetime import datetime, timezone
from pathlib import Path
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.figures import Budget, Row, Scale
from benchmarks.history_filling import add_people_waiting, copy_waiting, write_first
from sidecar.generations.schemas import Waiting
from sidecar.generations.waiting_reasons import Held
from sidecar.live_events import Listener
from sidecar.migrations import upgrade
from sidecar.parts import Parts, put_together
from sidecar.settings import read_settings
from sidecar.tasks import end

LISTENERS = Scale(full=1_000, quick=200)
EACH_WAITS_FOR = 100
MOVES_EVERY_S = 0.5
LISTENED_S = Scale(full=60.0, quick=20.0)
LET_GO = "UPDATE shares SET tag = tag + 10000000 WHERE person_id = ?"
PEOPLE = "SELECT person_id FROM shares WHERE is_waiting"


def rows(folder: Path, *, quick: bool) -> list[Row]:
    return asyncio.run(measure(folder, LISTENERS.of(quick=quick), LISTENED_S.of(quick=quick)))


async def measure(folder: Path, listeners: int, listened_s: float) -> list[Row]:
    parts = put_together(read_settings({"GENONAUT_DATA": str(folder), "GENONAUT_ACCESS": "accounts"}))
    await upgrade(parts.database.engine)
    await write_first(parts.database, datetime.now(timezone.utc))
    people = await asyncio.to_thread(let_wait, folder / "genonaut.sqlite3", listeners)
    with ExitStack() as open_streams:
        streams = [open_streams.enter_context(parts.live_events.listening(person)) for person in people]
        part, looks = await listened(parts, folder / "genonaut.sqlite3", people, streams, listened_s)
    await parts.places.close()
    await parts.database.close()
    called = f"telling {listeners:_} who look on where {listeners * EACH_WAITS_FOR:_} wait".replace("_", " ")
    return [
        Row(called, 100 * part, "% of a core", budget=Budget(5)),
        Row(f"{called}: each is looked at every", listened_s * listeners / max(looks, 1), "s"),
    ]


def let_wait(file: Path, count: int) -> list[UUID]:
    add_people_waiting(file, count)
    with closing(sqlite3.connect(file, timeout=30)) as connection, connection:
        people = [UUID(bytes=person) for (person,) in connection.execute(PEOPLE)]
        for _ in range(EACH_WAITS_FOR - 1):
            copy_waiting(connection, people)
    return people


def let_go(file: Path, person: UUID) -> None:
    """Somebody has their turn: everybody else comes nearer to theirs."""
    with closing(sqlite3.connect(file, timeout=30)) as connection, connection:
        connection.execute(LET_GO, [person.bytes])


async def listened(
    parts: Parts, file: Path, people: list[UUID], streams: list[Listener], listened_s: float
) -> tuple[float, int]:
    """
    Which part of a processor's time it took, and how often somebody was looked at; the line moves all the while.

    What is read at first is left out: afterwards it is read again only when it changes.
    """
    looks, of_first = itertools.count(), parts.places.of_first

    async def counted(session: AsyncSession, held: Sequence[Held]) -> list[Waiting]:
        next(looks)
        return await of_first(session, held)

    parts.places.of_first = counted  # type: ignore[method-assign]
    telling = asyncio.create_task(parts.waiting_telling.run())
    parts.places.changed()
    while not all(stream.queue.qsize() for stream in streams):
        await asyncio.sleep(MOVES_EVERY_S)
    began, began_cpu, already = time.monotonic(), time.process_time(), next(looks)
    for person in itertools.cycle(people):
        await asyncio.to_thread(let_go, file, person)
        parts.places.changed()
        await asyncio.sleep(MOVES_EVERY_S)
        if time.monotonic() > began + listened_s:
            break
    part = (time.process_time() - began_cpu) / (time.monotonic() - began)
    await end(telling)
    return part, next(looks) - already
