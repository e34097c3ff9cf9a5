"""
Whoever fails to log in waits before the next try, ever longer: for each account, and for each address.

Anybody can fail on somebody's account, from as many addresses as they have. That must not keep its owner out, so where
its owner has logged in before, tries are counted for the account at that address, and not with all others.

Counted in the database, so that several processes agree. A try is counted before its password is looked at and taken
back when it fits: a hundred tries in the same moment are a hundred tries. One that is refused is not counted, so nobody
is ever locked out for good: who waits as long as the answer says has a try.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.accounts.models import KnownAddress, LogInFailures
from sidecar.accounts.names import comparable
from sidecar.database import Database
from sidecar.errors import TooManyAttempts
from sidecar.identity import now

FORGOTTEN_AFTER = timedelta(hours=1)
KNOWN_FOR = timedelta(days=30)
IPV6 = 6
IPV6_NEIGHBOURS = 64  # whoever has one such address has them all
LONGEST_EXPONENT = 20


@dataclass(frozen=True)
class Patience:
    """How many failures cost nothing, and how long the wait may become that doubles with each one after them."""

    free: int
    at_most_s: float

    def wait_s(self, failures: int) -> float:
        over = failures - self.free
        return min(2.0 ** min(over, LONGEST_EXPONENT), self.at_most_s) if over >= 0 else 0.0


FOR_AN_ACCOUNT = Patience(free=5, at_most_s=60)  # short, since anybody can make its owner wait
FOR_AN_ADDRESS = Patience(free=20, at_most_s=300)  # more, since a whole office may have one


class Throttle:
    """One a process."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take_a_try(self, name: str, address: str) -> None:
        """
        Count a try to log in; `give_back` where it was a good one.

        Raises:
            TooManyAttempts: With how long to wait.
        """
        async with self._database.writing() as session:
            at = now()
            counts = (
                (await count_of(session, name, address, at), FOR_AN_ACCOUNT),
                (of_address(address), FOR_AN_ADDRESS),
            )
            known = [(await failures_of(session, key, at), patience) for key, patience in counts]
            wait_s = max(left_s(failures, patience, at) for failures, patience in known)
            if wait_s > 0:
                raise TooManyAttempts(retry_after_s=math.ceil(wait_s))
            for failures, _patience in known:
                failures.count += 1
                failures.last_at = at

    async def give_back(self, name: str, address: str) -> None:
        """The last try was a good one: the account begins anew, the address has one failure fewer and is known."""
        async with self._database.writing() as session:
            at = now()
            counted = await count_of(session, name, address, at)
            await session.execute(delete(LogInFailures).where(LogInFailures.key == counted))
            failures = await failures_of(session, of_address(address), at)
            failures.count = max(failures.count - 1, 0)
            await know(session, name, address)

    async def forget_old(self, _context: Any) -> None:
        """A job on a clock."""
        at = now()
        async with self._database.writing() as session:
            await session.execute(delete(LogInFailures).where(LogInFailures.last_at <= at - FORGOTTEN_AFTER))
            await session.execute(delete(KnownAddress).where(KnownAddress.last_at <= at - KNOWN_FOR))


async def know(session: AsyncSession, name: str, address: str) -> None:
    """Remember that the owner of this account is at this address, in the caller's transaction."""
    await session.merge(KnownAddress(key=of_account_at(name, address), last_at=now()))


async def count_of(session: AsyncSession, name: str, address: str, at: datetime) -> bytes:
    """Where failures for this account are counted that come from this address."""
    here = of_account_at(name, address)
    known = await session.get(KnownAddress, here)
    return here if known is not None and known.last_at > at - KNOWN_FOR else of_account(name)


def of_account(name: str) -> bytes:
    return key("account", comparable(name))


def of_account_at(name: str, address: str) -> bytes:
    return key("account at", f"{neighbourhood(address)} {comparable(name)}")


def of_address(address: str) -> bytes:
    return key("address", neighbourhood(address))


def key(kind: str, text: str) -> bytes:
    return hashlib.sha256(f"{kind} {text}".encode("utf-8", "surrogatepass")).digest()


def neighbourhood(address: str) -> str:
    """The address itself, or the network of an IPv6 one."""
    try:
        is_long = ipaddress.ip_address(address).version == IPV6
    except ValueError:
        return address
    return str(ipaddress.ip_network((address, IPV6_NEIGHBOURS), strict=False)) if is_long else address


async def failures_of(session: AsyncSession, key: bytes, at: datetime) -> LogInFailures:
    """What is known, or a new row; what is old counts no more."""
    known = await session.get(LogInFailures, key)
    if known is None:
        known = LogInFailures(key=key, count=0, last_at=at)
        session.add(known)
    elif known.last_at <= at - FORGOTTEN_AFTER:
        known.count = 0
    return known


def left_s(failures: LogInFailures, patience: Patience, at: datetime) -> float:
    """How long to wait yet. A clock that was put back makes nobody wait longer than that."""
    wait_s = patience.wait_s(failures.count)
    waited_s: float = (at - failures.last_at).total_seconds()
    return wait_s - max(waited_s, 0.0)
