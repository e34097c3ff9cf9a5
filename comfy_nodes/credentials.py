"""What a request shows of who is asking."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

SESSION_COOKIES = ("genonaut_session", "__Host-genonaut_session")
"""Without and with TLS. Which one counts, the sidecar knows: it knows who is believed about TLS."""

TAKES_TOKEN_IN_QUERY = frozenset({"/ws", "/view"})
"""Where browsers and clients cannot send a header: an address is written into logs, so nowhere else."""


@dataclass(frozen=True)
class Credentials:
    """What a request shows of who is asking."""

    cookies: Mapping[str, str] = field(default_factory=dict)
    """Those of SESSION_COOKIES that are there."""

    authorization: str | None = None
    token: str | None = None
    forwarded_user: str | None = None
    """What a proxy says; whether that proxy is to be believed, the sidecar knows."""

    address: str = ""
    scheme: str = "http"
    forwarded_for: str | None = None
    forwarded_proto: str | None = None

    @property
    def are_there(self) -> bool:
        return any((self.cookies, self.authorization, self.token, self.forwarded_user))

    @property
    def come_by_themselves(self) -> bool:
        """
        Does a browser send them whichever site's page asks?

        So it does with cookies, with remembered passwords, and with what a proxy recognises it by, whose word comes
        before anything that a page may add.
        """
        shown_on_purpose = self.token or (self.authorization or "").lower().startswith("bearer ")
        return self.are_there and not (shown_on_purpose and not self.forwarded_user)

    def key(self) -> bytes:
        """
        Name them in memory without keeping them there.

        With where they come from: whoever tries passwords must not find out that one is right past the sidecar, which
        counts their tries, because its owner has just shown it.
        """
        return hashlib.sha256(json.dumps([self.as_question(), self.forwarded_for]).encode()).digest()

    def as_question(self) -> dict[str, Any]:
        return {
            "cookies": dict(self.cookies),
            "authorization": self.authorization,
            "token": self.token,
            "address": self.address,
            "scheme": self.scheme,
            "forwarded_proto": self.forwarded_proto,
            "forwarded_user": self.forwarded_user,
        }


def read_credentials(request: web.Request, path: str, *, user_header: str | None) -> Credentials:
    """
    Read what a request shows.

    Args:
        path: The route's own, as `access_rules.path_of` gives it.
        user_header: In which a proxy names the person; None where no proxy is to be believed.
    """
    return Credentials(
        cookies={name: request.cookies[name] for name in SESSION_COOKIES if request.cookies.get(name)},
        authorization=request.headers.get("Authorization") or None,
        token=request.query.get("token") or None if path in TAKES_TOKEN_IN_QUERY else None,
        forwarded_user=name_in(request.headers.get(user_header)) if user_header else None,
        address=request.remote or "",
        scheme=request.scheme,
        forwarded_for=told(request, "X-Forwarded-For"),
        forwarded_proto=told(request, "X-Forwarded-Proto"),
    )


def told(request: web.Request, name: str) -> str | None:
    """A list as every proxy on the way has added to it: some add to the header, some add another one."""
    return ", ".join(request.headers.getall(name, [])) or None


def name_in(header: str | None) -> str | None:
    """
    Read the name of a person as a proxy writes it: in UTF-8, and else in Latin-1, as the sidecar does.

    aiohttp keeps what is no UTF-8 as half characters. No text can hold them, so two people would become one.
    """
    written = (header or "").encode("utf-8", "surrogateescape")
    try:
        return written.decode("utf-8") or None
    except UnicodeDecodeError:
        return written.decode("latin-1")
