"""
Whom limits and turns are about: a user, or in `open` access whoever asks from another address than this machine's.

An address is not kept. What stands in its place is a hash with the salt of the day; salts are deleted when no window
needs them any more, and after that nobody can find out which address a hash was. So an address has another id every
day, and what it used yesterday stands under yesterday's.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Date, LargeBinary, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from sidecar.clients import read_address
from sidecar.database import Base, Database
from sidecar.identity import now, with_version
from sidecar.settings import Access

SALT_BYTES = 32
ID_BYTES = 16
OWN_FORMAT = 8  # RFC 9562, section 5.8: a UUID made in a way of one's own
IPV6_NETWORK = 64  # what one line has; who has it may take another address in it for every request
ONE_DAY = timedelta(days=1)
NOBODY = UUID(int=0)


class AddressSalt(Base):
    """What the addresses of one day are hashed with."""

    __tablename__ = "address_salts"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    salt: Mapped[bytes] = mapped_column(LargeBinary(SALT_BYTES))


@dataclass(frozen=True)
class Person:
    """Somebody, by all ids under which something was counted for them in the last day."""

    id: UUID
    yesterday: UUID | None = None
    """What an address was called yesterday."""

    @property
    def ids(self) -> tuple[UUID, ...]:
        return (self.id,) if self.yesterday is None else (self.id, self.yesterday)


class Persons:
    """Tells who it is that asks. One a process."""

    def __init__(self, access: Access) -> None:
        self._is_open = access is Access.OPEN

    def elsewhere(self, address: str) -> str | None:
        """The address, if it makes somebody else of whoever asks from there; as where nobody logs in."""
        return address if self._is_open and not is_here(address) else None

    async def asking(self, session: AsyncSession, owner_id: UUID, address: str | None) -> Person:
        """
        Args:
            address: From where; None: that does not matter.
        """
        apart = None if address is None else self.elsewhere(address)
        return Person(owner_id) if apart is None else await person_seen(session, apart, now())


class Salts:
    """The salts that are still needed. One a transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session
        self._known: dict[date, bytes] | None = None

    async def person_at(self, address: str, at: datetime) -> Person:
        """Who asks from this address. In a writing transaction: the first of a day makes the day's salt."""
        today = at.date()
        if self._known is None:
            rows = await self._session.scalars(select(AddressSalt).where(AddressSalt.day >= today - ONE_DAY))
            self._known = {row.day: row.salt for row in rows}
        if today not in self._known:
            self._known[today] = secrets.token_bytes(SALT_BYTES)
            self._session.add(AddressSalt(day=today, salt=self._known[today]))
        yesterdays = self._known.get(today - ONE_DAY)
        return Person(hashed(address, self._known[today]), None if yesterdays is None else hashed(address, yesterdays))


async def person_seen(session: AsyncSession, address: str, at: datetime) -> Person:
    """Who asks from this address, for whoever only looks: as long as a day has no salt, nothing is counted on it."""
    today = at.date()
    rows = await session.scalars(select(AddressSalt).where(AddressSalt.day >= today - ONE_DAY))
    known = {row.day: hashed(address, row.salt) for row in rows}
    return Person(known.get(today, NOBODY), known.get(today - ONE_DAY))


class OldSalts:
    """Forgets salts when nobody needs them. One a process."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def forget_old(self, _context: Any) -> None:
        """A job on a clock."""
        async with self._database.writing() as session:
            await session.execute(delete(AddressSalt).where(AddressSalt.day < now().date() - ONE_DAY))


def hashed(address: str, salt: bytes) -> UUID:
    """What an address is called on the day of this salt: all of an IPv6 network the same."""
    found = read_address(address)
    if isinstance(found, ipaddress.IPv6Address):
        found = ipaddress.ip_network((found, IPV6_NETWORK), strict=False).network_address
    content = b"" if found is None else found.packed
    digest = hashlib.blake2b(content, key=salt, digest_size=ID_BYTES).digest()
    return with_version(UUID(bytes=digest, version=4), OWN_FORMAT)  # Python 3.10 knows none above 5


def is_here(address: str) -> bool:
    """Is it this machine's own, or none that anybody could be known by?"""
    found = read_address(address)
    return found is None or found.is_loopback
