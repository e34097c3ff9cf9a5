"""
Who is asking: what a request shows of that, and the person whom the sidecar knows by it.

    caller = CALLER.get()      a person, ANONYMOUS, or None: ComfyUI's worker, the sidecar, no request at all
    caller.owns(owner_id)      may that person see and touch what belongs to this owner?
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from .sidecar_client import SidecarAway, SidecarClient, SidecarRefused

LOCAL_OWNER_ID = "00000000-0000-7000-8000-000000000001"
"""Whose everything is in open access."""

SESSION_COOKIES = ("genonaut_session", "__Host-genonaut_session")
"""Without and with TLS. Which one counts, the sidecar knows: it knows who is believed about TLS."""

TAKES_TOKEN_IN_QUERY = frozenset({"/ws", "/view"})
"""Where browsers and clients cannot send a header: an address is written into logs, so nowhere else."""

REFUSAL_VALID_S = 2.0
OUTLASTS_S = 12 * 3600.0
MOST_KNOWN = 10_000
MOST_REFUSED = 1000


@dataclass(frozen=True)
class Caller:
    """A person, as the sidecar describes them."""

    user_id: str
    name: str
    role: str
    """`admin`, `member` or `guest`; of ANONYMOUS it is `nobody`."""

    scopes: frozenset[str]
    """What these credentials are for: `read`, `submit`, `admin`."""

    session_id: str | None = None
    has_everything: bool = False
    """In open access there is one owner, and whatever is here is theirs."""

    def may(self, scope: str) -> bool:
        return scope in self.scopes

    @property
    def is_guest(self) -> bool:
        return self.role == "guest"

    @property
    def is_admin(self) -> bool:
        """An administrator, with credentials that are good for it."""
        return self.role == "admin" and self.may("admin")

    def owns(self, owner_id: str | None) -> bool:
        """Does what belongs to this owner belong to them? What belongs to nobody does not."""
        return self.has_everything or (bool(owner_id) and owner_id == self.user_id)


LOCAL_OWNER = Caller(LOCAL_OWNER_ID, "local", "admin", frozenset({"read", "submit", "admin"}), has_everything=True)
"""Who everybody is in open access."""

ANONYMOUS = Caller("", "", "nobody", frozenset())
"""Whoever asks for what is public: nobody asked who that is, and nothing is theirs."""

CALLER: ContextVar[Caller | None] = ContextVar("genonaut_caller", default=None)
"""
Who asks for what is being done now. None where no person does: ComfyUI's worker and the sidecar see and touch
everything.

Every request of a person has one, ANONYMOUS at least; threads of an executor do not inherit it, tasks do.
"""


@contextmanager
def calling(caller: Caller | None) -> Iterator[None]:
    """Say who is asking, for the length of the block. (A connection that is kept alive reuses its task.)"""
    before = CALLER.set(caller)
    try:
        yield
    finally:
        CALLER.reset(before)


def only_theirs() -> Caller | None:
    """Give the person whose things alone are to be seen and touched now; None where everything is."""
    caller = CALLER.get()
    return None if caller is None or caller.has_everything else caller


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


@dataclass(frozen=True)
class Known:
    caller: Caller
    valid_until: float
    outlasts_until: float


class Callers:
    """
    Asks the sidecar who somebody is, and remembers that for seconds. One a process, on ComfyUI's event loop.

    A page asks for dozens of things at once: the same credentials are asked about once.

    Args:
        known_outlast: While the sidecar is away, go on believing what it said of somebody in the last hours.
    """

    def __init__(self, sidecar: SidecarClient, *, known_outlast: bool = False) -> None:
        self._sidecar = sidecar
        self._outlasts_s = OUTLASTS_S if known_outlast else 0.0
        self._known: OrderedDict[bytes, Known] = OrderedDict()
        # Of their own: whoever tries credentials by the thousand must not push out those that are good.
        self._refused: OrderedDict[bytes, tuple[SidecarRefused, float]] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[Caller]] = {}

    async def find(self, credentials: Credentials) -> Caller:
        """
        Find out whose credentials these are.

        Raises:
            SidecarRefused: Nobody's, or nobody's any more; or too many were tried.
            SidecarAway: Nobody can say.
        """
        key = credentials.key()
        known = self._known.get(key)
        if known is not None and time.monotonic() < known.valid_until:
            return known.caller
        refused = self._refused.get(key)
        if refused is not None and time.monotonic() < refused[1]:
            raise refused[0].with_traceback(None)  # or it would remember every request that was refused with it
        try:
            return await self._ask_once(key, credentials)
        except SidecarAway:
            if known is None or time.monotonic() > known.outlasts_until or key not in self._known:
                raise
            return known.caller

    def forget(self, user_id: str | None) -> None:
        """Ask anew about somebody, or about everybody (None): something has changed."""
        self._refused.clear()
        self._asking.clear()  # who waits for these answers gets them, and they are not remembered
        for key in [key for key, known in self._known.items() if user_id in (None, known.caller.user_id)]:
            del self._known[key]

    async def _ask_once(self, key: bytes, credentials: Credentials) -> Caller:
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._ask(key, credentials))
            asking.add_done_callback(hear)
        # Whoever waits may go away; the others still want to know.
        return await asyncio.shield(asking)

    async def _ask(self, key: bytes, credentials: Credentials) -> Caller:
        this = asyncio.current_task()
        try:
            told = await self._sidecar.identify(credentials.as_question(), forwarded_for=credentials.forwarded_for)
            caller = read_caller(told)
        except SidecarRefused as exc:
            if self._asking.get(key) is this:
                remember(self._refused, key, (exc, time.monotonic() + REFUSAL_VALID_S), most=MOST_REFUSED)
                self._known.pop(key, None)
            raise
        else:
            if self._asking.get(key) is this:
                valid_until = time.monotonic() + float(told.get("valid_for_s") or 0)
                known = Known(caller, valid_until, valid_until + self._outlasts_s)
                remember(self._known, key, known, most=MOST_KNOWN)
            return caller
        finally:
            if self._asking.get(key) is this:
                del self._asking[key]


def hear(asked: asyncio.Task[Caller]) -> None:
    """Take note of an answer for which nobody waits any more."""
    if not asked.cancelled():
        asked.exception()


def remember(memory: OrderedDict[bytes, Any], key: bytes, value: Any, *, most: int) -> None:
    memory.pop(key, None)
    memory[key] = value
    while len(memory) > most:
        memory.popitem(last=False)


def read_caller(told: Mapping[str, Any]) -> Caller:
    """
    Read the sidecar's description of a person.

    Raises:
        SidecarAway: It is none; who answers there is not our sidecar.
    """
    try:
        return Caller(
            user_id=str(uuid.UUID(told["user_id"])),  # it names folders
            name=str(told["name"]),
            role=str(told["role"]),
            scopes=frozenset(map(str, told["scopes"])),
            session_id=None if told.get("session_id") is None else str(told["session_id"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise SidecarAway("What answers there does not say who somebody is.") from exc
