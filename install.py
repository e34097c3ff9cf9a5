"""
Sets Genonaut up, and takes it away again.

    python3 install.py                make the sidecar's environment (ComfyUI-Manager runs exactly this)
    python3 install.py demo           a real ComfyUI with Genonaut in it and a first generation, until Ctrl-C
    python3 install.py test           every check of the project; arguments are passed on to pytest
    python3 install.py bench          what Genonaut costs, measured beside ComfyUI alone
    python3 install.py uninstall      remove what was made; `--purge` removes generations and images too

The sidecar's packages never meet ComfyUI's: they lie in an environment of their own, in one cache folder
(`GENONAUT_CACHE`) that all checkouts share. Nothing here needs more than Python and pip.
"""

import argparse
import errno
import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

# What stands above this, and the grammar of the whole file, suits older Pythons too: they get as far as the sentence.
if sys.version_info < (3, 10):  # noqa: UP036 - ComfyUI may bring an older one
    sys.exit(
        "Genonaut needs Python 3.10 or newer and this is {}.{}; run it with a newer one, "
        "for example: python3.12 install.py".format(*sys.version_info)
    )

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

PACK_FOLDER = Path(__file__).resolve().parent
# By hand, because the Python of the Windows portable ComfyUI does not look beside the script it runs.
sys.path[:0] = [str(PACK_FOLDER), str(PACK_FOLDER / "tests")]

from comfy_nodes import locations  # noqa: E402
from comfy_nodes.locations import SetupFailed  # noqa: E402

UV_REQUIREMENT = "uv>=0.9"
CACHE_SUBFOLDERS = ("environments", "tools", "real")
IN_TESTS = {"demo": "real.demo", "test": "real.checks", "bench": "real.bench"}

# What pip, uv, npm and apt write, in lower case.
NETWORK_TROUBLE = (
    "connection refused",
    "connectionerror",
    "could not resolve",
    "dns error",
    "econnrefused",
    "enotfound",
    "error sending request",
    "failed to fetch",
    "name resolution",
    "network is unreachable",
    "newconnectionerror",
    "timed out",
)
DISK_TROUBLE = ("no space left on device", "enospc", "not enough space on the disk", "disk quota exceeded")


def main(arguments: Sequence[str]) -> int:
    """Do what was asked; say in one sentence why it could not be done."""
    try:
        if arguments and arguments[0] in IN_TESTS:
            return run_from_tests(arguments[0], list(arguments[1:]))
        chosen = read_arguments(arguments)
        if chosen.command == "uninstall":
            return uninstall(purge=chosen.purge)
        return install()
    except SetupFailed as failure:
        print(failure, file=sys.stderr)
    except OSError as failure:
        print(explain_os_error(failure), file=sys.stderr)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
    return 1


def read_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="install.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name in IN_TESTS:
        commands.add_parser(name, add_help=False)
    removal = commands.add_parser("uninstall", help="remove what was made here, for all checkouts")
    removal.add_argument("--purge", action="store_true", help="remove generations and images as well")
    return parser.parse_args(arguments)


def run_from_tests(command: str, arguments: list[str]) -> int:
    """Hand over to `tests/real`, which a pack from ComfyUI's registry does not have: hence the import by name."""
    if not (PACK_FOLDER / "tests" / "real").is_dir():
        raise SetupFailed(f"This copy of Genonaut comes without its tests, which `{command}` needs; use a git clone.")
    # They start ComfyUI and the sidecar dozens of times, and each start would compile the same files again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    status: int = importlib.import_module(IN_TESTS[command]).main(arguments)
    return status


# The sidecar's environment


def install() -> int:
    """Make the sidecar's environment unless it is there. Says something only when there was something to do."""
    started = time.monotonic()
    if locations.sidecar_command(PACK_FOLDER) is None:
        make_sidecar_environment()
        print(f"Genonaut's sidecar has its environment ({time.monotonic() - started:.0f} s).")
    return 0


