"""
Many people submit at the same moment: how long they wait for the answer, and whether everybody gets their turn.

Meanwhile the ComfyUI is at work on one prompt, as a real one would be; then it takes no time for any, so that what is
measured is ours.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp

from benchmarks.busy_comfyui import BusyComfyUI
from benchmarks.figures import Budget, Row, Scale, percentile, timed
from benchmarks.history_filling import WORKFLOW
from benchmarks.running_sidecar import running_bare_server, running_sidecar
from comfy_nodes.locations import SetupFailed

PEOPLE = Scale(full=(10, 100, 1000), quick=(10, 100))
WITHIN_S = 240.0
LOOK_EVERY_S = 0.1
NO_LATER_THAN_MS = 500.0


def rows(folder: Path, *, quick: bool) -> list[Row]:
    return asyncio.run(measure(folder, PEOPLE.of(quick=quick)))


async def measure(folder: Path, crowds: tuple[int, ...]) -> list[Row]:
    comfyui = BusyComfyUI()
    found: list[Row] = []
    async with comfyui.at_work():
        with running_sidecar(folder, comfyui_url=comfyui.url) as sidecar:
            for people in crowds:
                found += await one_crowd(
                    f"{sidecar.url}/api/v1/generations", folder / "genonaut.sqlite3", people, comfyui
                )
    return [*found, *await at_a_bare_server(folder, crowds)]


async def at_a_bare_server(folder: Path, crowds: tuple[int, ...]) -> list[Row]:
    """What the libraries, this machine and this benchmark's own client take of it: no work of ours is quicker."""
    found: list[Row] = []
    with running_bare_server(folder) as server:
        for people in crowds:
            with timed() as until_answered:
                seconds, _ = await submit_at_once(f"{server.url}/api/v1/generations", people)
            name = f"{named(people)}, at a server that only writes a row"
            found += [
                Row(f"{name}, p95", percentile(seconds, 95) * 1000, "ms"),
                Row(f"{name}, submitted", people / until_answered.seconds, "a second"),
            ]
    return found


async def one_crowd(url: str, database: Path, people: int, comfyui: BusyComfyUI) -> list[Row]:
    comfyui.received.clear()
    with comfyui.busy_with_one(), timed() as until_answered:
        seconds, submitted = await submit_at_once(url, people)
    with timed() as until_run:
        await until(partial(all_ended, database, submitted))
    name = named(people)
    return [
        *(
            Row(f"{name}, answered, p{percent}", percentile(seconds, percent) * 1000, "ms", budget=budget)
            for percent, budget in ((50, None), (95, Budget(NO_LATER_THAN_MS)), (99, None))
        ),
        Row(f"{name}, submitted", people / until_answered.seconds, "a second"),
        Row(f"{name}, run and recorded", people / until_run.seconds, "a second"),
        Row(f"{name}, lost", people - len(set(comfyui.received) & set(submitted)), "prompts", budget=Budget(0)),
        Row(f"{name}, out of turn", out_of_turn(database, comfyui.received), "prompts", budget=Budget(0)),
    ]


def named(people: int) -> str:
    return f"{people:_} people at once".replace("_", " ")


async def submit_at_once(url: str, people: int) -> tuple[list[float], list[str]]:
    """Each person on a connection of their own; seconds until each answer, and the ids."""
    seconds: list[float] = []
    submitted: list[str] = []

    async def submit(person: int) -> None:
        with timed() as watch:
            async with http.post(url, json={"workflow": workflow_of(person)}) as answer:
                answer.raise_for_status()
                content = await answer.json()
        seconds.append(watch.seconds)
        submitted.append(content["id"])

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        await asyncio.gather(*(submit(person) for person in range(people)))
    return seconds, submitted


def workflow_of(person: int) -> dict[str, Any]:
    node = WORKFLOW["1"]
    return {**WORKFLOW, "1": {**node, "inputs": {**node["inputs"], "color": person}}}


def all_ended(database: Path, submitted: list[str]) -> bool:
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT id FROM generations WHERE state = 'completed'")
        completed = {str(UUID(bytes=row[0])) for row in rows}
    return completed.issuperset(submitted)


def out_of_turn(database: Path, received: list[str]) -> int:
    """How many prompts reached ComfyUI later than one that was admitted after them. First come, first served."""
    with closing(sqlite3.connect(database)) as connection:
        number_of = {
            str(UUID(bytes=row[0])): row[1] for row in connection.execute("SELECT id, number FROM generations")
        }
    numbers = [number_of[prompt_id] for prompt_id in received]
    return sum(number < max(numbers[:place]) for place, number in enumerate(numbers) if place)


async def until(question: Callable[[], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + WITHIN_S
    while not question():
        if asyncio.get_running_loop().time() > deadline:
            raise SetupFailed(f"What was submitted has not ended within {WITHIN_S:.0f} s.")
        await asyncio.sleep(LOOK_EVERY_S)
