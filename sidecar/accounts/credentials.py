"""What a request shows of who is asking."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from sidecar.accounts.random_secrets import TOKEN_PREFIX
from sidecar.errors import CredentialsInvalid
from sidecar.settings import Access


@dataclass(frozen=True)
class Session:
    """A browser's log-in."""

    secret: str


@dataclass(frozen=True)
class Token:
    """A program's, perhaps with the name of whose it is said to be."""

    secret: str
    name: str | None = None


@dataclass(frozen=True)
class Password:
    """Of somebody who shows it at every request."""

    name: str
    password: str


@dataclass(frozen=True)
class ByProxy:
    """The name of somebody whom a reverse proxy has let in."""

    name: str


Shown = Session | Token | Password | ByProxy


@dataclass(frozen=True)
class Credentials:
    """As they come."""

    address: str
    """Where the request comes from, as far as that can be believed."""
    cookie: str | None = None
    """The value of the session's cookie."""
    authorization: str | None = None
    """The header, whole."""
    token: str | None = None
    """From the query, where a route takes one there."""
    forwarded_user: str | None = None
    """Whom a reverse proxy names, if it is to be believed."""

    def shown(self, access: Access) -> Shown | None:
        """
        What counts of it: what was put there on purpose comes before what a browser adds by itself. What counts must be
        good, whatever else is there.

        Raises:
            CredentialsInvalid: It cannot be read.
        """
        if access is Access.PROXY and self.forwarded_user:
            return ByProxy(self.forwarded_user)
        if self.authorization:
            return read_authorization(self.authorization, access)
        if self.token:
            return Token(self.token)
        if self.cookie and access is Access.ACCOUNTS:
            return Session(self.cookie)
        return None


def read_authorization(header: str, access: Access) -> Shown:
    """
    Read `Bearer TOKEN` or `Basic` with a name and a token or a password (RFC 6750, RFC 7617).

    Raises:
        CredentialsInvalid: It is neither.
    """
    scheme, _, rest = header.partition(" ")
    if scheme.lower() == "bearer":
        return Token(rest.strip())
    if scheme.lower() != "basic":
        raise CredentialsInvalid("Send `Authorization: Bearer TOKEN`, or `Basic` with a name and a token.")
    try:
        name, _, secret = base64.b64decode(rest.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError) as exc:
        raise CredentialsInvalid from exc
    if secret.startswith(TOKEN_PREFIX):
        return Token(secret, name)
    if access is not Access.ACCOUNTS:
        raise CredentialsInvalid("A proxy says who logs in here. Programs show a token.")
    return Password(name, secret)
