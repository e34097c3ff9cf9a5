"""What is PostgreSQL's own about a queue that lies there."""

from __future__ import annotations

from sidecar.queues.choose import choose_queue
from sidecar.queues.postgresql import OurPostgresQueue


async def test_a_machine_that_is_gone_keeps_the_lock_of_the_sweep_for_half_a_minute_at_most(postgresql_queue_url: str):
    """Else nobody would take over what its workers had, for two hours. What the URL asks for holds, too."""
    queue = choose_queue(f"{postgresql_queue_url}?options=-c%20work_mem%3D5MB", "test")
    assert isinstance(queue, OurPostgresQueue)
    await queue.connect()
    async with queue.pool.connection() as connection:
        names = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "work_mem")
        found = [(await (await connection.execute(f"SHOW {name}")).fetchone() or [None])[0] for name in names]
    await queue.disconnect()

    assert found == ["15", "5", "3", "5MB"]
