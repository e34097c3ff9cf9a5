"""
A PostgreSQL of the tests' own, on loopback, with its data in a folder that is thrown away.

    with start_postgresql(folder) as server:
        server.create("mine"); server.url("mine")
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from comfy_nodes.locations import SetupFailed
from real.debian import install_from_debian
from real.processes import LOOPBACK, Program, free_port

PLACES = ("/usr/lib/postgresql", "/opt/homebrew/opt/postgresql", "C:/Program Files/PostgreSQL")
READY_WITHIN_S = 60.0
ACCOUNT = "genonaut"
# Nothing here has to survive the end of the power.
UNSAFE_AND_QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
EXECUTABLE = ".exe" if os.name == "nt" else ""


def find_postgresql() -> Path:
    """
    The folder of PostgreSQL's programs (`GENONAUT_POSTGRESQL`, else what is installed, else it is installed now).

    Raises:
        SetupFailed: There is none and it cannot be installed from here.
    """
    found = next(installed(), None)
    if found is None and install_from_debian("postgresql", megabytes=50):
        found = next(installed(), None)
    if found is None:
        raise SetupFailed(
            "The tests need PostgreSQL; install it (on Debian: sudo apt install postgresql), "
            "or set GENONAUT_POSTGRESQL to the folder of its programs, and run this again."
        )
    return found


def installed() -> Iterator[Path]:
    on_path = shutil.which("initdb")
    yield from (Path(folder) for folder in (os.environ.get("GENONAUT_POSTGRESQL"),) if folder)
    if on_path:
        yield Path(on_path).resolve().parent
    # Debian puts its programs on nobody's path, one folder for each version.
    for place in PLACES:
        yield from (found.parent for found in sorted(Path(place).glob(f"**/bin/initdb{EXECUTABLE}"), reverse=True))


class PostgreSQL(Program):
    """A server that answers. Stopping it closes its connections and leaves nothing behind but its folder."""

    programs: Path
    port: int

    def __enter__(self) -> PostgreSQL:
        return self

    def url(self, database: str) -> str:
        return f"postgresql://{ACCOUNT}@{LOOPBACK}:{self.port}/{database}"

    def create(self, database: str, *, template: str = "template1") -> str:
        """Make a database, as a copy of another one to which nobody is connected; its URL."""
        self.run(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        return self.url(database)

    def drop(self, database: str) -> None:
        self.run(f'DROP DATABASE "{database}" WITH (FORCE)')

    def run(self, statement: str) -> None:
        psql = [str(self.programs / "psql"), "--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", self.url("postgres")]
        run([*psql, "--command", statement], "speaking with PostgreSQL")

    def answers(self) -> bool:
        asked = [str(self.programs / "pg_isready"), "--quiet", "--host", LOOPBACK, "--port", str(self.port)]
        return subprocess.run(asked, check=False, stdin=subprocess.DEVNULL).returncode == 0


def start_postgresql(folder: Path, *, port: int | None = None) -> PostgreSQL:
    """
    Make a server's data in a folder and start it. All folders above it must let everybody through.

    Raises:
        SetupFailed: It is not installed, or does not come up.
    """
    programs = find_postgresql()
    data = folder / "data"
    account = unprivileged_account()
    folder.mkdir(parents=True, exist_ok=True)
    if account:
        shutil.chown(folder, user=account)
    initdb = [str(programs / "initdb"), "--username", ACCOUNT, "--auth", "trust", "--encoding", "UTF8"]
    run([*initdb, "--locale", "C", "--no-sync", "--pgdata", str(data)], "making PostgreSQL's data", account=account)
    return serve(programs, data, port=port or free_port(), account=account)


def serve(programs: Path, data: Path, *, port: int, account: str | None) -> PostgreSQL:
    settings = (f"listen_addresses={LOOPBACK}", "unix_socket_directories=", "max_connections=200", *UNSAFE_AND_QUICK)
    server = PostgreSQL(
        [str(programs / "postgres"), "-D", str(data), "-p", str(port), *(f"--{setting}" for setting in settings)],
        log=data.parent / "postgresql.log",
        account=account,
        outlives_us=False,
    )
    server.programs, server.port = programs, port
    try:
        server.wait_until(server.answers, within_s=READY_WITHIN_S, name="PostgreSQL")
    except BaseException:
        server.stop()
        raise
    return server


def unprivileged_account() -> str | None:
    """PostgreSQL refuses to be run by root; whom to run it as instead."""
    return "nobody" if sys.platform != "win32" and os.geteuid() == 0 else None


def run(command: list[str], doing: str, *, account: str | None = None) -> None:
    ended = subprocess.run(
        command, check=False, capture_output=True, text=True, encoding="utf-8", stdin=subprocess.DEVNULL, user=account
    )
    if ended.returncode != 0:
        raise SetupFailed(f"Something went wrong while {doing}:\n{ended.stderr.strip() or ended.stdout.strip()}")
