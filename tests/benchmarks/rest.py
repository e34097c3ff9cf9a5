"""A sidecar with nothing to do: how soon it is there, and what it holds."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.figures import Budget, Row
from benchmarks.running_sidecar import resident_mb, running_sidecar

SETTLE_S = 3.0


def rows(folder: Path) -> list[Row]:
    """The first start makes the database; every later one finds it."""
    with running_sidecar(folder) as first:
        pass
    with running_sidecar(folder) as sidecar:
        time.sleep(SETTLE_S)
        memory = resident_mb(sidecar.program.pid)
    found = [
        Row("sidecar ready, first start", first.seconds_to_ready, "s", budget=Budget(2.0)),
        Row("sidecar ready, later starts", sidecar.seconds_to_ready, "s", budget=Budget(2.0)),
    ]
    if memory is not None:
        found.append(Row("sidecar at rest, memory", memory, "MB", budget=Budget(120)))
    return found
