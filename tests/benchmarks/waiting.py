"""Many people wait: how quickly somebody else is let in, and how quickly it is found whose turn is next."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from contextlib import closing
from pathlib import Path

import aiohttp

from benchmarks.busy_comfyui import BusyComfyUI
from benchmarks.crowd import until, workflow_of
from benchmarks.figures import Row, Scale, each_timed, spread, timed
from benchmarks.history_filling import add_people_waiting
from benchmarks.running_sidecar import running_sidecar
from sidecar.catalog.snapshot import Snapshot
from sidecar.cluster.bus import Bus
from sidecar.database import Database
from sidecar.generations.turns import look_ahead
from sidecar.identity import now
from sidecar.limits.plans import Plans
from sidecar.settings import read_settings

PEOPLE_WAITING = Scale(full=(0, 1_000, 10_000, 100_000), quick=(0, 1_000, 10_000))
PEOPLE_ASKING = 100
"""Each twice for each number of people waiting: fewer times in all than the smallest plan allows in an hour."""
CLIENTS = 16
CHOICES = 50
PROMPTS_RUN = 100
WORK_ENDED = "UPDATE generations SET state = 'completed' WHERE state IN ('submitted', 'running')"


def rows(folder: Path, *, quick: bool) -> list[Row]:
    crowds = PEOPLE_WAITING.of(quick=quick)
    return asyncio.run(measure(folder, crowds))


async def measure(folder: Path, crowds: tuple[int, ...]) -> list[Row]:
    found = await admissions(folder, crowds)
    return [*found, *await turns(folder, crowds[-1])]


async def admissions(folder: Path, crowds: tuple[int, ...]) -> list[Row]:
    """People whom a proxy names, so that whatever is limited is limited for each of them."""
    found: list[Row] = []
    database = folder / "genonaut.sqlite3"
    with running_sidecar(folder, access="proxy") as sidecar:
        async with aiohttp.ClientSession(f"{sidecar.url}/api/v1/") as http:
            await asyncio.gather(*(come_in(http, person) for person in range(PEOPLE_ASKING)))
            await submit(http, 0)
            there = 0
            for waiting in crowds:
                await asyncio.to_thread(add_people_waiting, database, waiting - there)
                there = waiting
                seconds, took_s = await submissions(http)
                name = f"admission, {named(waiting)}"
                found += [
                    *spread(name, seconds, p50_ms=8, p95_ms=25),
                    Row(f"{name}, {CLIENTS} clients without a pause", len(seconds) / took_s, "a second"),
                ]
    return found


async def submissions(http: aiohttp.ClientSession) -> tuple[list[float], float]:
    """How long each took, one person after the other, and how long all of them took, many at once."""
    one_after_the_other = []
    for person in range(PEOPLE_ASKING):
        with timed() as watch:
            await submit(http, person)
        one_after_the_other.append(watch.seconds)
    people = iter(range(PEOPLE_ASKING))

    async def client() -> None:
        for person in people:
            await submit(http, person)

    with timed() as watch:
        await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return one_after_the_other, watch.seconds


async def turns(folder: Path, waiting: int) -> list[Row]:
    """With a ComfyUI that works as fast as it gets work; then with nobody but us at the database."""
    database = folder / "genonaut.sqlite3"
    comfyui = BusyComfyUI()
    async with comfyui.at_work():
        with running_sidecar(folder, comfyui_url=comfyui.url, access="proxy"):
            await until(lambda: len(comfyui.received) > 0)
            with timed() as watch:
                before = len(comfyui.received)
                await until(lambda: len(comfyui.received) >= before + PROMPTS_RUN)
    found = [Row(f"prompts run, {named(waiting)}", PROMPTS_RUN / watch.seconds, "a second")]
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(WORK_ENDED)
    return [*found, *spread(f"choice of the next turn, {named(waiting)}", await choices(folder))]


async def choices(folder: Path) -> list[float]:
    settings = read_settings({"GENONAUT_DATA": str(folder), "GENONAUT_ACCESS": "proxy"})
    database = Database(settings.database_url)
    plans = Plans(database, Bus(), settings)

    async def choose() -> None:
        async with database.reading() as session:
            outlook = await look_ahead(session, Snapshot(), plans, at=now())
        assert outlook.choices

    try:
        return await each_timed(CHOICES, choose)
    finally:
        await database.close()


async def come_in(http: aiohttp.ClientSession, person: int) -> None:
    async with http.get("me", headers=saying(person)) as answer:
        answer.raise_for_status()


colours = itertools.count()


async def submit(http: aiohttp.ClientSession, person: int) -> None:
    body = {"workflow": workflow_of(next(colours))}
    async with http.post("generations", json=body, headers=saying(person)) as answer:
        answer.raise_for_status()
        await answer.read()


def saying(person: int) -> dict[str, str]:
    return {"X-Forwarded-User": f"person-{person}"}


def named(waiting: int) -> str:
    return f"{waiting:_} people waiting".replace("_", " ")
