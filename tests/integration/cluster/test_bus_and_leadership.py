"""What processes that share a PostgreSQL tell one another, and which of them leads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from integration.conftest import END_OTHERS
from psycopg import AsyncConnection

from sidecar.cluster import postgresql
from sidecar.cluster.postgresql import LEADERS_LOCK, NEWS_KEPT_AT_MOST, ElectedLeadership, PostgresBus
from sidecar.database import Database
from sidecar.errors import LeadershipLost

END_LEADERS_SESSION = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s"


class Process:
    """As much of a process as hears and leads."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.bus = PostgresBus(self.database)
        self.leadership = ElectedLeadership(self.database)
        self.heard: list[Any] = []
        self.missed = 0
        self.leads = False
        self.bus.on("topic", self.hear)
        self.bus.on_gap(self.miss)

    async def hear(self, news: Any) -> None:
        self.heard.append(news)

    def miss(self) -> None:
        self.missed += 1

    async def work(self) -> None:
        self.leads = True
        try:
            await asyncio.sleep(3600)
        finally:
            self.leads = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Process]:
        doings = [asyncio.create_task(self.bus.run()), asyncio.create_task(self.leadership.lead(self.work))]
        try:
            yield self
        finally:
            for doing in doings:
                doing.cancel()
            await asyncio.gather(*doings, return_exceptions=True)
            await self.database.close()


async def until(condition: Callable[[], bool]) -> None:
    async def come_true() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(come_true(), 30)


@pytest.fixture
async def two(postgresql_database_url: str) -> AsyncIterator[tuple[Process, Process]]:
    """Two that listen; the first one leads."""
    async with Process(postgresql_database_url).running() as first:
        await until(lambda: first.leads and first.missed > 0)
        async with Process(postgresql_database_url).running() as second:
            await until(lambda: second.missed > 0 and first.missed > 1)  # each begins by having everybody read anew
            yield first, second


async def test_news_are_heard_by_the_others_and_not_by_who_told_them(two: tuple[Process, Process]):
    """In their order; who told them has heard them already."""
    first, second = two
    for number in range(300):
        first.bus.tell("topic", {"number": number})
    await until(lambda: len(second.heard) == 300)

    assert second.heard == [{"number": number} for number in range(300)]
    assert first.heard == []


async def test_after_an_interruption_everybody_reads_anew(two: tuple[Process, Process], postgresql_database_url: str):
    """What was told meanwhile is lost; that it was is not."""
    first, second = two
    missed = first.missed, second.missed
    await end_all_sessions(postgresql_database_url)
    await until(lambda: first.missed > missed[0] and second.missed > missed[1])
    first.bus.tell("topic", "after")

    await until(lambda: second.heard == ["after"])


async def test_who_cannot_keep_up_reads_anew_instead_of_keeping_all_news(
    two: tuple[Process, Process], monkeypatch: pytest.MonkeyPatch
):
    """News are hints: thousands of them in memory would say no more than a look at the database."""
    first, second = two
    free = asyncio.Event()
    hear = second.hear

    async def hear_slowly(news: Any) -> None:
        await free.wait()
        await hear(news)

    second.bus.on("topic", hear_slowly)
    missed = second.missed
    for number in range(NEWS_KEPT_AT_MOST + 500):
        first.bus.tell("topic", number)
        if number % 500 == 0:
            await asyncio.sleep(0.2)  # so that the first one's own outbox overflows nowhere
    first.bus.tell("topic", "last")
    await asyncio.sleep(1)
    free.set()
    await until(lambda: bool(second.heard) and second.heard[-1] == "last")

    assert second.missed == missed + 1
    assert len(second.heard) <= NEWS_KEPT_AT_MOST + 1


async def test_what_is_no_news_ends_nothing(two: tuple[Process, Process], postgresql_database_url: str):
    """Anybody may notify on our channel, a later version of ours too."""
    one, other = two
    missed = other.missed
    async with await AsyncConnection.connect(postgresql_database_url, autocommit=True) as connection:
        await connection.execute("SELECT pg_notify('genonaut', 'good morning')")
    await until(lambda: other.missed > missed)

    async def heard() -> None:
        while not other.heard:
            one.bus.tell("topic", 1)
            await asyncio.sleep(0.1)

    await asyncio.wait_for(heard(), 30)


async def test_one_leads_and_when_its_session_ends_another_one_does(
    two: tuple[Process, Process], postgresql_database_url: str
):
    """However it ended: the server frees the lock. It stops at once, and never do both go on for long."""
    first, second = two
    led_alone = first.leads and not second.leads
    await end_all_sessions(postgresql_database_url)
    await until(lambda: not first.leads)
    await until(lambda: first.leads != second.leads)

    assert led_alone


async def test_who_was_cut_off_and_does_not_know_it_is_refused_and_stops(
    postgresql_database_url: str, monkeypatch: pytest.MonkeyPatch
):
    """Only the session of its lock has ended, and somebody else leads: nothing that it would write counts any more."""
    monkeypatch.setattr(postgresql, "LOOK_EVERY_S", 3600.0)
    async with Process(postgresql_database_url).running() as first:
        await until(lambda: first.leads)
        async with Process(postgresql_database_url).running() as second:
            async with await AsyncConnection.connect(postgresql_database_url) as admin:
                await admin.execute(END_LEADERS_SESSION, (LEADERS_LOCK,))
            await until(lambda: second.leads)
            both_lead = first.leads
            with pytest.raises(LeadershipLost):
                async with first.leadership.writing():
                    raise AssertionError("It may write.")
            async with second.leadership.writing():
                pass
            await until(lambda: not first.leads)
            with pytest.raises(LeadershipLost):
                await first.leadership.overtake(2**60)

    assert both_lead


async def test_who_stops_in_good_order_leaves_the_lead_to_another_one(postgresql_database_url: str):
    """A restart of one process holds up nothing."""
    async with Process(postgresql_database_url).running() as second:
        async with Process(postgresql_database_url).running() as first:
            await until(lambda: first.leads or second.leads)
        await until(lambda: second.leads)


async def end_all_sessions(url: str) -> None:
    async with await AsyncConnection.connect(url) as admin:
        await admin.execute(END_OTHERS)
