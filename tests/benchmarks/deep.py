"""A sidecar with a long history behind it and no ComfyUI: what is asked of it by people."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp

from benchmarks.figures import Budget, Row, Scale, each_timed, spread, timed
from benchmarks.history_filling import (
    BETWEEN_TWO,
    CHECKPOINTS,
    LORA,
    RARE_CHECKPOINT,
    RARE_LORA,
    RARE_TAG,
    RARE_WORD,
    TAG,
    WORKFLOW,
    add_waiting,
    fill_history,
    give_thumbnails,
)
from benchmarks.running_sidecar import Sidecar, running_sidecar
from install import step
from sidecar.cursors import encode_cursor
from sidecar.generations.finding import Position
from sidecar.settings import read_settings

GENERATIONS = Scale(full=1_000_000, quick=100_000)
WAITING = 10_000
CLIENTS = 16
BACK_TO_BACK_EACH = 25
UNHURRIED_EACH, PAUSE_S = 8, 0.5
PAGES = 60
PAGES_FOR_S = 4.0
STATISTICS = 20
QUERY_P95_MS = 100.0
LOOKS = 200
THUMBNAILS = 3000
THUMBNAIL_BYTES = 12_000

RARE: dict[str, dict[str, str]] = {
    "a rare checkpoint": {"checkpoint": RARE_CHECKPOINT},
    "a rare LoRA": {"lora": RARE_LORA},
    "a rare tag": {"tag": RARE_TAG},
    "a rare word": {"q": RARE_WORD},
    "a rare checkpoint, LoRA, tag and word": {
        "checkpoint": RARE_CHECKPOINT,
        "lora": RARE_LORA,
        "tag": RARE_TAG,
        "q": RARE_WORD,
    },
    "favourites": {"favourite": "true"},
    "the trash": {"trashed": "true"},
}

MET: dict[str, dict[str, str]] = {
    "how a word begins": {"q": "light"},
    "how a rare word begins": {"q": "zepp"},
    "two words that rarely meet": {"q": f"lighthouse {RARE_WORD}"},
    "words in a row": {"q": '"long exposure"'},
    "words never in this row": {"q": '"exposure long"'},
    "a word nobody wrote": {"q": "xylophone"},
    "a LoRA": {"lora": LORA},
    "a tag": {"tag": TAG},
    "a LoRA and a tag that never meet": {"lora": LORA, "tag": TAG},
    "a LoRA and a word": {"lora": LORA, "q": "lighthouse"},
    "a word in a checkpoint": {"q": "lighthouse", "checkpoint": CHECKPOINTS[0]},
    "a word that failed": {"q": "lighthouse", "state": "failed"},
    "a word in the trash": {"q": "lighthouse", "trashed": "true"},
    "a rare word among favourites": {"q": RARE_WORD, "favourite": "true"},
    "a rare checkpoint that completed": {"checkpoint": RARE_CHECKPOINT, "state": "completed"},
    "a checkpoint that failed": {"checkpoint": CHECKPOINTS[0], "state": "failed"},
    "favourites that completed": {"favourite": "true", "state": "completed"},
}
"""Several things that shall hold at once."""

Action = Callable[[], Awaitable[Any]]


def rows(folder: Path, *, quick: bool) -> list[Row]:
    settings = read_settings({"GENONAUT_DATA": str(folder)})
    database = folder / "genonaut.sqlite3"
    with step("Recording a long history"):
        recorded = asyncio.run(fill_history(settings.database_url, database, GENERATIONS.of(quick=quick)))
        images = asyncio.run(give_thumbnails(database, folder / "images", bytes(THUMBNAIL_BYTES)))
    with running_sidecar(folder) as sidecar:
        return asyncio.run(measure(sidecar, database, recorded, images))


async def measure(sidecar: Sidecar, database: Path, recorded: int, images: list[UUID]) -> list[Row]:
    connector = aiohttp.TCPConnector(limit=CLIENTS)
    async with aiohttp.ClientSession(f"{sidecar.url}/api/v1/", connector=connector) as http:
        return [
            *await pages(http, recorded),
            *await statistics(http),
            await thumbnails(http, images),
            *await one_generation(http, database),
            *await submissions(http),
        ]


async def pages(http: aiohttp.ClientSession, recorded: int) -> list[Row]:
    oldest = datetime.now(timezone.utc) - recorded * BETWEEN_TWO
    kinds: dict[str, dict[str, str]] = {
        "the newest": {},
        "halfway down": {"cursor": cursor_at(oldest + recorded // 2 * BETWEEN_TWO)},
        "at the bottom": {"cursor": cursor_at(oldest + 200 * BETWEEN_TWO)},
        "a day of it": {"from": told(oldest + 1000 * BETWEEN_TWO), "to": told(oldest + 5000 * BETWEEN_TWO)},
        "what failed (one in 1 000)": {"state": "failed"},
        "a frequent word": {"q": "lighthouse"},
        **{f"{kind} (one in 5 000)": query for kind, query in RARE.items()},
        **MET,
    }
    found = []
    for kind, query in kinds.items():
        seconds = await each_timed(PAGES, getting(http, "generations", limit="50", **query), within_s=PAGES_FOR_S)
        found += spread(f"page of 50 of {recorded:_}, {kind}".replace("_", " "), seconds, p95_ms=10)
    return found


def told(at: datetime) -> str:
    return at.isoformat()


async def statistics(http: aiohttp.ClientSession) -> list[Row]:
    """What is summed over the ledger: the usage of whoever half of everything is, and how right the estimates were."""
    found = []
    for by in ("day", "checkpoint", "state"):
        seconds = await each_timed(STATISTICS, getting(http, "usage", by=by))
        found += spread(f"usage of 30 days by {by}", seconds, p95_ms=QUERY_P95_MS)
    accuracy = await each_timed(STATISTICS, getting(http, "admin/estimates"))
    return [*found, *spread("how right the estimates of 7 days were", accuracy, p95_ms=QUERY_P95_MS)]


async def thumbnails(http: aiohttp.ClientSession, images: list[UUID]) -> Row:
    asked = itertools.cycle(images)

    async def one() -> None:
        await getting(http, f"images/{next(asked)}/thumbnail/small")()

    with timed() as watch:
        await together(one, each=THUMBNAILS // CLIENTS)
    rate = THUMBNAILS // CLIENTS * CLIENTS / watch.seconds
    return Row(f"thumbnails, {CLIENTS} clients", rate, "a second", budget=Budget(1000, at_least=True))


async def one_generation(http: aiohttp.ClientSession, database: Path) -> list[Row]:
    (newest,) = (await getting(http, "generations", limit="1")())["items"]
    nobody_waits = await each_timed(LOOKS, getting(http, f"generations/{newest['id']}"))
    waiting = await asyncio.to_thread(add_waiting, database, WAITING)
    last_of_many = await each_timed(LOOKS, getting(http, f"generations/{waiting[-1]}"))
    return [
        *spread("state of one generation, none waiting", nobody_waits, p50_ms=3),
        *spread(f"state of the last of {WAITING:_} waiting".replace("_", " "), last_of_many, p50_ms=3),
    ]


async def submissions(http: aiohttp.ClientSession) -> list[Row]:
    seconds: list[float] = []
    colours = itertools.count()

    async def one() -> None:
        workflow = {**WORKFLOW, "1": {**WORKFLOW["1"], "inputs": {**WORKFLOW["1"]["inputs"], "color": next(colours)}}}
        with timed() as watch:
            async with http.post("generations", json={"workflow": workflow}) as answer:
                answer.raise_for_status()
                await answer.read()
        seconds.append(watch.seconds)

    async def one_and_a_pause() -> None:
        await one()
        await asyncio.sleep(PAUSE_S)

    await together(one_and_a_pause, each=UNHURRIED_EACH, apart_s=PAUSE_S / CLIENTS)
    unhurried = spread(f"submission, {CLIENTS} clients, 2 a second each", seconds, p50_ms=8, p95_ms=25)
    seconds.clear()
    with timed() as watch:
        await together(one, each=BACK_TO_BACK_EACH)
    return [
        *unhurried,
        *spread(f"submission, {CLIENTS} clients, without a pause", seconds, p50_ms=8, p95_ms=25),
        Row("submissions", len(seconds) / watch.seconds, "a second"),
    ]


async def together(action: Action, *, each: int, apart_s: float = 0.0) -> None:
    """Every client does it so many times, one after the other; they begin a little apart."""

    async def client(place: int) -> None:
        await asyncio.sleep(place * apart_s)
        for _ in range(each):
            await action()

    await asyncio.gather(*(client(place) for place in range(CLIENTS)))


def getting(http: aiohttp.ClientSession, path: str, **query: str) -> Callable[[], Awaitable[Any]]:
    async def get() -> Any:
        async with http.get(path, params=query) as answer:
            answer.raise_for_status()
            content = await answer.read()
        return await answer.json() if answer.content_type == "application/json" else content

    return get


def cursor_at(at: datetime) -> str:
    """The cursor of a page that ended there."""
    return encode_cursor(Position(at, UUID(int=0)))
