"""However many come at once, to however many processes: as many enter as there is room for."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from integration.backends import both_databases
from sqlalchemy import select

from sidecar.generations.models import Generation
from sidecar.identity import uuid7
from sidecar.limits.ledger import UsageEntry

from .conftest import StartParts, add_people, change_plan, use_up
from .submitting_process import submit_at_once

CHECKOUT = Path(__file__).resolve().parents[3]
SUBMITTING = Path(__file__).with_name("submitting_process.py")
WITHIN_S = 180.0
ADA = uuid7()


@asynccontextmanager
async def ready_processes(
    folder: Path, environment: dict[str, str], owner_id: UUID, *counts: int
) -> AsyncIterator[list[Process]]:
    """Each about to submit so many."""
    said = {"GENONAUT_DATA": str(folder), "GENONAUT_ACCESS": "accounts", "PYTHONPATH": str(CHECKOUT), **environment}
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, str(SUBMITTING), str(owner_id), str(count)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **said},
        )
        for count in counts
    ]
    try:
        ready = [await process.stdout.readline() for process in processes if process.stdout]
        assert ready == [b"ready\n"] * len(counts)
        yield processes
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def let_submit(process: Process) -> Counter[str]:
    out, _ = await asyncio.wait_for(process.communicate(b"\n"), WITHIN_S)
    return Counter(json.loads(out.splitlines()[-1]))


@both_databases
async def test_of_a_hundred_at_once_with_ten_left_ten_enter(start: StartParts, tmp_path: Path, backend: dict[str, str]):
    """From three processes at the same moment, of which this is one. Those ten are written down, each counted once."""
    async with start(GENONAUT_ACCESS="accounts") as parts:
        await add_people(parts, ADA)
        await change_plan(parts, "free", generations_per_hour=15, waiting_at_most=None)
        await use_up(parts, 5, owner_id=ADA)
        async with ready_processes(tmp_path, backend, ADA, 33, 33) as processes:
            told = await asyncio.gather(submit_at_once(parts, ADA, 34), *map(let_submit, processes))
        outcomes = sum(told, Counter())
        async with parts.database.reading() as session:
            generations = (await session.scalars(select(Generation.number))).all()
            counted = await session.scalars(select(UsageEntry.generations).where(UsageEntry.account_id == ADA))

            assert outcomes == {"pending": 10, "limit_reached": 90}
            assert sorted(generations) == list(range(1, 16))
            assert sum(counted) == 15
