"""The ways of having Genonaut run. Each is started once and shared."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from acceptance.installation import Installation
from acceptance.members import Members, members_of
from real.processes import WITHOUT_A_PAGE


@pytest.fixture(scope="session")
def genonaut(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """As a person has it: ComfyUI starts the sidecar. Tests leave it with nothing waiting and nothing running."""
    with Installation(tmp_path_factory.mktemp("genonaut"), pack_starts_sidecar=True, forked=False) as installation:
        installation.start_comfyui()
        installation.wait_for_sidecar()
        installation.wait_until_connected()
        yield installation


@pytest.fixture(scope="session")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The sidecar is started on its own, so that it can be killed alone and stays away."""
    with Installation(
        tmp_path_factory.mktemp("fragile"), pack_starts_sidecar=False, arguments=WITHOUT_A_PAGE
    ) as installation:
        installation.start_comfyui()
        installation.start_sidecar()
        installation.wait_until_connected()
        yield installation


@pytest.fixture(scope="session")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Members]:
    """As `genonaut`, for several people with accounts. Tests leave it with nothing waiting and nothing running."""
    with members_of(tmp_path_factory.mktemp("members")) as members:
        yield members
