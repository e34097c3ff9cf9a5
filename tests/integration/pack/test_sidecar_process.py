"""The life of a sidecar that the pack starts, shown with a small program in its place."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.stranger import stranger
from real.processes import free_port

from comfy_nodes import sidecar_process
from comfy_nodes.pairing import pairing_of
from comfy_nodes.settings import PackSettings, read_settings
from comfy_nodes.sidecar_process import SidecarProcess, keep_small
from comfy_nodes.sidecar_proof import Answering, who_answers

CHECKOUT = Path(__file__).resolve().parents[3]
PROGRAM = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

sys.path.insert(0, CHECKOUT)
from sidecar.pairing import ANSWER_HEADER, PAIRING_HEADER, SIDECAR, Pairing

pairing = Pairing(Path(os.environ["GENONAUT_DATA"], "pairing-secret").read_text())

class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        question = pairing.check(self.headers[PAIRING_HEADER], "GET", self.path, names=(SIDECAR,))
        self.send_response(204)
        self.send_header(ANSWER_HEADER, question.answer(204, b""))
        self.end_headers()

starts = Path(os.environ["GENONAUT_DATA"], "starts")
with starts.open("a") as lines:
    lines.write(json.dumps({"pid": os.getpid(), **{k: v for k, v in os.environ.items() if "GENONAUT" in k}}) + "\\n")
print("started", flush=True)
HTTPServer(("127.0.0.1", int(os.environ["GENONAUT_PORT"])), Answer).serve_forever()
"""


@pytest.fixture
def settings(tmp_path: Path) -> PackSettings:
    return read_settings(tmp_path, {"GENONAUT_PORT": str(free_port())})


@pytest.fixture
def watched(settings: PackSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SidecarProcess]:
    monkeypatch.setattr(sidecar_process, "FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(sidecar_process, "LOOK_INTERVAL_S", 0.2)
    command = [sys.executable, "-c", PROGRAM.replace("CHECKOUT", repr(str(CHECKOUT)))]
    process = SidecarProcess(settings, command=command, pack_folder=tmp_path, comfyui_url="http://127.0.0.1:8188")
    process.watch()
    yield process
    process.stop()


def until(condition: Callable[[], Any], *, within_s: float = 20) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "It did not happen in time."
        time.sleep(0.05)


def is_answering(settings: PackSettings) -> bool:
    return who_answers(settings.sidecar_url, pairing_of(settings.pairing_secret)) is Answering.SIDECAR


def starts(settings: PackSettings) -> list[dict[str, Any]]:
    file = settings.data_folder / "starts"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_a_sidecar_is_started_told_what_it_needs_and_stopped(settings: PackSettings, watched: SidecarProcess) -> None:
    """It knows where ComfyUI is, where data lies, and whose end is its own; its words go to the log."""
    until(lambda: is_answering(settings))
    (told,) = starts(settings)
    watched.stop()

    assert told["GENONAUT_COMFYUI_URL"] == "http://127.0.0.1:8188"
    assert told["GENONAUT_DATA"] == str(settings.data_folder)
    assert told["GENONAUT_PARENT_PID"] == str(os.getpid())
    assert (settings.data_folder / "sidecar.log").read_text().startswith("started\n")
    assert not is_answering(settings)


def test_a_sidecar_that_dies_is_started_again(
    settings: PackSettings, watched: SidecarProcess, caplog: pytest.LogCaptureFixture
) -> None:
    """After a short pause, and the log says how it ended."""
    until(lambda: is_answering(settings))
    assert watched._child is not None
    watched._child.kill()
    until(lambda: len(starts(settings)) == 2)
    until(lambda: is_answering(settings))

    assert "The sidecar ended with status" in caplog.text


def test_a_second_watcher_starts_no_second_sidecar(
    settings: PackSettings, watched: SidecarProcess, tmp_path: Path
) -> None:
    """Somebody answers already, so there is nothing to start."""
    until(lambda: is_answering(settings))
    other = SidecarProcess(settings, command=["missing"], pack_folder=tmp_path, comfyui_url="")
    other.watch()
    time.sleep(0.5)
    other.stop()

    assert len(starts(settings)) == 1


async def test_where_another_program_has_the_port_nothing_is_started_until_it_ends(
    settings: PackSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is named once, with what to do; nobody takes it for the sidecar."""
    monkeypatch.setattr(sidecar_process, "LOOK_INTERVAL_S", 0.05)
    process = SidecarProcess(settings, command=["missing"], pack_folder=tmp_path, comfyui_url="")
    async with stranger(settings.sidecar_port) as (_, told):
        process.watch()
        while len(told) < 3:
            await asyncio.sleep(0.01)
        started_beside_it = "could not be started with" in caplog.text
    await asyncio.to_thread(until, lambda: "could not be started with" in caplog.text)
    process.stop()

    assert not started_beside_it
    assert caplog.text.count("end it, or choose another one with GENONAUT_PORT") == 1


def test_without_an_environment_one_sentence_says_what_to_do(
    settings: PackSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Prompts run without a sidecar; the log names the command that sets it up."""
    process = SidecarProcess(settings, command=None, pack_folder=tmp_path, comfyui_url="")
    process.watch()
    until(lambda: "install.py" in caplog.text)
    process.stop()

    assert len(caplog.records) == 1


def test_a_log_that_has_grown_too_large_is_moved_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files of bounded size at most, also while the sidecar writes to it."""
    monkeypatch.setattr(sidecar_process, "LOG_LIMIT_BYTES", 10)
    file = tmp_path / "sidecar.log"
    with file.open("ab", buffering=0) as output:
        output.write(b"a long line of the log\n")
        keep_small(file)
        output.write(b"new\n")
    keep_small(tmp_path / "missing.log")

    assert file.read_bytes() == b"new\n"
    assert (tmp_path / "sidecar.log.1").read_bytes() == b"a long line of the log\n"
