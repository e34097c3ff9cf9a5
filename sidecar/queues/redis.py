"""SAQ's queue on Redis (or on Valkey, which speaks as Redis does)."""

from __future__ import annotations

from redis.asyncio import Redis
from redis.exceptions import RedisError
from saq.queue.redis import RedisQueue

from sidecar.errors import SettingsUnusable
from sidecar.queues.served import ServedQueue

LOOK_AFTER_CONNECTIONS_EVERY_S = 30


class OurRedisQueue(ServedQueue, RedisQueue):
    """Jobs on a Redis. One an event loop."""

    trouble = (RedisError, OSError)


def redis_queue(url: str, name: str) -> OurRedisQueue:
    """
    Raises:
        SettingsUnusable: The URL is none that Redis' driver understands.
    """
    try:
        # A worker waits for hours on a connection that nothing is sent through: without a look now and then it would
        # not notice that a firewall has forgotten it.
        redis: Redis = Redis.from_url(url, socket_keepalive=True, health_check_interval=LOOK_AFTER_CONNECTIONS_EVERY_S)
    except ValueError as exc:
        raise SettingsUnusable("GENONAUT_QUEUE_URL cannot be used. Write it as redis://:PASSWORD@HOST:6379/0.") from exc
    return OurRedisQueue(redis, name=name)
