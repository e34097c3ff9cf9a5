"""
Much was recorded and many people wait: how quickly somebody else is let in, with everything on that limits and judges,
and how quickly it is found whose turn is next.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import aiohttp

from benchmarks.busy_comfyui import BusyComfyUI
from benchmarks.crowd import until, workflow_of
from benchmarks.figures import Budget, Row, Scale, each_timed, spread, timed
from benchmarks.history_filling import NEGATIVE_PROMPT, PROMPT, add_people_waiting, fill_history
from benchmarks.running_sidecar import processor_s, running_sidecar
from install import step
from sidecar.catalog.snapshot import Snapshot
from sidecar.cluster.bus import Bus
from sidecar.database import Database
from sidecar.generations.shares import Crowd
from sidecar.generations.turns import look_ahead
from sidecar.identity import now
from sidecar.limits.plans import Plans
from sidecar.settings import read_settings

PEOPLE_WAITING = Scale(full=(0, 1_000, 10_000, 100_000), quick=(0, 1_000, 10_000))
PEOPLE_ASKING = 100
"""Each twice for each number of people waiting: fewer times in all than their plan allows in an hour."""
GENERATIONS = Scale(full=1_000_000, quick=100_000)
HELD_AT_MOST_MS = 20
PLACES_CHANGE_WITHIN_S = 3.0
TEXTS = {
    "3": {"class_type": "CLIPTextEncode", "inputs": {"text": PROMPT, "clip": ["9", 0]}},
    "4": {"class_type": "CLIPTextEncode", "inputs": {"text": NEGATIVE_PROMPT, "clip": ["9", 0]}},
}
CLIENTS = 16
CHOICES = 50
PROMPTS_RUN = 100
WORK_ENDED = "UPDATE generations SET state = 'completed' WHERE state IN ('submitted', 'running')"


def rows(folder: Path, *, quick: bool) -> list[Row]:
    settings = read_settings({"GENONAUT_DATA": str(folder)})
    database = folder / "genonaut.sqlite3"
    with step("Recording a long history"):
        recorded = asyncio.run(fill_history(settings.database_url, database, GENERATIONS.of(quick=quick)))
    people = switch_everything_on(database)
    crowds = PEOPLE_WAITING.of(quick=quick)
    return asyncio.run(measure(folder, crowds, people, recorded))


def switch_everything_on(database: Path) -> list[str]:
    """The rules that are shipped, for whatever is limited as `standard` has it; the names of those who will ask."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE rules SET is_active = 1")
        connection.execute("UPDATE plans SET sensitivity = 'high'")
        names = connection.execute(
            "SELECT name FROM users WHERE plan = 'standard' ORDER BY id LIMIT ?", [PEOPLE_ASKING]
        )
        return [name for (name,) in names]


async def measure(folder: Path, crowds: tuple[int, ...], people: list[str], recorded: int) -> list[Row]:
    found = await admissions(folder, crowds, people, recorded)
    return [*found, *await turns(folder, crowds[-1])]


async def admissions(folder: Path, crowds: tuple[int, ...], people: list[str], recorded: int) -> list[Row]:
    """People whom a proxy names, with limits and rules for each of them, of whom each has a history."""
    found: list[Row] = []
    database = folder / "genonaut.sqlite3"
    with running_sidecar(folder, access="proxy", watched=True) as sidecar:
        async with aiohttp.ClientSession(f"{sidecar.url}/api/v1/") as http:
            await asyncio.gather(*(come_in(http, name) for name in people))
            there = 0
            for waiting in crowds:
                await asyncio.to_thread(add_people_waiting, database, waiting - there)
                there = waiting
                await until_known(http, people[0])
                since, processor_before = time.time(), processor_s(sidecar.program.pid)
                seconds, took_s = await submissions(http, people)
                processor_after = processor_s(sidecar.program.pid)
                name = f"admission, everything on, {recorded:_} recorded, {waiting:_} people waiting".replace("_", " ")
                found += [
                    *spread(name, seconds, p50_ms=8, p95_ms=25),
                    Row(f"{name}, {CLIENTS} clients without a pause", len(people) / took_s, "a second"),
                    Row(
                        f"{name}, event loop held at most",
                        sidecar.held_ms(since),
                        "ms",
                        budget=Budget(HELD_AT_MOST_MS),
                    ),
                ]
                if processor_before is not None and processor_after is not None:
                    each_ms = (processor_after - processor_before) / (2 * len(people)) * 1000
                    found.append(Row(f"{name}, processor's time each", each_ms, "ms"))
    return found


async def until_known(http: aiohttp.ClientSession, person: str) -> None:
    """They came all at once, as no crowd does: the sidecar has read of everybody when a place does not change."""
    generation_id = await submit(http, person)
    places = [-2, -1]
    while places[-1] != places[-2]:
        await asyncio.sleep(PLACES_CHANGE_WITHIN_S)
        async with http.get(f"generations/{generation_id}", headers=saying(person)) as answer:
            places.append((await answer.json())["place"])


async def submissions(http: aiohttp.ClientSession, people: list[str]) -> tuple[list[float], float]:
    """How long each took, one person after the other, and how long all of them took, many at once."""
    one_after_the_other = []
    for person in people:
        with timed() as watch:
            await submit(http, person)
        one_after_the_other.append(watch.seconds)
    asking = iter(people)

    async def client() -> None:
        for person in asking:
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
    plans, crowd = Plans(database, Bus(), settings), Crowd()

    async def choose() -> None:
        async with database.reading() as session:
            outlook = await look_ahead(session, Snapshot(), plans, at=now(), crowd=crowd)
        assert outlook.choices

    try:
        return await each_timed(CHOICES, choose)
    finally:
        await database.close()


async def come_in(http: aiohttp.ClientSession, person: str) -> None:
    async with http.get("me", headers=saying(person)) as answer:
        answer.raise_for_status()


colours = itertools.count()


async def submit(http: aiohttp.ClientSession, person: str) -> str:
    body = {"workflow": {**workflow_of(next(colours)), **TEXTS}}
    async with http.post("generations", json=body, headers=saying(person)) as answer:
        answer.raise_for_status()
        generation_id: str = (await answer.json())["id"]
    return generation_id


def saying(person: str) -> dict[str, str]:
    return {"X-Forwarded-User": person}


def named(waiting: int) -> str:
    return f"{waiting:_} people waiting".replace("_", " ")
