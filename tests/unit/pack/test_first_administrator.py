"""Whoever starts a ComfyUI with accounts learns how to come in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from comfy_nodes.first_administrator import Reminder
from comfy_nodes.sidecar_client import SidecarAway


class Sidecar:
    def __init__(self, *, needs: bool, is_away: bool = False) -> None:
        self.needs, self.is_away = needs, is_away

    async def needs_first_administrator(self) -> bool:
        if self.is_away:
            raise SidecarAway("nobody answers")
        return self.needs


@pytest.mark.parametrize(
    ("sidecar", "access", "says"),
    [
        (Sidecar(needs=True), "accounts", 1),
        (Sidecar(needs=False), "accounts", 0),
        (Sidecar(needs=True, is_away=True), "accounts", 0),
        (Sidecar(needs=True), "proxy", 0),
        (Sidecar(needs=True), None, 0),
    ],
)
async def test_comfyuis_log_says_where_the_link_is(
    sidecar: Sidecar, access: str | None, says: int, caplog: pytest.LogCaptureFixture
) -> None:
    """As long as there is no administrator, and only where people log in. The link itself stands there alone."""
    server = SimpleNamespace(loop=asyncio.get_running_loop())
    Reminder(server, sidecar, Path("data/sidecar.log")).access_told(access)  # type: ignore[arg-type] # all that is used of it
    for _ in range(3):
        await asyncio.sleep(0)

    said = [record.getMessage() for record in caplog.records]
    assert len(said) == says
    assert all(str(Path("data/sidecar.log")) in message for message in said)
