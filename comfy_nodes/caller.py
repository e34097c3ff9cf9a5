"""
Who is asking: the person whom the sidecar knows by what a request shows (`credentials`, `recognition`).

    caller = CALLER.get()      a person, ANONYMOUS, or None: ComfyUI's worker, the sidecar, no request at all
    caller.owns(owner_id)      may that person see and touch what belongs to this owner?
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from .sidecar_client import SidecarAway

LOCAL_OWNER_ID = "00000000-0000-7000-8000-000000000001"
"""Whose everything is in open access."""


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
