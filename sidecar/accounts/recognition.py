"""Whose credentials are these?"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sidecar.accounts.callers import LOCAL_OWNER, Caller
from sidecar.errors import AccountDisabled, NotLoggedIn
from sidecar.settings import Access


@dataclass(frozen=True)
class Credentials:
    """What a request shows of who is asking."""

    address: str
    """Where it comes from, as far as that can be believed."""
    cookie: str | None = None
    """The value of the session's cookie."""
    authorization: str | None = None
    """The header, whole."""
    token: str | None = None
    """From the query, where a route takes one there."""
    forwarded_user: str | None = None
    """Whom the reverse proxy names that is trusted to (`proxy` access)."""


class Recognition:
    """Finds out who is asking. One a process."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def caller_of(self, _credentials: Credentials) -> Caller:
        """
        Raises:
            NotLoggedIn: They say nothing of who is asking.
        """
        if self._access is Access.OPEN:
            return LOCAL_OWNER
        raise NotLoggedIn

    async def owner(self, user_id: UUID | None) -> UUID:
        """
        Whose is what the pack hands over in this person's name?

        Raises:
            AccountDisabled: There is no such person, or not any more.
        """
        if self._access is Access.OPEN:
            return LOCAL_OWNER.user_id
        raise AccountDisabled(f"There is nobody with the id {user_id}.")
