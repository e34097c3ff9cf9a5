"""Whether the pack and the sidecar let the same people in."""

from __future__ import annotations

import logging

from .rights import Refusal
from .settings import OPEN
from .sidecar_client import SidecarClient

log = logging.getLogger("genonaut.door")

CLOSED = 503


class Agreement:
    """
    Do the pack and the sidecar let the same people in?

    A sidecar with open access would tell the pack that everybody is the local owner.
    """

    def __init__(self, access: str, sidecar: SidecarClient) -> None:
        self._access = access
        self._sidecar = sidecar
        self._told: str | None = None

    def told(self, access: str | None) -> None:
        """The sidecar has said what its access is; None: it has gone, and another one may come."""
        if access not in (None, self._told, self._access):
            log.error("%s", self.sentence(access))
        self._told = access

    async def require(self) -> None:
        """
        Ask the sidecar if it has not said so.

        Raises:
            Refusal: They do not agree.
            SidecarAway: Nobody can say.
        """
        if self._told is None and self._access != OPEN:
            self.told(await self._sidecar.access())
        if self._told not in (None, self._access):
            raise Refusal(CLOSED, "access_differs", self.sentence(self._told))

    def sentence(self, told: str | None) -> str:
        return (
            f"ComfyUI's access is {self._access} and that of Genonaut's sidecar is {told}, so nobody is let in. "
            "Set GENONAUT_ACCESS to the same for both, and start both again."
        )
