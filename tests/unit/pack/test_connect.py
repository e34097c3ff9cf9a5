"""All hooks or none."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from comfy_nodes.connect import closed_on_failure, connect, open_journal
from comfy_nodes.executor_guard import guard_execute


async def answer_well(request: web.Request) -> web.Response:
    return web.Response(text="well")


class FailedInstallation:
    """An application whose hooks could not be installed. (Here ComfyUI itself is not there.)"""

    def __init__(self) -> None:
        self.app = web.Application()
        self.app.router.add_get("/", answer_well)
        self.app.router.add_post("/prompt", answer_well)
        connect(SimpleNamespace(app=self.app))

    async def ask(self) -> tuple[int, int, dict[str, Any]]:
        async with TestClient(TestServer(self.app)) as browser:
            looked = await browser.get("/")
            posted = await browser.post("/prompt", json={})
            return looked.status, posted.status, await posted.json()


@pytest.fixture
def listens_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def listen(address: str) -> None:
        module = ModuleType("comfy.cli_args")
        module.args = SimpleNamespace(listen=address)  # type: ignore[attr-defined] # all that is used of it
        monkeypatch.setitem(sys.modules, "comfy", ModuleType("comfy"))
        monkeypatch.setitem(sys.modules, "comfy.cli_args", module)

    monkeypatch.delenv("GENONAUT_ACCESS", raising=False)
    return listen


async def test_where_a_hook_cannot_be_installed_nothing_is_accepted_and_the_reason_is_said(
    caplog: pytest.LogCaptureFixture, listens_at: Callable[[str], None]
) -> None:
    """People may look; what would change something gets 503 in ComfyUI's shape."""
    listens_at("127.0.0.1")
    looked, posted, told = await FailedInstallation().ask()

    assert (looked, posted) == (200, 503)
    assert told["error"]["type"] == "genonaut_not_installed"
    assert "execution" in told["error"]["details"]
    assert "could not be installed" in caplog.text


@pytest.mark.parametrize(("address", "access"), [("0.0.0.0", ""), ("127.0.0.1", "accounts")])
async def test_where_people_have_accounts_half_a_gate_shows_nothing_either(
    listens_at: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, address: str, access: str
) -> None:
    """Without its hooks ComfyUI would show everybody's things to everybody."""
    listens_at(address)
    monkeypatch.setenv("GENONAUT_ACCESS", access)

    assert (await FailedInstallation().ask())[:2] == (503, 503)


@pytest.mark.parametrize(("access", "expected"), [("accounts", (503, 503)), ("open", (200, 200))])
async def test_where_the_rest_of_the_pack_cannot_be_loaded_people_with_accounts_are_not_left_alone(
    listens_at: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, access: str, expected: tuple[int, int]
) -> None:
    """ComfyUI goes on without a pack that fails; in open access it is what it would be without us."""
    listens_at("127.0.0.1")
    monkeypatch.setenv("GENONAUT_ACCESS", access)
    app = web.Application()
    app.router.add_get("/", answer_well)
    app.router.add_post("/prompt", answer_well)
    with pytest.raises(ImportError), closed_on_failure(SimpleNamespace(app=app)):
        raise ImportError("this ComfyUI has no comfy_api")

    async with TestClient(TestServer(app)) as browser:
        assert ((await browser.get("/")).status, (await browser.post("/prompt")).status) == expected


def test_an_executor_that_raises_ends_the_prompt_as_failed() -> None:
    """What ComfyUI's worker reads from the executor afterwards is all there."""
    messages: list[Any] = []

    class Executor:
        status_messages: list[Any] = messages
        success = True

        def reset(self) -> None:
            self.status_messages = []

        def add_message(self, event: str, data: Any, *, broadcast: bool) -> None:
            self.status_messages.append((event, data))

        def execute(self, prompt: Any, prompt_id: str) -> None:
            messages.append(("execution_start", {}))
            raise RecursionError

    executor: Any = Executor()
    guard_execute(Executor.execute)(executor, {}, "id")

    assert executor.success is False
    assert executor.history_result == {"outputs": {}, "meta": {}}
    assert [event for event, _ in executor.status_messages] == ["execution_start", "execution_error"]


def test_two_comfyuis_in_one_folder_have_a_journal_each(tmp_path: Path) -> None:
    """Both would otherwise write over each other; who comes after them finds the first one again."""
    first, second = open_journal(tmp_path), open_journal(tmp_path)
    first.append("finished", "a", {})
    second.append("finished", "b", {})
    first.close()
    third = open_journal(tmp_path)

    assert (first.file.name, second.file.name, third.file.name) == (
        "outcomes.jsonl",
        "outcomes-2.jsonl",
        "outcomes.jsonl",
    )
    assert third.is_finished("a")
    second.close()
    third.close()


def test_where_nothing_can_be_locked_the_first_journal_is_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Some shares know no locks; ComfyUI works there all the same, and the log says what to mind."""

    def refuse(descriptor: int) -> bool:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("comfy_nodes.connect.try_to_lock", refuse)
    journal = open_journal(tmp_path)

    assert journal.file.name == "outcomes.jsonl"
    assert len([record for record in caplog.records if "cannot be locked" in record.message]) == 1
    journal.close()


def test_a_lock_that_is_never_given_is_not_asked_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is an end, with a sentence that says what to do."""
    monkeypatch.setattr("comfy_nodes.connect.try_to_lock", lambda descriptor: False)
    with pytest.raises(OSError, match="Give this ComfyUI a folder with GENONAUT_DATA"):
        open_journal(tmp_path)