def make_sidecar_environment() -> None:
    locations.make_once(locations.sidecar_environment(PACK_FOLDER), build_sidecar_environment)


def build_sidecar_environment(folder: Path) -> dict[str, Any]:
    """In the first way that gives a working environment; where none does, the last way's reason is told."""
    lock_file = locations.sidecar_lock_file(PACK_FOLDER)
    if lock_file.exists():
        wanted = ["--require-hashes", "-r", str(lock_file)]
    else:
        wanted = [f"genonaut[sidecar]=={locations.pack_version(PACK_FOLDER)}"]
    return first_that_works(folder, wanted, ways_to_build(), check_sidecar)


def check_sidecar(facts: Mapping[str, Any]) -> None:
    """The sidecar's modules can be imported there."""
    run_program(locations.command_in(facts, PACK_FOLDER, "check"), "starting the sidecar's Python")


def make_environment(name: str, lock_file: Path) -> Path:
    """An ordinary environment with exactly what the lock file says, shared by all checkouts. Returns its Python."""
    folder = locations.environment_folder(name, lock_file.read_bytes())
    facts = locations.make_once(
        folder,
        lambda empty_folder: first_that_works(
            empty_folder, ["--require-hashes", "-r", str(lock_file)], [with_uv, with_venv]
        ),
    )
    return Path(facts["python"])


Way = Callable[[Path, list[str]], dict[str, Any]]


def first_that_works(
    folder: Path, wanted: list[str], ways: Sequence[Way], check: Callable[[Mapping[str, Any]], None] = lambda _: None
) -> dict[str, Any]:
    """Build with the first way whose outcome passes the check."""
    failures = []
    for way in ways:
        locations.empty(folder)
        try:
            facts = way(folder, wanted)
            check(facts)
        except SetupFailed as failure:
            failures.append(failure)
        else:
            return facts
    raise failures[-1]


def ways_to_build() -> list[Way]:
    """The Python of the Windows portable ComfyUI has no `venv`; a plain folder of packages serves it instead."""
    can_make_environments = (
        importlib.util.find_spec("venv") is not None and importlib.util.find_spec("ensurepip") is not None
    )
    return [with_uv, with_venv if can_make_environments else with_folder]


def with_uv(folder: Path, wanted: list[str]) -> dict[str, Any]:
    uv = str(find_or_fetch_uv())
    python = python_in(folder)
    run_program(
        [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)],
        "making a Python environment with uv",
    )
    # Compiled here and once, as pip does by itself: otherwise the first start does it, or, where Python may not write
    # (PYTHONDONTWRITEBYTECODE, a cache that is read-only), every start.
    run_program(
        [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), *wanted],
        "fetching packages with uv",
    )
    return {"python": str(python), "packages": ""}


def with_venv(folder: Path, wanted: list[str]) -> dict[str, Any]:
    python = make_venv(folder)
    run_program([str(python), "-m", "pip", "install", "--quiet", *wanted], "fetching packages with pip")
    return {"python": str(python), "packages": ""}


def with_folder(folder: Path, wanted: list[str]) -> dict[str, Any]:
    packages = folder / "packages"
    run_program(
        [sys.executable, "-s", "-m", "pip", "install", "--quiet", "--target", str(packages), *wanted],
        "fetching packages with pip",
    )
    return {"python": sys.executable, "packages": str(packages)}


def make_venv(folder: Path) -> Path:
    """An environment with pip in it, from the standard library alone. Returns its Python."""
    run_program(
        [sys.executable, "-m", "venv", str(folder)],
        "making a Python environment (on Debian and Ubuntu: apt install python3-venv)",
    )
    return python_in(folder)


