"""A real database, a real store, and ComfyUI's folders."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fakes.folders import Announcements, Folder
from fakes.people import somebody

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.database import Database
from sidecar.gallery.expected import expect_images, images_of
from sidecar.gallery.intake import Intake
from sidecar.gallery.models import Image
from sidecar.gallery.storage import ImageStore
from sidecar.identity import uuid7
from sidecar.tables import Generation, User, Workflow

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=timezone.utc)


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "store")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "comfyui")


@pytest.fixture
def announcements() -> Announcements:
    return Announcements()


@pytest.fixture
def intake(database: Database, store: ImageStore, folder: Folder, announcements: Announcements) -> Intake:
    return Intake(database, store, folder, announcements)


@pytest.fixture
def new_generation(database: Database) -> Callable[..., Awaitable[UUID]]:
    """Write a generation that has ended, as the recorder leaves it, without images."""

    async def write(owner_id: UUID = LOCAL_OWNER_ID) -> UUID:
        generation_id = uuid7()
        async with database.writing() as session:
            if await session.get(User, owner_id) is None:
                session.add(somebody(owner_id))
            session.add(Workflow(hash=generation_id.bytes * 2, content=b""))
            await session.flush()
            session.add(
                Generation(
                    id=generation_id,
                    number=generation_id.int % 2**31,
                    owner_id=owner_id,
                    state="completed",
                    source="page",
                    workflow_hash=generation_id.bytes * 2,
                    created_at=NOW,
                    updated_at=NOW,
                )
            )
        return generation_id

    return write


@pytest.fixture
def expect(database: Database, new_generation: Callable[..., Awaitable[UUID]]) -> Callable[..., Awaitable[UUID]]:
    """Record a generation with these outputs, as the recorder does, and tell its id."""

    async def record(outputs: Any, owner_id: UUID = LOCAL_OWNER_ID) -> UUID:
        generation_id = await new_generation(owner_id)
        async with database.writing() as session:
            await expect_images(session, owner_id=owner_id, generation_id=generation_id, outputs=outputs, now=NOW)
        return generation_id

    return record


@pytest.fixture
def images(database: Database) -> Callable[[UUID], Awaitable[list[Image]]]:
    """The images of a generation as they are stored."""

    async def read(generation_id: UUID) -> list[Image]:
        async with database.reading() as session:
            return (await images_of(session, [generation_id])).get(generation_id, [])

    return read
