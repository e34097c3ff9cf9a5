"""What is found by its words: the same on both databases, looked through and off the index."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from fakes.people import somebody
from integration.backends import both_databases
from sqlalchemy import func, select, text

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.database import Database
from sidecar.generations import finding
from sidecar.generations.filters import Filter
from sidecar.generations.finding import Position, find
from sidecar.generations.models import Generation, SearchEntry, Workflow
from sidecar.generations.search import LAST_MOMENT_NEARBY, find_anew, give_moments, make_findable, moments_nearby
from sidecar.generations.states import GenerationState
from sidecar.generations.trash import delete_generation
from sidecar.identity import now, uuid7

pytestmark = both_databases

SOMEBODY_ELSE = UUID("00000000-0000-7000-8000-000000000002")
BEGINNING = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.fixture(params=["looked through", "off the index"], autouse=True)
def stretch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found there and what is found here is the same, though never asked for in the same case."""
    if request.param == "off the index":
        monkeypatch.setattr(finding, "FIRST_STRETCH", 1)
    else:
        monkeypatch.setattr(finding, "gives_one_by_one", lambda sought, *, dialect: False)


@pytest.fixture
async def history(database: Database) -> Database:
    """A workflow that all have, and another person."""
    async with database.writing() as session:
        session.add(Workflow(hash=bytes(32), content=b""))
        session.add(somebody(SOMEBODY_ELSE))
    return database


async def write(database: Database, prompt: str = "", *, hours: int = 0, **facts: Any) -> UUID:
    """Somebody's generation, so many hours after the beginning; numbered in the order in which they are written."""
    nothing_said: dict[str, Any] = {"title": "", "negative_prompt": "", "checkpoint": "", "tags": [], "loras": []}
    async with database.writing() as session:
        at = BEGINNING + timedelta(hours=hours)
        generation = Generation(
            id=uuid7(),
            number=(await session.scalar(select(func.max(Generation.number))) or 0) + 1,
            source="api",
            prompt=prompt,
            workflow_hash=bytes(32),
            created_at=at,
            updated_at=at,
            **{"owner_id": LOCAL_OWNER_ID, "state": "completed", **nothing_said, **facts},
        )
        give_moments([generation], await session.scalar(select(LAST_MOMENT_NEARBY), moments_nearby([generation])))
        session.add(generation)
        await session.flush()
        await make_findable(session, [generation])
    return generation.id


async def numbers(database: Database, *, owner_id: UUID = LOCAL_OWNER_ID, limit: int = 50, **wanted: Any) -> list[int]:
    async with database.reading() as session:
        found = await find(session, owner_id, Filter(**wanted), None, limit)
        rows = [await session.get_one(Generation, generation_id) for generation_id in found]
    return [row.number for row in rows]


TEXTS = [
    "a red fox on (snow:1.2), <lora:thick_ink:0.8>",
    "A foxglove, red and blue",
    "fox, not so red. 100% fog",
    "Ein Café in München",
    "東京都の夜景、狐",
    "狐狸 fox",
]
RULES: dict[str, list[int]] = {
    "fox": [6, 3, 2, 1],
    "FOX": [6, 3, 2, 1],
    '"fox"': [6, 3, 1],
    "fo": [6, 3, 2, 1],
    "ox": [],
    "fox red": [3, 2, 1],
    "red fox": [3, 2, 1],
    '"red fox"': [1],
    '"fox red"': [],
    '"red fo': [1],
    '"red fox" snow': [1],
    "snow:1.2": [1],
    "(snow:1.2)": [1],
    "<lora:thick_ink:0.8>": [1],
    "thick_ink": [1],
    "ink": [1],
    "cafe munch": [4],
    "CAFÉ": [4],
    "東京": [5],
    "京都の夜": [5],
    "東都": [],
    "狐": [6, 5],
    "夜景 狐": [5],
    "100%": [3],
    "zebra": [],
    "fox zebra": [],
    "*": [6, 5, 4, 3, 2, 1],
    "\" ' ) ( : ^ - % \\ \x00 AND": [2],
}


async def test_words_are_found_as_they_are_typed(history: Database):
    """Beginnings of words that all stand there; in quotes whole ones in a row; newest first."""
    for hours, prompt in enumerate(TEXTS):
        await write(history, prompt, hours=hours)

    for typed, expected in RULES.items():
        assert await numbers(history, text=typed) == expected, typed


async def test_title_and_both_prompts_are_looked_through(history: Database):
    """Each word in whichever of them; what follows each other does so in one of them."""
    await write(history, "sea", title="Blue hour", negative_prompt="fog")

    assert await numbers(history, text="sea hour fog") == [1]
    assert await numbers(history, text='"hour sea"') == []


