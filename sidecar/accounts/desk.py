"""Everything of this subject that lives as long as the process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from argon2 import PasswordHasher
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.accounts.audit import Audit
from sidecar.accounts.changes import Changes
from sidecar.accounts.cookies import SessionCookies
from sidecar.accounts.first_administrator import FirstAdministrator
from sidecar.accounts.invites import Invites
from sidecar.accounts.log_in import LogIn
from sidecar.accounts.passwords import Passwords
from sidecar.accounts.people import People, Stopped
from sidecar.accounts.recognition import Recognition
from sidecar.accounts.sessions import Sessions
from sidecar.accounts.throttling import Throttle
from sidecar.accounts.tokens import Tokens
from sidecar.cluster.bus import Bus
from sidecar.database import Database
from sidecar.settings import Settings


@dataclass(frozen=True)
class Accounts:
    """The parts, each with its own sentence."""

    changes: Changes
    audit: Audit
    throttle: Throttle
    people: People
    sessions: Sessions
    tokens: Tokens
    invites: Invites
    first_administrator: FirstAdministrator
    log_in: LogIn
    recognition: Recognition
    cookies: SessionCookies


def put_together(
    database: Database,
    bus: Bus,
    settings: Settings,
    owns_anything: Callable[[AsyncSession, UUID], Awaitable[bool]],
    stop_all: Callable[[AsyncSession, UUID], Awaitable[Stopped]],
    hasher: PasswordHasher | None = None,
) -> Accounts:
    """
    Args:
        owns_anything: Does the history hold something of this person?
        stop_all: Have nothing made for this person any more.
        hasher: What hashing a password costs; as argon2-cffi sees fit where nobody says so.
    """
    changes = Changes(database, bus)
    passwords = Passwords(hasher)
    throttle = Throttle(database)
    people = People(database, passwords, changes, owns_anything, stop_all, settings.default_plan)
    sessions = Sessions(database, changes, settings)
    tokens = Tokens(database, changes)
    log_in = LogIn(database, passwords, throttle, sessions)
    recognition = Recognition(database, settings, log_in, sessions, tokens)
    changes.on(recognition.forget)
    return Accounts(
        changes=changes,
        audit=Audit(database),
        throttle=throttle,
        people=people,
        sessions=sessions,
        tokens=tokens,
        invites=Invites(database, people),
        first_administrator=FirstAdministrator(database, people, changes, settings),
        log_in=log_in,
        recognition=recognition,
        cookies=SessionCookies(settings),
    )
