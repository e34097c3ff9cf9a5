"""The command line."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import aiohttp
import pytest
from litestar import Litestar

from sidecar.cli import EXIT_UNUSABLE, configured, listen, main
from sidecar.settings import Settings

WITHIN_S = 30.0


async def test_an_answer_in_several_pieces_is_sent_without_delay(tmp_path: Path) -> None:
    """
    Otherwise the second piece waits for the first one's acknowledgement, which the other side puts off for 40 ms.
    """
    sent_at_once: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def look(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted = writer.get_extra_info("socket")
        sent_at_once.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listening = listen(Settings(data_folder=tmp_path, port=0))
    async with await asyncio.start_server(look, sock=listening):
        _reader, writer = await asyncio.open_connection(*listening.getsockname())

        assert await asyncio.wait_for(sent_at_once, WITHIN_S)
        writer.close()


async def test_a_connection_at_rest_is_closed_by_whoever_asks_and_never_by_us() -> None:
    """
    The pack cannot know whether a question was heard that it sent while we closed, and takes us for away.
    """
    asking = aiohttp.TCPConnector()
    kept_s = float(asking._keepalive_timeout or 0)
    await asking.close()

    assert configured(Litestar([])).timeout_keep_alive > 2 * kept_s


def test_a_port_that_somebody_has_is_said_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    One sentence, no traceback, an exit status of its own.
    """
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("GENONAUT_DATA", str(tmp_path))
        monkeypatch.setenv("GENONAUT_PORT", str(taken.getsockname()[1]))
        status = main(["serve"])

    assert status == EXIT_UNUSABLE
    assert "set GENONAUT_PORT to another port" in capsys.readouterr().err


def test_the_description_of_the_api_is_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """
    So that it can be sent into a file.
    """
    status = main(["openapi"])

    assert status == 0
    assert json.loads(capsys.readouterr().out)["openapi"].startswith("3.1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GENONAUT_QUEUE_URL", "redis://:hidden@127.0.0.1:port"),
        ("GENONAUT_QUEUE_URL", "amqp://:hidden@127.0.0.1"),
        ("GENONAUT_DATABASE_URL", "hidden"),
        ("GENONAUT_DATABASE_URL", "nosuch+driver://me:hidden@127.0.0.1/db"),
    ],
)
def test_a_database_or_queue_that_cannot_be_used_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    """
    By the name of the variable, and without the password that may stand in it.
    """
    monkeypatch.setenv("GENONAUT_DATA", str(tmp_path))
    monkeypatch.setenv(name, value)

    assert main(["serve"]) == EXIT_UNUSABLE

    said = capsys.readouterr().err
    assert said.startswith(f"genonaut: {name}")
    assert "hidden" not in said
