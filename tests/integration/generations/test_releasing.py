"""What is held until a moment is let go at that moment."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from fakes.comfyui import ScriptedComfyUI
from integration.backends import every_backend

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.database import Database
from sidecar.generations.models import Generation
from sidecar.generations.queueing import Queueing
from sidecar.generations.releasing import Releasing
from sidecar.generations.submissions import Request
from sidecar.generations.writing import write_generation
from sidecar.identity import now, uuid7
from sidecar.parts import Parts

from .conftest import WORKFLOW, StartSidecar, show, until, until_connected

LATE_AT_MOST_S = 5.0  # on a machine that has other things to do; the clock that heals what was lost takes ten


async def hold(database: Database, *, until: datetime) -> UUID:
    request = Request(id=uuid7(), owner_id=LOCAL_OWNER_ID, source="api", workflow=WORKFLOW)
    async with database.writing() as session:
        generation = await write_generation(session, request, at=now())
        generation.not_before = until
    return generation.id


@every_backend
async def test_what_is_held_goes_at_its_moment_also_after_a_restart(start_sidecar: StartSidecar):
    """Not before, and long before the clock comes that heals what was lost."""
    async with ScriptedComfyUI().served() as comfyui:
        async with start_sidecar(comfyui) as parts:
            moments = [now() + timedelta(seconds=seconds) for seconds in (3.4, 3.0)]
            ids = [await hold(parts.database, until=moment) for moment in moments]
            for generation_id, moment in zip(ids, moments, strict=True):
                await parts.queueing.dispatch(generation_id, reason="held", not_before=moment)
        async with start_sidecar(comfyui) as parts:
            await until_connected(parts, 1)
            able_at = now()
            await until(lambda: len(comfyui.pending) == 2)
            went = [(await show(parts, generation_id)).submitted_at for generation_id in ids]

    for at, moment in zip(went, moments, strict=True):
        assert at is not None
        assert at >= moment
        assert (at - max(moment, able_at)).total_seconds() < LATE_AT_MOST_S


class HeardQueueing(Queueing):
    """Remembers for which moments it was asked."""

    def __init__(self) -> None:
        nothing: Any = None
        super().__init__(turns=nothing, images=nothing)
        self.moments: list[datetime] = []

    async def release(self, moment: datetime) -> None:
        self.moments.append(moment)


async def test_each_moment_is_followed_by_the_next_one_that_is_still_wanted(idle_parts: Parts):
    """Of what has been let go, or was cancelled, nobody speaks any more."""
    past, soon, later, latest = (now() + timedelta(hours=hours) for hours in (-1, 1, 2, 3))
    ids = [await hold(idle_parts.database, until=moment) for moment in (latest, past, soon, later)]
    await idle_parts.dispatcher.cancel(LOCAL_OWNER_ID, ids[2])
    queueing, woken = HeardQueueing(), []
    releasing = Releasing(idle_parts.database, lambda: woken.append(True), queueing)
    await releasing.release_held({}, moment=past.isoformat())
    async with idle_parts.database.writing() as session:
        for generation_id in ids:
            (await session.get_one(Generation, generation_id)).not_before = None
    await releasing.make_sure()

    assert queueing.moments == [later]
    assert woken == [True]
