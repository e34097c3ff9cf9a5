"""Which instances there are: those that the setting names, and those that an admin registered."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.addresses import place
from sidecar.errors import NotFound
from sidecar.identity import now, uuid7
from sidecar.instances.models import Connection, Instance, Wanted

NOT_ASKED_YET = "not asked yet"


async def instances(session: AsyncSession) -> list[Instance]:
    """Every instance of ours, oldest first."""
    query = select(Instance).where(Instance.wanted != Wanted.REMOVED.value).order_by(Instance.created_at, Instance.id)
    return list(await session.scalars(query))


async def instance(session: AsyncSession, instance_id: UUID) -> Instance:
    """
    Raises:
        NotFound: There is none, or it was removed.
    """
    found = await session.get(Instance, instance_id)
    if found is None or found.wanted == Wanted.REMOVED.value:
        raise NotFound("There is no instance with this id.")
    return found


async def keep_configured(session: AsyncSession, urls: Sequence[str]) -> list[Instance]:
    """
    Have exactly those instances from the setting that it names now.

    Returns:
        Those that it named once and no longer does: to be removed.
    """
    known = {found.url: found for found in await session.scalars(select(Instance))}
    for url in urls:
        if url not in known or known[url].wanted == Wanted.REMOVED.value:
            known[url] = await register(session, url)
        known[url].from_settings = True
    return [
        found
        for found in known.values()
        if found.from_settings and found.url not in urls and found.wanted != Wanted.REMOVED.value
    ]


async def nobody_is_met_yet(session: AsyncSession) -> None:
    """What whoever followed them last has left written down: nothing is sent before each has been looked at."""
    met = update(Instance).where(Instance.state == Connection.CONNECTED.value)
    await session.execute(met.values(state=Connection.AWAY.value, since=now(), reason=NOT_ASKED_YET))


async def register(session: AsyncSession, url: str, *, name: str = "", wanted: Wanted = Wanted.ACTIVE) -> Instance:
    """Add an instance; one that was removed comes back under its old id, for what ran there."""
    found: Instance | None = await session.scalar(select(Instance).where(Instance.url == url))
    if found is None:
        found = Instance(id=uuid7(), url=url, created_at=now(), from_settings=False)
        reset(found)
        session.add(found)
    found.name = name or place(url) or url
    found.wanted = wanted.value
    return found


def remove(found: Instance) -> None:
    """What it has in its hands is taken back by whoever follows instances (`generations/relocation.py`)."""
    found.wanted = Wanted.REMOVED.value
    found.from_settings = False
    reset(found)


def reset(found: Instance) -> None:
    """Nothing is known of it."""
    found.state, found.since, found.reason = Connection.AWAY.value, now(), NOT_ASKED_YET
    found.comfyui_version = found.pack_version = found.checkpoint = ""
    found.devices, found.directories, found.evidence = [], {}, []
    found.failures = found.probes = 0
    found.rests_until = found.set_aside_at = None
