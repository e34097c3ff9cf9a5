"""
Who was refused, for the audit: pages of other places, credentials that are no good, and what somebody may not do.

What is repeated is told once a minute, and of everybody together no more than some: whoever tries things by the
thousand, from as many addresses, must not fill the disk.
"""

from __future__ import annotations

from typing import Any

import structlog
from litestar.connection import ASGIConnection
from litestar.types import Scope

from sidecar.accounts.audit import Action, Actor, Audit, nobody
from sidecar.accounts.callers import Caller
from sidecar.clients import client_of
from sidecar.errors import (
    AccountDisabled,
    Away,
    CredentialsInvalid,
    ForeignOrigin,
    NotAllowed,
    NotPaired,
    PasswordWrong,
)
from sidecar.seldom import Seldom

TOLD = (NotAllowed, CredentialsInvalid, AccountDisabled, NotPaired, ForeignOrigin)
"""Not that somebody is not logged in: every browser begins so."""
TOLD_ALREADY = PasswordWrong  # by the log-in, which knows whose account it was
ONCE_IN_S = 60.0
IN_THAT_TIME_AT_MOST = 100

log = structlog.get_logger(__name__)


class Refusals:
    """Writes them down. One a process."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._seldom = Seldom(once_in_s=ONCE_IN_S, at_most=IN_THAT_TIME_AT_MOST)

    async def hear(self, exc: Exception, scope: Scope) -> None:
        """A hook after everything that goes wrong."""
        if not isinstance(exc, TOLD) or isinstance(exc, TOLD_ALREADY):
            return
        actor = actor_of(scope)
        if not self._seldom.is_due((str(actor.user_id or actor.address), exc.code)):
            return
        # The route, not the path: whatever somebody types there would be written down for good.
        asked: dict[str, Any] = {"method": scope.get("method", ""), "route": scope["path_template"]}
        try:
            await self._audit.note(Action.REFUSED, actor, code=exc.code, **asked)
        except Away:
            log.warning("refusal_not_noted", code=exc.code, exc_info=True)


def actor_of(scope: Scope) -> Actor:
    """Who asked, as far as that is known."""
    connection: ASGIConnection[Any, Any, Any, Any] = ASGIConnection(scope)
    address, caller = client_of(connection).address, scope.get("user")
    return Actor.of(caller, address) if isinstance(caller, Caller) else nobody(address)
