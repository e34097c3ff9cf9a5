"""The local owner is an administrator with no name and no password: nobody becomes it by asking."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.asgi import Answer, Browser

from sidecar.accounts import people
from sidecar.accounts.audit import COMMAND_LINE
from sidecar.accounts.callers import Role
from sidecar.app import create_app
from sidecar.database import Database
from sidecar.settings import read_settings

from .conftest import API, CHEAP, NOBODY_THERE, living


@pytest.fixture
def environment(tmp_path: Path, backend: dict[str, str]) -> dict[str, str]:
    data = {"GENONAUT_DATA": str(tmp_path), **backend}
    return {**data, "GENONAUT_WORKER": "none", "GENONAUT_COMFYUI_URL": NOBODY_THERE}


async def ask_me(environment: dict[str, str], access: str, headers: dict[str, str]) -> Answer:
    app = create_app(read_settings({**environment, "GENONAUT_ACCESS": access}), CHEAP)
    async with living(app):
        return await Browser(app, headers=headers).ask("GET", f"{API}/me")


@pytest.mark.parametrize("name", ["local", " LOCAL"])
async def test_whom_a_proxy_calls_local_is_a_member_like_any_other(environment: dict[str, str], name: str) -> None:
    """
    Some people are called that where they log in.
    """
    answer = await ask_me(environment, "proxy", {"X-Forwarded-User": name})

    assert (answer.status, answer.json["role"]) == (200, "member")


@pytest.mark.parametrize("is_taken_over", [False, True], ids=["no administrator yet", "an administrator"])
async def test_a_token_from_open_access_opens_nothing_afterwards(
    environment: dict[str, str], *, is_taken_over: bool
) -> None:
    """
    Whoever reached the machine then could make one, for everything.
    """
    settings = read_settings(environment)
    app = create_app(settings, CHEAP)
    async with living(app):
        wanted = {"name": "later", "scopes": ["read", "submit", "admin"]}
        made = await Browser(app).ask("POST", f"{API}/me/tokens", body=wanted)
    if is_taken_over:
        database = Database(settings.database_url)
        async with database.writing() as session:
            await people.add(session, people.NewPerson("root", Role.ADMIN), CHEAP.hash("secret"), COMMAND_LINE)
        await database.close()
    answer = await ask_me(environment, "accounts", {"Authorization": f"Bearer {made.json['secret']}"})

    assert (made.status, answer.status) == (201, 401)
