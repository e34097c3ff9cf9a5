"""A sidecar as it is started by people, with something in it, and no ComfyUI."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from uuid import UUID

import pytest
from benchmarks.history_filling import WORKFLOW, write_first
from real.http import answers, post_json
from real.processes import LOOPBACK, Program, free_port

from sidecar.database import Database
from sidecar.gallery.storage import ImageStore, image_key, thumbnail_key
from sidecar.gallery.thumbnails import SIZES_PX

PACK = Path(__file__).resolve().parents[3]
READY_WITHIN_S = 60.0
NOBODY = f"http://{LOOPBACK}:9"  # the port of the discard service: nothing answers there


@dataclass(frozen=True)
class Served:
    """Where it answers, and what it knows: the ids that a path may name."""

    url: str
    known: dict[str, list[str]]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, backend_of_all: dict[str, str]) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("sidecar")
    generation_id, image_id = asyncio.run(write_history(folder, backend_of_all["GENONAUT_DATABASE_URL"]))
    url = f"http://{LOOPBACK}:{(port := free_port())}"
    settings = {"GENONAUT_DATA": str(folder), "GENONAUT_PORT": str(port), "GENONAUT_COMFYUI_URL": NOBODY}
    settings.update(backend_of_all)
    command = [sys.executable, "-m", "sidecar.cli", "serve"]
    with Program(command, log=folder / "log", environment={**os.environ, **settings}, folder=PACK) as program:
        program.wait_until(lambda: answers(f"{url}/health/ready"), within_s=READY_WITHIN_S, name="The sidecar")
        waiting = post_json(f"{url}/api/v1/generations", {"workflow": WORKFLOW})
        known = {
            "generation_id": [str(generation_id), waiting["id"]],
            "image_id": [str(image_id)],
            "size": ["small", "large"],
        }
        yield Served(url, known)


async def write_history(folder: Path, database_url: str) -> tuple[UUID, UUID]:
    """One generation that has ended, and its picture."""
    database = Database(database_url)
    generation_id, image_id = await write_first(database, datetime.now(timezone.utc))
    await database.close()
    store = ImageStore(folder / "images")
    for size in SIZES_PX:
        await store.put(thumbnail_key(image_id, size), bytes(20_000))
    await store.put(image_key(image_id, ".png"), bytes(400_000))
    return generation_id, image_id
