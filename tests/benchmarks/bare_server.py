"""
What a submission costs at the very least with what we build on: Litestar on uvicorn as we run it, and one row for each,
written in one transaction for all that come together. It knows nobody, reads nothing out of a workflow and tells nobody
of it.

    python -m tests.benchmarks.bare_server PORT FILE
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from collections.abc import Sequence
from typing import Any

import uvicorn
from litestar import Litestar, get, post
from litestar.params import JSONBody

from sidecar.http_protocol import BoundedHttp
from sidecar.identity import uuid7
from sidecar.together import Together

AT_ONCE = 50  # as our admission

Written = tuple[bytes, str]


def make_app(file: str) -> Litestar:
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("CREATE TABLE generations (id BLOB PRIMARY KEY, workflow TEXT) WITHOUT ROWID")

    def insert(rows: Sequence[Written]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO generations VALUES (?, ?)", rows)
        connection.execute("COMMIT")

    async def write(rows: Sequence[Written]) -> Sequence[None]:
        await asyncio.to_thread(insert, rows)
        return [None] * len(rows)

    together = Together(write, at_most=AT_ONCE)

    @get("/health/ready")
    async def ready() -> None: ...

    @post("/api/v1/generations", status_code=202)
    async def submit(data: JSONBody[dict[str, Any]]) -> dict[str, str]:
        generation_id = uuid7()
        await together.ask((generation_id.bytes, json.dumps(data)))
        return {"id": str(generation_id)}

    return Litestar([ready, submit], openapi_config=None, logging_config=None)


if __name__ == "__main__":
    uvicorn.run(make_app(sys.argv[2]), port=int(sys.argv[1]), http=BoundedHttp, loop="asyncio", access_log=False)
