"""
`install.py test`: every check of the project, in order; pytest comes last and has the last word.

A check that fails keeps no other from running.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from comfy_nodes.locations import held_lock
from install import PACK_FOLDER, make_environment, make_sidecar_environment, step
from real.browser import find_chromium
from real.comfyui import fetch_comfyui
from real.frontend import fetch_newer_frontend
from real.models import make_models
from real.node import fetch_axe, fetch_client, fetch_typescript
from real.postgresql import find_postgresql

TESTS = PACK_FOLDER / "tests"
LOCK_FILE = TESTS / "requirements.lock"
SUITES = ("acceptance", "integration", "web", "architecture", "unit")
"""The longest first: what is begun last is short, and no core is left idle at the end."""
BACKENDS = ("embedded", "postgresql", "postgresql_redis")
"""`tests/integration/backends.py` says what they are; that file needs pytest, and this one must not."""
ALL = "all"
WORKERS = min(max(4, os.cpu_count() or 1), 8)
"""Half of them wait for real programs most of the time (`tests/conftest.py`): four keep two cores busy."""


@dataclass(frozen=True)
class Check:
    headline: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    alone: Path | None = None
    """The lock that is held meanwhile, where two checkouts must not run it at once."""


def main(arguments: Sequence[str]) -> int:
    """Set up what the checks need, run them all, and return pytest's status, or 1 where only another check failed."""
    backend, for_pytest = read_arguments(arguments)
    python = make_tests_environment()
    chromium = find_chromium()
    compiler = fetch_typescript()
    fetch_client()
    fetch_axe()
    find_postgresql()
    make_sidecar_environment()
    program = fetch_comfyui()
    make_models(program)
    fetch_newer_frontend(program)

    return run_all(list_checks(python, compiler, chromium, backend, for_pytest))


def read_arguments(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """On what the tests shall run, and what is for pytest."""
    parser = argparse.ArgumentParser(
        prog="install.py test",
        usage="install.py test [--backend NAME] [WHAT PYTEST TAKES ...]",
        description="Runs every check of the project. What else stands here goes to pytest: names of files or tests, "
        "which are run instead of all of them, and its options.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--backend",
        choices=[*BACKENDS, ALL],
        default=BACKENDS[0],
        help="what the integration tests keep everything in; embedded, where it is not said, together with those tests "
        "on servers for which it matters; all: everything so, and then the integration tests on each of the others",
    )
    known, for_pytest = parser.parse_known_args(arguments)
    return known.backend, for_pytest


def make_tests_environment() -> Path:
    with step("The tests' Python environment"):
        return make_environment("tests", LOCK_FILE)


def list_checks(
    python: Path, compiler: list[str], chromium: Path, backend: str, for_pytest: Sequence[str]
) -> list[Check]:
    tools = python.parent
    return [
        Check("Format", [str(tools / "ruff"), "format", "--check", "."]),
        Check("Lint", [str(tools / "ruff"), "check", "."]),
        check_of_types(python),
        Check("Types of the panels", [*compiler, "--project", "web_extension/jsconfig.json", "--noEmit"]),
        Check("Imports point inwards", [str(tools / "lint-imports"), "--no-logo"]),
        *(
            Check(
                f"Tests on {name}",
                [str(python), "-m", "pytest", "-c", str(TESTS / "pytest.ini"), "--backend", name, *asked],
                {"GENONAUT_CHROMIUM": str(chromium)},
            )
            for name, asked in runs_of_tests(backend, for_pytest)
        ),
    ]


def runs_of_tests(backend: str, for_pytest: Sequence[str]) -> list[tuple[str, list[str]]]:
    """On what, and with which arguments. The last one has everything; the others have what depends on that."""
    if backend != ALL:
        return [(backend, [*for_pytest, *all_unless_in(for_pytest)])]
    first, *others = BACKENDS
    return [
        *((name, [*for_pytest, *all_unless_in(for_pytest, ["integration"])]) for name in others),
        (first, [*for_pytest, *all_unless_in(for_pytest)]),
    ]


def check_of_types(python: Path) -> Check:
    """
    What it has found out of the packages and of the last checkout lies beside the packages, so that a fresh clone
    begins with it: a second instead of twenty. Where nobody may write there, each checkout has its own.
    """
    mypy, environment = str(python.parent / "mypy"), python.parent.parent
    if not os.access(environment, os.W_OK):
        return Check("Types", [mypy])
    known = environment / "known-types"
    return Check("Types", [mypy, "--cache-dir", str(known)], alone=known.with_suffix(".lock"))


def all_unless_in(arguments: Sequence[str], suites: Sequence[str] = SUITES) -> list[str]:
    """
    All suites, a group to a worker (`tests/conftest.py`); or what somebody named, in one process that can be followed
    and debugged.
    """
    if any(Path(argument.partition("::")[0]).exists() for argument in arguments):
        return []
    side_by_side = ["--numprocesses", str(WORKERS), "--dist", "loadfile", "--no-loadscope-reorder"]
    # Dozens of real processes share two cores. What failed once is tried once more; at the end stands which, and why.
    once_more = ["--reruns", "1", "-ra", "--rerun-show-tracebacks"]
    return [*side_by_side, *once_more, *(str(TESTS / suite) for suite in suites)]


def run_all(checks: Sequence[Check]) -> int:
    """Run every check, whatever the others say. The last one's output ends the run: what failed is said before."""
    *others, tests = checks
    failed = [check.headline for check in others if not passes(check)]
    if failed:
        print(f"\nFailed before the tests: {', '.join(failed)}", flush=True)
    return run(tests) or (1 if failed else 0)


def passes(check: Check) -> bool:
    started = time.monotonic()
    status = run(check)
    print(f"{'ok' if status == 0 else 'FAILED'}, {time.monotonic() - started:.0f} s", flush=True)
    return status == 0


def run(check: Check) -> int:
    print(f"\n== {check.headline}", flush=True)
    with held_lock(check.alone) if check.alone else nullcontext():
        return subprocess.run(
            check.command,
            cwd=PACK_FOLDER,
            env={**os.environ, **check.environment},
            stdin=subprocess.DEVNULL,
            check=False,
        ).returncode
