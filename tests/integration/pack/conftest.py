"""A real ComfyUI with the pack in it, and stand-ins for the sidecar that the tests dispatch with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from fakes.sidecar import PatientSidecar
from real.comfyui import fetch_comfyui
from real.processes import WITHOUT_A_PAGE, RunningComfyUI, free_port, start_comfyui

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def sidecar_port() -> int:
    return free_port()


@pytest.fixture(scope="session")
def comfyui(tmp_path_factory: pytest.TempPathFactory, sidecar_port: int) -> Iterator[RunningComfyUI]:
    environment = {
        "GENONAUT_SIDECAR_START": "no",
        "GENONAUT_PORT": str(sidecar_port),
        "GENONAUT_PAIRING_SECRET": "paired",
    }
    base = tmp_path_factory.mktemp("comfyui")
    with start_comfyui(
        fetch_comfyui(), base=base, pack=CHECKOUT, environment=environment, arguments=WITHOUT_A_PAGE, forked=True
    ) as running:
        yield running


@pytest.fixture
async def sidecar(comfyui: RunningComfyUI, sidecar_port: int) -> AsyncIterator[PatientSidecar]:
    async with PatientSidecar(sidecar_port, comfyui.url) as patient:
        yield patient
        # What this test left held must not be seen by the next one.
        async with patient.session.post(f"{comfyui.url}/queue", json={"clear": True}):
            pass


@pytest.fixture
async def page() -> AsyncIterator[aiohttp.ClientSession]:
    """Whoever uses ComfyUI from a browser or a program."""
    async with aiohttp.ClientSession() as session:
        yield session
