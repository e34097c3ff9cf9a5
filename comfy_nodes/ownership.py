"""
Whose a file is, by the place where it really lies (`places`).

    below genonaut/<their id>/    a person's
    anywhere else in input/       SHARED: everybody may use it, only administrators may change it
    anywhere else                 a person's, whose prompt was seen writing it or of whom it is recorded
                                  None, nobody's: for administrators, as genonaut/review/ is

Nothing here asks whether the file exists, so that a file of somebody else's and one that is not there cannot be told
apart.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .caller import Caller
from .places import Folders, Name, Place

SHARED = "shared"
"""The owner of what everybody may use and only administrators may change."""

MOST_REMEMBERED = 100_000

ACTING_FOR: ContextVar[str | None] = ContextVar("genonaut_acting_for", default=None)
"""Whose prompt is being looked at, where that is not who asks."""


@contextmanager
def acting_for(owner_id: str | None) -> Iterator[None]:
    """Say whose prompt is being looked at, for the length of the block: the sidecar hands over those of everybody."""
    before = ACTING_FOR.set(owner_id)
    try:
        yield
    finally:
        ACTING_FOR.reset(before)


class SeenOutputs:
    """Who had which file written, as far as this process has seen it. Bounded, and used from any thread."""

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._owners: OrderedDict[str, str] = OrderedDict()

    def remember(self, place: Place, owner_id: str) -> None:
        with self._lock:
            self._owners.pop(place.key, None)
            self._owners[place.key] = owner_id
            while len(self._owners) > self._most:
                self._owners.popitem(last=False)

    def forget(self, place: Place) -> None:
        with self._lock:
            self._owners.pop(place.key, None)

    def owner_of(self, place: Place) -> str | None:
        with self._lock:
            return self._owners.get(place.key)


AskedOwner = Callable[[str, str, str], Awaitable["str | None"]]
"""Asks the sidecar whose recorded file that is, by type, sub-folder and file name."""


class OwnedFiles:
    """Says whose a file is. One a process."""

    def __init__(self, folders: Folders, seen: SeenOutputs, ask: AskedOwner) -> None:
        self.folders = folders
        self.seen = seen
        self._ask = ask

    def owner_at_sight(self, place: Place) -> str | None:
        """Whose it is, as far as that is known here: its folder says so, or it was seen being written."""
        if place.is_among_peoples_folders:
            return place.owner_by_folder
        return SHARED if place.kind == "input" else self.seen.owner_of(place)

    async def owner_of(self, place: Place) -> str | None:
        """
        Whose it is.

        Raises:
            SidecarAway: Nobody can say.
        """
        owner = self.owner_at_sight(place)
        if owner is not None or place.is_among_peoples_folders or not place.parts:
            return owner
        owner = await self._ask(place.kind, "/".join(place.parts[:-1]), place.parts[-1])
        if owner is not None:
            self.seen.remember(place, owner)
        return owner

    async def find(self, person: Caller, name: Name) -> Name | None:
        """
        Find what a person means by a name: their own file, else what they may see under exactly that name.

        Clients put a file into a sub-folder and name it by that sub-folder ever after, whatever they are answered.

        Raises:
            SidecarAway: Nobody can say.
        """
        own = self.folders.own(name, person.user_id)
        if own is not None:
            return own
        place = self.folders.place_of(name)
        if place is None:  # a link among the shared files may lead there
            folder = self.folders.of(name.kind)
            is_shared = folder is not None and self.folders.is_shared_elsewhere(os.path.join(folder, name.path))
            return name if is_shared else None
        return name if may_see(person, await self.owner_of(place), place) else None


def may_see(person: Caller, owner: str | None, place: Place) -> bool:
    if owner is None:  # also what lies beside people's folders, in a place where nothing should be
        return person.is_admin and place.owner_by_folder is None
    return owner == SHARED or person.owns(owner)
