"""
A process of its own that submits, all at once, when it is told to.

    python submitting_process.py OWNER COUNT    says "ready", waits for a line, submits, and tells what came of each
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import Any
from uuid import UUID

from sidecar.errors import Refused
from sidecar.generations.submissions import Request
from sidecar.identity import uuid7
from sidecar.parts import Parts, put_together
from sidecar.settings import read_settings

WORKFLOW: dict[str, Any] = {
    "1": {"class_type": "EmptyImage", "inputs": {}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
}


async def submit_at_once(parts: Parts, owner_id: UUID, count: int) -> Counter[str]:
    """How many came to what."""

    async def submit_one() -> str:
        try:
            request = Request(id=uuid7(), owner_id=owner_id, source="api", workflow=WORKFLOW)
            return (await parts.admission.admit(request)).state
        except Refused as exc:
            return exc.code

    return Counter(await asyncio.gather(*(submit_one() for _ in range(count))))


async def submit_when_told(owner_id: UUID, count: int) -> Counter[str]:
    parts = put_together(read_settings())
    tell("ready")
    await asyncio.to_thread(sys.stdin.readline)
    outcomes = await submit_at_once(parts, owner_id, count)
    for queue in parts.queues:
        await queue.disconnect()
    await parts.instances.close()
    await parts.database.close()
    return outcomes


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    tell(json.dumps(asyncio.run(submit_when_told(UUID(sys.argv[1]), int(sys.argv[2])))))
