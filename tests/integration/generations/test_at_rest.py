"""A sidecar that has nothing to do asks nobody anything more often than is written down."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from fakes.comfyui import ScriptedComfyUI
from fakes.hurried_time import WATCHED, HurriedClock, HurriedLoop, whose_it_is
from integration.backends import every_backend
from litestar import Litestar
from litestar.enums import ScopeType
from litestar.types import Receive, Scope, Send
from sqlalchemy import event

from sidecar.catalog import catalog
from sidecar.cluster import postgresql
from sidecar.comfyui import conversation
from sidecar.comfyui.events import BACKOFF_FIRST_S, BACKOFF_MOST_S
from sidecar.database import Database
from sidecar.generations import following, moving_up, waiting_telling
from sidecar.limits import plans
from sidecar.parts import Parts, put_together
from sidecar.queues import embedded, sqlite
from sidecar.queues.postgresql import POLLED_EVERY_S
from sidecar.running import running

from .conftest import settings_of, until_connected

TIMES_AS_FAST = 10
REST_S = 45.0
SETTLED_AFTER_S = 1.0  # the first look of everybody is over
TRIES = 8
QUEUES = 2

OF_SAQ = [
    embedded.TIMERS["schedule"],
    embedded.TIMERS["abort"],
    embedded.TIMERS["sweep"],
    embedded.TIMERS["worker_info"],
]

Intervals = Mapping[str, Sequence[float]]

OF_EVERY_SIDECAR: Intervals = {
    "Catalog.stay_true": [catalog.LOOK_EVERY_S],
    "Plans.stay_true": [plans.LOOK_EVERY_S],
    "MovingUp.run": [moving_up.LOOK_EVERY_S] * 2,  # for its shortest pause, and for the rest
    "Following.run": [following.LOOK_FOR_INSTANCES_EVERY_S],
    "WaitingTelling.run": [waiting_telling.LOOK_AGAIN_AFTER_S] * 2,
    "Observer._hear": [conversation.SILENCE_S],
    "Connection.keepalive": [conversation.PING_INTERVAL_S] * 2,  # to ask, and to wait for the answer
    "Worker.upkeep.<locals>.poll": OF_SAQ * QUEUES,
}
OF_A_SERVER: Intervals = {
    "stay": [postgresql.LOOK_EVERY_S],
    "PostgresBus._tell_all": [postgresql.LOOK_EVERY_S],
}
ON: Mapping[str, Intervals] = {
    "embedded": {**OF_EVERY_SIDECAR, "SqliteQueue._watch_for_others": [sqlite.POLL_S] * QUEUES},
    "postgresql": {**OF_EVERY_SIDECAR, **OF_A_SERVER, "DrainingWorker.process": [POLLED_EVERY_S] * QUEUES},
    "postgresql_redis": {**OF_EVERY_SIDECAR, **OF_A_SERVER},
}
"""Who is woken by a clock though nothing happens, and with which pauses."""
STATEMENTS_EACH = 2


class CountingComfyUI(ScriptedComfyUI):
    """Knows how often it was asked anything."""

    asked = 0

    def _app(self) -> Litestar:
        app = super()._app()
        answer = app.asgi_handler

        async def count(scope: Scope, receive: Receive, send: Send) -> None:
            self.asked += scope["type"] == ScopeType.HTTP
            await answer(scope, receive, send)

        app.asgi_handler = count
        return app


@asynccontextmanager
async def hanging_up(tries: list[float]) -> AsyncIterator[str]:
    """Where a ComfyUI would be there is something that takes each connection and ends it; when it did."""

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tries.append(asyncio.get_running_loop().time())
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1")
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}"


@pytest.fixture
def clock() -> HurriedClock:
    return HurriedClock()


@pytest.fixture
def hurried_loop(clock: HurriedClock) -> Iterator[HurriedLoop]:
    loop = HurriedLoop(clock)
    yield loop
    loop.close()


@pytest.fixture
def for_whoever_looks(clock: HurriedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also who measures how long ago something was sees that time is hurried; servers do not, and may answer late."""
    monkeypatch.setattr(time, "monotonic", clock)
    monkeypatch.setattr(postgresql, "ANSWER_WITHIN_S", 3600.0)


@every_backend
@pytest.mark.usefixtures("for_whoever_looks")
def test_what_rests_wakes_only_as_often_as_is_written_down(
    hurried_loop: HurriedLoop, tmp_path: Path, backend: dict[str, str], backend_name: str
):
    """
    Nobody else is woken by a clock, no statement comes from anybody else but the clockwork, and ComfyUI is not asked.
    """
    woken: Counter[str] = Counter()
    said: Counter[str] = Counter()

    async def rest() -> tuple[Parts, float, int]:
        async with CountingComfyUI().served() as comfyui:
            WATCHED.set(True)
            parts = put_together(settings_of(tmp_path, backend, comfyui.url))
            async with running(parts):
                WATCHED.set(False)  # of this test's own
                await until_connected(parts, 1)
                await asyncio.sleep(SETTLED_AFTER_S)
                asked, began = comfyui.asked, hurried_loop.time()
                with hurried_loop.hurried(TIMES_AS_FAST, woken), heard(parts.database, said):
                    await asyncio.sleep(REST_S)
                return parts, hurried_loop.time() - began, comfyui.asked - asked

    parts, rested_s, asked = hurried_loop.run_until_complete(rest())

    pauses = ON[backend_name]
    at_most = {who: sum(rested_s // pause + 1 for pause in pauses[who]) for who in pauses}
    clockwork = {job.function.__qualname__ for worker in parts.workers for job in worker._cron_jobs}
    assert (woken.keys() | said.keys()) <= pauses.keys() | clockwork | {"Dispatcher.run"}  # the sweeper wakes it
    assert {who: times for who, times in woken.items() if times > at_most.get(who, times)} == {}
    assert {who: times for who, times in said.items() if times > STATEMENTS_EACH * at_most.get(who, times)} == {}
    assert woken["Worker.upkeep.<locals>.poll"] > REST_S  # it was looked
    assert asked == 0


def test_a_comfyui_that_is_away_is_tried_ever_more_seldom(hurried_loop: HurriedLoop, tmp_path: Path):
    """
    Twice as long after each try, up to some seconds.
    """
    tries: list[float] = []

    async def stay_away() -> None:
        async with hanging_up(tries) as url:
            parts = put_together(settings_of(tmp_path, {}, url))
            async with running(parts):
                with hurried_loop.hurried(TIMES_AS_FAST, Counter()):
                    while len(tries) < TRIES:
                        await asyncio.sleep(BACKOFF_FIRST_S)

    hurried_loop.run_until_complete(stay_away())

    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert all(pause >= min(BACKOFF_FIRST_S * 2**n, BACKOFF_MOST_S) for n, pause in enumerate(pauses))


@contextmanager
def heard(database: Database, said: Counter[str]) -> Iterator[None]:
    """Counts statements, by whose they are."""

    def hear(*_: object) -> None:
        said[whose_it_is()] += 1

    event.listen(database.engine.sync_engine, "before_cursor_execute", hear)
    yield
    event.remove(database.engine.sync_engine, "before_cursor_execute", hear)
