"""A house with accounts: a sidecar in this process, and the people who live there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest_asyncio
from argon2 import PasswordHasher
from fakes.asgi import Answer, Browser
from fakes.comfyui import PAIRING_SECRET
from fakes.folders import png
from litestar import Litestar

from sidecar.accounts import people
from sidecar.accounts.audit import COMMAND_LINE
from sidecar.accounts.callers import Role
from sidecar.app import create_app
from sidecar.database import Database
from sidecar.gallery.models import Image
from sidecar.gallery.storage import ImageStore
from sidecar.identity import now, uuid7
from sidecar.instances.registry import keep_configured
from sidecar.settings import read_settings
from sidecar.tables import Model

API = "/api/v1"
PASSWORD = "a lighthouse at dawn"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
NOBODY_THERE = "http://127.0.0.1:9"
WORKFLOW: dict[str, Any] = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "test"}},
}


@dataclass(frozen=True)
class House:
    """The app, and what of it only its operator has."""

    app: Litestar
    database: Database
    store: ImageStore
    ids: dict[str, UUID]
    """Name -> whose account."""
    at_home: dict[str, dict[str, str]] = field(default_factory=dict)
    """Name -> the headers of the browser in which they have been logged in all the time."""

    def browser(self, headers: dict[str, str] | None = None, *, address: str = "127.0.0.1") -> Browser:
        return Browser(self.app, address=address, headers=headers)

    async def log_in(self, name: str) -> dict[str, str]:
        """The headers of a browser in which this person has just logged in."""
        answer = await self.browser().ask("POST", f"{API}/sessions", body={"name": name, "password": PASSWORD})
        assert answer.status == 201, answer.body
        return {"Cookie": str(answer.header("set-cookie")).partition(";")[0]}

    async def token(self, name: str, *scopes: str) -> dict[str, str]:
        """The headers of a program of theirs."""
        made = await self.ask_as(name, "POST", "/me/tokens", body={"name": "a program", "scopes": list(scopes)})
        return {"Authorization": f"Bearer {made.json['secret']}"}

    async def cookie_of(self, name: str) -> dict[str, str]:
        if name not in self.at_home:
            self.at_home[name] = await self.log_in(name)
        return self.at_home[name]

    async def ask_as(self, name: str, method: str, path: str, **question: Any) -> Answer:
        return await self.browser(await self.cookie_of(name)).ask(method, f"{API}{path}", **question)

    async def new_generation(self, name: str) -> UUID:
        """It waits: its ComfyUI is away."""
        answer = await self.ask_as(name, "POST", "/generations", body={"workflow": WORKFLOW})
        return UUID(answer.json["id"])

    async def new_image(self, name: str) -> UUID:
        """With its bytes, and one thumbnail that has the same."""
        image_id, generation_id, content = uuid7(), await self.new_generation(name), png(8, 8)
        key = f"{image_id}.png"
        await self.store.put(key, content)
        image = Image(
            id=image_id,
            generation_id=generation_id,
            owner_id=self.ids[name],
            node_id="2",
            position=0,
            state="kept",
            storage_key=key,
            media_type="image/png",
            bytes=len(content),
            etag="e",
            thumbnails={"small": {"key": key, "bytes": len(content), "width": 8, "height": 8}},
            created_at=now(),
        )
        async with self.database.writing() as session:
            session.add(image)
        return image_id


async def move_in(database: Database) -> dict[str, UUID]:
    """An administrator, members, a guest; of the members one to be thrown out, and one to whom things are done."""
    members = dict.fromkeys(("ada", "bob", "eve", "sue"), Role.MEMBER)
    roles = {"root": Role.ADMIN, "gus": Role.GUEST, **members}
    hashed = CHEAP.hash(PASSWORD)
    async with database.writing() as session:
        made = [
            await people.add(session, people.NewPerson(name, role), hashed, COMMAND_LINE)
            for name, role in roles.items()
        ]
        model = Model(id=uuid7(), kind="checkpoint", name="a.safetensors", comparable_name="a.safetensors")
        model.active, model.first_seen, model.last_seen = True, now(), now()
        session.add(model)
        return {user.name: user.id for user in made}


@asynccontextmanager
async def living(app: Litestar) -> AsyncIterator[None]:
    """The app between its start and its stop, both in one task, which those of a fixture are not."""
    started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def live() -> None:
        async with app.lifespan():
            started.set_result(None)
            await over.wait()

    life = asyncio.create_task(live())
    await asyncio.wait({started, life}, return_when=asyncio.FIRST_COMPLETED)
    if life.done():
        life.result()
    yield
    over.set()
    await life


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(tmp_path_factory: Any, backend_of_all: dict[str, str]) -> AsyncIterator[House]:
    folder = tmp_path_factory.mktemp("house")
    settings = read_settings(
        {
            "GENONAUT_DATA": str(folder),
            "GENONAUT_ACCESS": "accounts",
            "GENONAUT_WORKER": "none",  # nothing is worked off: what is submitted waits
            "GENONAUT_COMFYUI_URL": NOBODY_THERE,
            "GENONAUT_PAIRING_SECRET": PAIRING_SECRET,
            "GENONAUT_TRUSTED_PROXIES": "127.0.0.1",
            "GENONAUT_ALLOWED_ORIGINS": "https://tools.example",
            **backend_of_all,
        }
    )
    app = create_app(settings, CHEAP)
    database = Database(settings.database_url)
    async with living(app):
        ids = await move_in(database)
        async with database.writing() as session:  # where there may be several processes, who drives it says so
            await keep_configured(session, settings.comfyui_urls)
        yield House(app, database, ImageStore(folder / "images"), ids)
    await database.close()
