"""The catalogue at a terminal."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from fakes.comfyui import PAIRING_SECRET, ScriptedComfyUI
from httpx import AsyncClient
from integration.backends import both_databases
from integration.generations.conftest import until
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.catalog import catalog
from sidecar.catalog.catalog import Catalog
from sidecar.catalog.snapshot import Version
from sidecar.comfyui.model_lists import ModelKind
from sidecar.database import Database
from sidecar.errors import NotFound
from sidecar.instances import registry
from sidecar.migrations import upgrade
from sidecar.model_commands import list_models, refresh_models
from sidecar.settings import Settings, read_settings

from .conftest import models

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def environment(tmp_path: Path, backend: dict[str, str], comfyui: ScriptedComfyUI) -> dict[str, str]:
    return {
        "GENONAUT_DATA": str(tmp_path),
        "GENONAUT_COMFYUI_URL": comfyui.url,
        "GENONAUT_PAIRING_SECRET": PAIRING_SECRET,
        **backend,
    }


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process looks often for what others have changed."""
    monkeypatch.setattr(catalog, "LOOK_EVERY_S", 0.05)


@pytest.fixture
async def settings(environment: dict[str, str]) -> Settings:
    """Of a sidecar that has been started once: its instances are registered."""
    settings = read_settings(environment)
    database = Database(settings.database_url)
    await upgrade(database.engine)
    async with database.writing() as session:
        await registry.keep_configured(session, settings.comfyui_urls)
    await database.close()
    return settings


async def test_a_refresh_says_what_each_comfyui_answered(settings: Settings, comfyui: ScriptedComfyUI):
    """How many, and what has changed since the last time."""
    await refresh_models(settings)
    comfyui.models["loras"] = ["ink.safetensors", "chalk.safetensors"]

    assert await refresh_models(settings) == [f"{comfyui.url.removeprefix('http://')}: 6 models, 2 new, 1 gone"]


async def test_a_list_says_of_each_model_whether_it_can_be_used_and_who_has_it(
    settings: Settings, comfyui: ScriptedComfyUI
):
    """On, off, or gone from every ComfyUI."""
    await refresh_models(settings)
    database = Database(settings.database_url)
    known = Catalog(database)
    await known.load()
    (base,) = known.snapshot.matching(q="base")
    await known.set_active(base.id, active=False)
    await database.close()
    comfyui.models["loras"] = []
    await refresh_models(settings)
    here = comfyui.url.removeprefix("http://")

    assert await list_models(settings, kind=ModelKind.CHECKPOINT) == [
        f"checkpoint  on    sd15.safetensors  ({here})",
        f"checkpoint  off   SDXL/base.safetensors  ({here})",
    ]
    assert await list_models(settings, q="pencil") == ["lora        gone  pencil.safetensors"]


async def test_without_any_comfyui_there_is_nothing_to_ask(tmp_path: Path):
    """It says how to get one."""
    with pytest.raises(NotFound, match="Start the sidecar once"):
        await refresh_models(read_settings({"GENONAUT_DATA": str(tmp_path)}))


async def test_the_command_prints_lines_and_nothing_else(settings: Settings, environment: dict[str, str]):
    """What is printed can be sent into a file; what is logged goes elsewhere."""
    del settings  # it has registered the instance
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sidecar.cli", "models", "refresh"),
        cwd=PROJECT,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()

    assert process.returncode == 0, errors
    assert output.decode().splitlines() == [
        f"{environment['GENONAUT_COMFYUI_URL'].removeprefix('http://')}: 5 models, 5 new, 0 gone"
    ]


async def test_a_look_that_fails_is_not_the_last_one(
    quick_looks: None,
    client: AsyncClient,
    environment: dict[str, str],
    comfyui: ScriptedComfyUI,
    monkeypatch: pytest.MonkeyPatch,
):
    """Else what it knows of models would grow old, and nobody would be told."""
    failed = asyncio.Event()
    really_read = catalog.version_of

    async def version_of(session: AsyncSession) -> Version:
        if failed.is_set():
            return await really_read(session)
        failed.set()
        raise RuntimeError("A fault of ours")

    monkeypatch.setattr(catalog, "version_of", version_of)
    await asyncio.wait_for(failed.wait(), 30)
    comfyui.models["loras"] = ["ink.safetensors"]
    await refresh_models(read_settings(environment))

    await until(lambda: models(client, q="ink"))


@both_databases
async def test_a_sidecar_that_runs_notices_what_the_command_did(
    quick_looks: None, client: AsyncClient, environment: dict[str, str], comfyui: ScriptedComfyUI
):
    """They share nothing but the database; so do several servers on one PostgreSQL."""
    comfyui.models["loras"] = ["ink.safetensors"]
    await refresh_models(read_settings(environment))

    await until(lambda: models(client, q="ink"))
