"""
Processes that share a PostgreSQL: LISTEN and NOTIFY, and a lock that the server frees when a process dies.

Both need a session that stays, so each has a connection of its own, outside of the pool. Behind a pooler that hands
sessions around (PgBouncer in transaction mode) neither works.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.cluster.bus import GAP, Bus
from sidecar.cluster.leadership import Leadership, Work
from sidecar.counters import TERMS, value_of
from sidecar.database import Database
from sidecar.errors import DatabaseUnavailable, LeadershipLost
from sidecar.tasks import until_one_ends

CHANNEL = "genonaut"
NOTIFY_EACH = "SELECT pg_notify($1, news) FROM unnest($2::text[]) AS news"
LEADERS_LOCK = 0x67656E70  # "genp": the next number after the writers' lock
NEWS_KEPT_AT_MOST = 2000  # whoever cannot be told for longer reads everything anew
NEWS_AT_ONCE = 100
ASK_EVERY_S = 1.0
LOOK_EVERY_S = 3.0  # is the session still there?
ANSWER_WITHIN_S = 5.0

LOST = (DatabaseUnavailable, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, asyncio.TimeoutError)
"""What it looks like when a session has come to its end."""

log = structlog.get_logger(__name__)


class PostgresBus(Bus):
    """One a process."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database
        self._outbox: asyncio.Queue[str] = asyncio.Queue(NEWS_KEPT_AT_MOST)
        self._inbox: asyncio.Queue[str] = asyncio.Queue(NEWS_KEPT_AT_MOST)
        self._own_session = 0

    def tell(self, topic: str, news: Any = None) -> None:
        if self._outbox.full():  # nobody can be told at the moment; when that is over everybody reads anew
            self._outbox.get_nowait()
        self._outbox.put_nowait(encode(topic, news))

    async def run(self) -> None:
        while True:
            try:
                async with self._database.session_of_its_own() as session:
                    await self._begin(session)
                    await until_one_ends(self._hear_all(), self._tell_all(session))
            except LOST as exc:
                log.warning("news_interrupted", reason=f"{type(exc).__name__}: {exc}")
            except Exception:
                log.exception("news_failed")  # such as news that are none: anybody may notify on this channel
            await asyncio.sleep(ASK_EVERY_S)

    async def _begin(self, session: Any) -> None:
        """Listen, and let everybody read anew: we did not hear the others, and they did not hear us."""
        self._own_session = session.get_server_pid()
        await session.add_listener(CHANNEL, self._heard)
        empty(self._outbox)
        self.tell(GAP)
        self._miss()

    def _heard(self, _session: Any, told_by: int, _channel: str, news: object) -> None:
        if told_by == self._own_session:
            return
        if self._inbox.full():  # whoever cannot keep up reads everything anew, once
            log.warning("news_overflowed")
            empty(self._inbox)
            self._inbox.put_nowait(encode(GAP))
        self._inbox.put_nowait(str(news))

    async def _hear_all(self) -> None:
        while True:
            topic, news = msgspec.json.decode(await self._inbox.get())
            if topic == GAP:
                self._miss()
            elif topic in self._hearers:
                try:
                    await self._hearers[topic](news)
                except Exception:
                    # A fault of ours or of the database; whoever listens reads anew at the next chance.
                    log.exception("news_not_heard", topic=topic)
                    self._miss()

    async def _tell_all(self, session: Any) -> None:
        while True:
            try:
                news = [await asyncio.wait_for(self._outbox.get(), LOOK_EVERY_S)]
            except asyncio.TimeoutError:
                await answer(session, "SELECT 1")
                continue
            while not self._outbox.empty() and len(news) < NEWS_AT_ONCE:
                news.append(self._outbox.get_nowait())
            await in_time(session.execute(NOTIFY_EACH, CHANNEL, news))


def encode(topic: str, news: Any = None) -> str:
    return msgspec.json.encode([topic, news]).decode()


def empty(queue: asyncio.Queue[str]) -> None:
    while not queue.empty():
        queue.get_nowait()


class ElectedLeadership(Leadership):
    """
    Whoever holds the lock leads. The server frees it at the latest when the leader's session ends.

    Of that the leader may hear some seconds later than the one that leads next. So each term has a number, and whoever
    writes as the leader of an earlier one is refused and stops at once.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._refused = asyncio.Event()

    async def lead(self, work: Work) -> None:
        while True:
            try:
                async with self._database.session_of_its_own() as session:
                    await until_elected(session)
                    await self._begin()
                    log.info("leadership_begins", term=self.term)
                    await until_one_ends(work(), stay(session), self._until_refused())
            except (*LOST, LeadershipLost) as exc:
                log.warning("leadership_lost", reason=f"{type(exc).__name__}: {exc}")
            except Exception:
                log.exception("driving_failed")  # whoever leads next tries it again; perhaps that is this process
            finally:
                self.term = None
            await asyncio.sleep(ASK_EVERY_S)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        async with self._database.writing() as session:
            await self.require(session)
            yield session

    async def require(self, session: AsyncSession) -> None:
        if await value_of(session, TERMS) != self.term:
            self._refused.set()
            raise LeadershipLost

    async def _begin(self) -> None:
        await super()._begin()
        self._refused.clear()

    async def _until_refused(self) -> None:
        await self._refused.wait()
        raise LeadershipLost


async def until_elected(session: Any) -> None:
    while True:
        if await answer(session, "SELECT pg_try_advisory_lock($1)", LEADERS_LOCK):
            return
        await asyncio.sleep(ASK_EVERY_S)


async def stay(session: Any) -> None:
    """Ends, with an error, when the session does."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        await answer(session, "SELECT 1")


async def answer(session: Any, statement: str, *values: Any) -> Any:
    return await in_time(session.fetchval(statement, *values))


async def in_time(asking: Coroutine[Any, Any, Any]) -> Any:
    """
    Raises:
        asyncio.TimeoutError: A server that is silent for so long is none.
    """
    return await asyncio.wait_for(asking, ANSWER_WITHIN_S)
