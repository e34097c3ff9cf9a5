"""
A request with an `Idempotency-Key` has its effect once, however often it is sent.

What was asked for is remembered in the transaction that does it, so there is no moment in which one is true and the
other is not. See draft-ietf-httpapi-idempotency-key-header: same key, other request: 422.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.database import Database
from sidecar.errors import IdempotencyKeyReused
from sidecar.generations.models import IdempotencyKey
from sidecar.identity import now

REMEMBERED_FOR = timedelta(hours=24)
FINGERPRINT_BYTES = 32


@dataclass(frozen=True)
class Once:
    """What the client calls its request, and what the request is."""

    key: str
    fingerprint: bytes


def once(key: str | None, *request: Any) -> Once | None:
    """
    Args:
        request: Everything that makes it another request, whatever else is the same.
    """
    if key is None:
        return None
    content = msgspec.json.encode(request, order="deterministic")
    return Once(key, hashlib.blake2b(content, digest_size=FINGERPRINT_BYTES).digest())


async def recall(session: AsyncSession, owner_id: UUID, wanted: Once) -> UUID | None:
    """
    The generation that this request made earlier; None if it is the first of its kind.

    Raises:
        IdempotencyKeyReused: The key belongs to another request.
    """
    known = await session.get(IdempotencyKey, (owner_id, wanted.key))
    if known is None or known.created_at <= now() - REMEMBERED_FOR:
        return None
    require_same(Once(known.key, known.fingerprint), wanted)
    return known.generation_id


def require_same(earlier: Once, wanted: Once) -> None:
    """
    Raises:
        IdempotencyKeyReused: The key belongs to another request.
    """
    if earlier.fingerprint != wanted.fingerprint:
        raise IdempotencyKeyReused


async def remember(session: AsyncSession, owner_id: UUID, wanted: Once, generation_id: UUID) -> None:
    """Write down, in the caller's transaction, what this request made; an old one of the same key is forgotten."""
    await session.merge(
        IdempotencyKey(
            owner_id=owner_id,
            key=wanted.key,
            fingerprint=wanted.fingerprint,
            generation_id=generation_id,
            created_at=now(),
        )
    )


class RememberedKeys:
    """Forgets keys when their time is over. One a process."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def forget_old(self, _context: Any) -> None:
        """A job on a clock."""
        old = IdempotencyKey.created_at <= now() - REMEMBERED_FOR
        async with self._database.writing() as session:
            await session.execute(delete(IdempotencyKey).where(old))
