"""
Stand-ins for the pack's client of the sidecar, who know people:

    KnowingSidecar      knows everybody whose credentials it was told
    (its `is_away`)     nobody answers until that is taken back
    (`is_a_stranger`)   somebody else answers in its place
"""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from comfy_nodes.sidecar_client import SidecarAway, SidecarRefused, SidecarStranger

SCOPES = {
    "admin": ["read", "submit", "admin"],
    "member": ["read", "submit"],
    "guest": ["read", "submit"],
}


def id_of(name: str) -> str:
    return str(uuid5(NAMESPACE_DNS, name))


def person(name: str, role: str = "member", scopes: list[str] | None = None) -> dict[str, Any]:
    """Describe somebody as the sidecar does."""
    return {
        "user_id": id_of(name),
        "name": name,
        "role": role,
        "scopes": SCOPES[role] if scopes is None else scopes,
        "session_id": None,
        "valid_for_s": 10,
    }


class KnowingSidecar:
    """Knows people by a cookie's value, an Authorization header or a token."""

    def __init__(self, access_is: str = "accounts", **people: dict[str, Any]) -> None:
        self.people = people or {
            "ada": person("ada"),
            "bob": person("bob"),
            "guest": person("guest", "guest"),
            "root": person("root", "admin"),
            "reader": person("ada", scopes=["read"]),
        }
        self.access_is = access_is
        self.is_away = False
        self.is_a_stranger = False
        self.questions: list[dict[str, Any]] = []
        self.refusals: list[dict[str, Any]] = []
        self.untold = 0

    async def access(self) -> str:
        if self.is_away:
            raise SidecarAway("nobody answers")
        if self.is_a_stranger:
            raise SidecarStranger("somebody else answers")
        return self.access_is

    async def tell_refusals(self, refusals: list[dict[str, Any]], untold: int) -> None:
        if self.is_away:
            raise SidecarAway("nobody answers")
        self.refusals += refusals
        self.untold += untold

    async def identify(self, question: dict[str, Any], *, forwarded_for: str | None = None) -> dict[str, Any]:
        self.questions.append({**question, "forwarded_for": forwarded_for})
        await asyncio.sleep(0)
        if self.is_away:
            raise SidecarAway("nobody answers")
        shown = [question[name] for name in ("authorization", "token", "forwarded_user")]
        shown += question["cookies"].values()
        for value in filter(None, shown):
            found = self.people.get(value.removeprefix("Bearer "))
            if found is not None:
                return found
        raise SidecarRefused(401, "credentials_invalid", "Please log in again.", None)