async def test_nobody_finds_what_is_somebody_elses(history: Database):
    """Neither by its words nor by its facts."""
    facts: dict[str, Any] = {"tags": ["sea"], "loras": [{"name": "ink.safetensors"}]}
    await write(history, "fox", owner_id=SOMEBODY_ELSE, **facts)
    await write(history, "fox", hours=1, **facts)

    sought: list[dict[str, Any]] = [{"text": "fox"}, {"tag": "sea"}, {"lora": "ink.safetensors"}]
    for wanted in sought:
        assert await numbers(history, **wanted) == [2], wanted
        assert await numbers(history, owner_id=SOMEBODY_ELSE, **wanted) == [1], wanted


@pytest.fixture
async def varied(history: Database) -> Database:
    """Twelve of every kind: every second red, every third in the trash, ..."""
    for number in range(1, 13):
        await write(
            history,
            "red fox" if number % 2 == 0 else "blue fox",
            hours=number,
            state="failed" if number % 4 == 0 else "completed",
            checkpoint="rare" if number % 5 == 0 else "usual",
            tags=["sea"] if number <= 6 else [],
            loras=[{"name": "ink"}] if number > 4 else [],
            favourite=number > 8,
            trashed_at=now() if number % 3 == 0 else None,
        )
    return history


COMBINED: list[tuple[dict[str, Any], list[int]]] = [
    ({"text": "red"}, [10, 8, 4, 2]),
    ({"text": "red", "trashed": True}, [12, 6]),
    ({"tag": "sea"}, [5, 4, 2, 1]),
    ({"tag": "Sea"}, []),
    ({"lora": "ink"}, [11, 10, 8, 7, 5]),
    ({"lora": "ink", "tag": "sea"}, [5]),
    ({"lora": "ink", "text": "red", "favourite": True}, [10]),
    ({"lora": "ink", "favourite": False}, [8, 7, 5]),
    ({"text": "fox", "states": (GenerationState.FAILED,)}, [8, 4]),
    ({"text": "fox", "checkpoint": "rare"}, [10, 5]),
    ({"states": (GenerationState.FAILED,), "checkpoint": "usual"}, [8, 4]),
    ({"states": (GenerationState.COMPLETED,), "checkpoint": "usual", "favourite": True}, [11]),
    ({"states": (GenerationState.COMPLETED,), "favourite": True, "trashed": True}, [9]),
    ({"text": "fox", "since": BEGINNING + timedelta(hours=4), "until": BEGINNING + timedelta(hours=8)}, [7, 5, 4]),
    ({"text": "red", "limit": 2}, [10, 8]),
]


async def test_everything_that_is_wanted_holds(varied: Database):
    """In whichever combination, newest first."""
    for wanted, expected in COMBINED:
        assert await numbers(varied, **wanted) == expected, wanted


async def test_pages_of_what_was_found_neither_overlap_nor_leave_gaps(varied: Database):
    """Also where generations were asked for in the same moment."""
    for _ in range(3):
        await write(varied, "fox", hours=5)
    wanted = Filter(text="fox")
    async with varied.reading() as session:
        whole = await find(session, LOCAL_OWNER_ID, wanted, None, 50)
        paged: list[UUID] = []
        after: Position | None = None
        while page := await find(session, LOCAL_OWNER_ID, wanted, after, 2):
            paged += page
            last = await session.get_one(Generation, page[-1])
            after = Position(last.created_at, last.id)

    assert len(whole) == 11
    assert paged == list(whole)


async def test_what_is_changed_is_found_by_what_it_is_now(history: Database):
    """And no longer by what it was."""
    generation_id = await write(history, "fox", title="Before", tags=["old"])
    async with history.writing() as session:
        generation = await session.get_one(Generation, generation_id)
        generation.title, generation.tags = "After", ["new"]
        await find_anew(session, generation)

    sought: list[tuple[dict[str, Any], list[int]]] = [
        ({"text": "before"}, []),
        ({"text": "after fox"}, [1]),
        ({"tag": "old"}, []),
        ({"tag": "new"}, [1]),
    ]
    for wanted, expected in sought:
        assert await numbers(history, **wanted) == expected, wanted


async def test_what_is_purged_leaves_nothing_in_the_index(history: Database):
    """What FTS5 keeps is checked by itself against the entries that there are."""
    stays = await write(history, "fox")
    gone = await write(history, "fox zebra", hours=1)
    async with history.writing() as session:
        kept = await session.get_one(Generation, stays)
        kept.title = "Sunset"
        await find_anew(session, kept)
        await delete_generation(session, gone)

    assert await numbers(history, text="fox") == [1]
    async with history.writing() as session:
        assert await session.scalar(select(func.count()).select_from(SearchEntry)) == 1
        if not history.is_shared:
            await session.execute(text("INSERT INTO search_index(search_index, rank) VALUES ('integrity-check', 1)"))
