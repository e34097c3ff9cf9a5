"""
SAQ's queue on PostgreSQL.

It is polled and never listened to: in SAQ 0.26 a worker that listens may not stop when it is told to. Nor is its
`group_key` used, which lets several jobs of a group run and holds up all that have none.
"""

from __future__ import annotations

from psycopg import Error
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import ProgrammingError
from psycopg_pool import AsyncConnectionPool
from saq.queue.postgres import PostgresQueue

from sidecar.errors import SettingsUnusable
from sidecar.queues.served import ServedQueue

CONNECTIONS = (1, 6)  # of one queue in one process: few, for a server has a hundred for everybody
CONNECT_WITHIN_S = 10.0
POLLED_EVERY_S = 0.25
# As the database's own connections have it (`database.SESSION`): whoever takes jobs back from the dead holds a lock of
# the session, which must not stay for hours when that machine is gone.
NOTICE_WHO_IS_GONE = "-c tcp_keepalives_idle=15 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
TABLES_LOCK = 0x73617100  # "saq": advisory locks have numbers, and other programs may use some too


class OurPostgresQueue(ServedQueue, PostgresQueue):
    """Jobs in tables of SAQ's own. One an event loop."""

    trouble = (Error, OSError)  # the pool's errors are psycopg's, too
    polled_every_s = POLLED_EVERY_S

    async def connect(self) -> None:
        """
        Open the connections; make the tables if they are not there.

        Raises:
            QueueUnavailable: The server does not answer.
        """
        with self._translated():
            await self.pool.open()
            # Of several processes that start together one makes the tables, and SAQ would let the others go on without.
            async with self.pool.connection() as alone, alone.transaction():
                await alone.execute("SELECT pg_advisory_xact_lock(%s)", (TABLES_LOCK,))
                await super().connect()

    async def disconnect(self) -> None:
        await super().disconnect()
        await self.pool.close()


def postgres_queue(url: str, name: str) -> OurPostgresQueue:
    """
    Raises:
        SettingsUnusable: The URL is none that PostgreSQL's driver understands.
    """
    plain = "postgresql" + url[url.index(":") :]  # as SQLAlchemy has it, with a driver's name, it means the same here
    try:
        wanted = conninfo_to_dict(plain).get("options") or ""
    except ProgrammingError as exc:
        raise SettingsUnusable(
            "GENONAUT_QUEUE_URL cannot be used. Write it as postgresql://USER:PASSWORD@HOST/DATABASE."
        ) from exc
    fewest, most = CONNECTIONS
    pool = AsyncConnectionPool(
        plain,
        kwargs={"options": f"{NOTICE_WHO_IS_GONE} {wanted}"},
        min_size=fewest,
        max_size=most,
        timeout=CONNECT_WITHIN_S,
        check=AsyncConnectionPool.check_connection,
        open=False,
    )
    return OurPostgresQueue(pool, name=name, min_size=fewest, max_size=most)