def python_in(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def find_or_fetch_uv() -> Path:
    """The uv on the PATH, else one from PyPI in the cache."""
    found = shutil.which("uv")
    if found:
        return Path(found)

    def fetch(folder: Path) -> dict[str, Any]:
        run_program(
            [sys.executable, "-s", "-m", "pip", "install", "--quiet", "--target", str(folder), UV_REQUIREMENT],
            "fetching uv with pip",
        )
        return {}

    folder = locations.cache_folder() / "tools" / "uv"
    locations.make_once(folder, fetch)
    return folder / "bin" / ("uv.exe" if os.name == "nt" else "uv")


# Taking it away


def uninstall(*, purge: bool) -> int:
    """Remove environments, tools and what was fetched; data only when it was said so."""
    cache = locations.cache_folder()
    for name in CACHE_SUBFOLDERS:
        remove(cache / name)
    if cache.is_dir() and not any(cache.iterdir()):
        cache.rmdir()
    kept = [folder for folder in locations.data_folders(PACK_FOLDER) if is_data_of_genonaut(folder)]
    for folder in kept if purge else []:
        remove(folder)
    if kept and not purge:
        print("Generations and images are still there (uninstall --purge removes them): " + ", ".join(map(str, kept)))
    return 0


def is_data_of_genonaut(folder: Path) -> bool:
    """Nothing but a sidecar or a pack makes this file, so a mistyped GENONAUT_DATA costs nobody a folder."""
    return (folder / "pairing-secret").is_file()


def remove(folder: Path) -> None:
    if not folder.exists():
        return
    try:
        shutil.rmtree(folder)
    except OSError as exc:
        raise SetupFailed(
            f"{folder} cannot be removed ({exc.strerror}); stop every ComfyUI and sidecar that uses it, "
            "then run uninstall again."
        ) from exc
    print(f"Removed {folder}")


# Programs and progress, also for tests/real


def run_program(
    command: Sequence[str], doing: str, *, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> str:
    """
    Run a program to its end and return what it wrote.

    Raises:
        SetupFailed: It could not be started or failed: what we were `doing`, why, and what to do now.
    """
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
            check=False,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as exc:
        raise SetupFailed(f"{sentence_start(doing)} failed: {command[0]} cannot be started ({exc.strerror}).") from exc
    if done.returncode != 0:
        raise SetupFailed(explain_failure(doing, done.stdout))
    return done.stdout


def explain_failure(doing: str, output: str) -> str:
    """One sentence out of what a program wrote before it failed. All of it is kept in a file."""
    lowered = output.lower()
    if any(sign in lowered for sign in DISK_TROUBLE):
        return explain_os_error(OSError(errno.ENOSPC, "full"))
    if any(sign in lowered for sign in NETWORK_TROUBLE):
        return (
            f"{sentence_start(doing)} failed because the package index cannot be reached; "
            "check the network (or pip's proxy settings) and run this again."
        )
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    report = locations.cache_folder() / "last-failure.log"
    report.write_text(output, encoding="utf-8")
    return (
        f"{sentence_start(doing)} failed: {lines[-1] if lines else 'it said nothing'} (everything it said: {report})."
    )


def explain_os_error(failure: OSError) -> str:
    cache = locations.cache_folder()
    if failure.errno in {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}:
        return (
            "The disk is full; free some space or set GENONAUT_CACHE to a folder on another disk "
            f"(now: {cache}), then run this again."
        )
    if failure.errno in {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}:
        return (
            f"{failure.filename or cache} cannot be written; set GENONAUT_CACHE to a folder of yours "
            f"(now: {cache}) and run this again."
        )
    return f"The set-up cannot go on: {failure}; when that is mended, run this again."


def sentence_start(text: str) -> str:
    return text[:1].upper() + text[1:]


@contextmanager
def step(sentence: str) -> Iterator[None]:
    """Tell people what takes long, while it does, and afterwards how long it took."""
    print(f"{sentence} ...", end=" ", flush=True)
    started = time.monotonic()
    try:
        yield
    except BaseException:
        print(flush=True)
        raise
    print(f"{time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
