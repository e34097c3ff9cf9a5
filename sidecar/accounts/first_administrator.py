"""
The first administrator makes themselves, with a link that stands in the log: there is no default password.

Its secret follows from the pairing secret, so that every process and every start has the same one and nothing need be
stored. It is good once: it opens nothing as soon as there is an administrator.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from sidecar.accounts import people
from sidecar.accounts.audit import nobody
from sidecar.accounts.callers import Role
from sidecar.accounts.changes import Changes
from sidecar.accounts.models import User
from sidecar.accounts.people import NewPerson, People, has_administrator
from sidecar.database import Database
from sidecar.errors import AdministratorThere, CredentialsInvalid
from sidecar.settings import Access, Settings

PURPOSE = b"genonaut: first administrator"


class FirstAdministrator:
    """One a process."""

    def __init__(self, database: Database, people: People, changes: Changes, settings: Settings) -> None:
        self._database = database
        self._people = people
        self._changes = changes
        self._access = settings.access
        self._secret = secret_of(settings.pairing_secret)
        self._comfyui_url = next(iter(settings.comfyui_urls), "")

    async def is_missing(self) -> bool:
        """Does nobody administrate, where somebody has to?"""
        if self._access is Access.OPEN:
            return False
        async with self._database.reading() as session:
            return not await has_administrator(session)

    def instruction(self) -> str:
        """What to do about that, for the log."""
        if self._access is Access.PROXY:
            return (
                "There is no administrator yet. Make one at a terminal, by the name that the proxy has for them: "
                "genonaut user add NAME --role admin --no-password"
            )
        return (
            "There is no administrator yet. Become it with this link, which works once; keep it to yourself: "
            f"{self._comfyui_url}/genonaut/login#first={self._secret}"
        )

    async def make(self, secret: str, name: str, password: str, *, address: str) -> User:
        """
        Raises:
            CredentialsInvalid: It is not the secret of the link.
            AdministratorThere: Too late.
            PasswordUnfit: It says why.
        """
        if not hmac.compare_digest(secret.encode("utf-8", "surrogatepass"), self._secret.encode()):
            raise CredentialsInvalid("This link is not valid. The sidecar's log has the right one.")
        if not await self.is_missing():
            raise AdministratorThere
        password_hash = await self._people.hashed(password, name=name)
        async with self._database.writing() as session:
            if await has_administrator(session):
                raise AdministratorThere
            user = await people.add(session, NewPerson(name, Role.ADMIN), password_hash, nobody(address))
        # Now, while nothing of theirs is open: found seconds later, it would close the page that they have just opened.
        self._changes.tell(user)
        return user


def secret_of(pairing_secret: str) -> str:
    digest = hmac.new(pairing_secret.encode("utf-8"), PURPOSE, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
