"""
Whoever listens hears how their quota stands when it has changed, and when one of their limits is nearly used up.

A generation that enters, ends or moves changes its owner's quota and that of everybody they share a budget with. At
most once a second, and only for those who listen here: what nobody hears is not worked out.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from uuid import UUID

import structlog

from sidecar.errors import DatabaseUnavailable, NotFound
from sidecar.live_events import LiveEvent, LiveEvents, Whom
from sidecar.quota.quotas import Quotas
from sidecar.quota.schemas import QuotaLimit, QuotaView, QuotaWarning

AT_MOST_EVERY_S = 1.0
REST_FOR_WORK = 9.0  # where so many listen that it takes long, it is done more seldom: a tenth of the time at most
WARNED_OF: tuple[int, ...] = (80, 100)
LEVELS_KEPT_AT_MOST = 10_000
OF_NO_GENERATION = UUID(int=0)

Which = tuple[str, str | None]
"""A limit, by its name and whose it is."""

log = structlog.get_logger(__name__)


class QuotaTelling:
    """One a process."""

    def __init__(self, quotas: Quotas, live_events: LiveEvents) -> None:
        self._quotas = quotas
        self._live_events = live_events
        self._changed: set[UUID] = set()
        self._woken = asyncio.Event()
        self._told: dict[Whom, QuotaView] = {}

    def changed(self, owner_id: UUID | None) -> None:
        """Something of this person's quota has changed; None: of everybody's."""
        if not self._live_events.anybody_listens():
            return
        self._changed.update(self._live_events.listening_now() if owner_id is None else (owner_id,))
        self._woken.set()

    async def run(self) -> None:
        """Tell those who listen, until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            changed, self._changed = self._changed, set()
            began = time.monotonic()
            try:
                await self._tell(changed)
            except DatabaseUnavailable as exc:
                log.warning("quota_not_told", reason=exc.message)
            except Exception:
                log.exception("quota_not_told")  # a fault of ours, told in full; the next change is told again
            await asyncio.sleep(max(AT_MOST_EVERY_S, REST_FOR_WORK * (time.monotonic() - began)))

    async def _tell(self, changed: set[UUID]) -> None:
        concerned = changed | await self._quotas.sharing_with(changed)
        for owner_id in concerned:
            for whom in self._live_events.audience_of(owner_id):
                with contextlib.suppress(NotFound):  # the account was deleted this moment
                    self._tell_of(whom, await self._quotas.of_listener(whom))

    def _tell_of(self, whom: Whom, view: QuotaView) -> None:
        before = self._told.pop(whom, None)
        self._told[whom] = view
        if len(self._told) > LEVELS_KEPT_AT_MOST:
            del self._told[next(iter(self._told))]
        if view != before:
            self._live_events.publish_to(whom, LiveEvent("quota", OF_NO_GENERATION, view))
        for warning in warnings(before, view):
            self._live_events.publish_to(whom, LiveEvent("quota_warning", OF_NO_GENERATION, warning))


def warnings(before: QuotaView | None, view: QuotaView) -> Iterator[QuotaWarning]:
    """Of each limit that has come to a level since it was told the last time, with the highest that it has come to."""
    levels = {} if before is None else {which(limit): level_of(limit) for limit in before.limits}
    for limit in view.limits:
        level = level_of(limit)
        if level > levels.get(which(limit), 0):
            yield QuotaWarning(limit.name, limit.group, level, limit.used or 0, limit.allowed)


def which(limit: QuotaLimit) -> Which:
    return limit.name, limit.group


def level_of(limit: QuotaLimit) -> int:
    """How much of it is used up, of the percentages that are warned of; 0: less, or it is none that is used up."""
    is_used_up = limit.window_s is not None or limit.unit == "bytes"
    if not is_used_up or limit.used is None:
        return 0
    return max((level for level in WARNED_OF if limit.used * 100 >= limit.allowed * level), default=0)
