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
from benchmarks.history_filling import WORKFLOW, give_thumbnails, write_first
from real.http import answers, post_json
from real.processes import LOOPBACK, Program, free_port

from sidecar.database import Database
from sidecar.gallery.storage import ImageStore, image_key
from sidecar.migrations import upgrade
from sidecar.settings import read_settings

PACK = Path(__file__).resolve().parents[3]
READY_WITHIN_S = 60.0
NOBODY = f"http://{LOOPBACK}:9"  # the port of the discard service: nothing answers there


@dataclass(frozen=True)
class Served:
    """Where it answers, and what it knows: the ids that a path may name."""

    url: str
    known: dict[str, list[str]]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("sidecar")
    generation_id, image_id = asyncio.run(write_history(folder))
    url = f"http://{LOOPBACK}:{(port := free_port())}"
    settings = {"GENONAUT_DATA": str(folder), "GENONAUT_PORT": str(port), "GENONAUT_COMFYUI_URL": NOBODY}
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


async def write_history(folder: Path) -> tuple[UUID, UUID]:
    """One generation that has ended, and its picture."""
    database = Database(read_settings({"GENONAUT_DATA": str(folder)}).database_url)
    await upgrade(database.engine)
    generation_id, image_id = await write_first(database, datetime.now(timezone.utc))
    await database.close()
    await give_thumbnails(folder / "genonaut.sqlite3", folder / "images", bytes(1000))
    await ImageStore(folder / "images").put(image_key(image_id, ".png"), bytes(400_000))
    return generation_id, image_id
