"""`install.py test`: every check runs, and its exit status can be trusted."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from integration import backends
from real.checks import (
    BACKENDS,
    LOCK_FILE,
    SUITES,
    TESTS,
    Check,
    all_unless_in,
    check_of_types,
    main,
    read_arguments,
    run,
    run_all,
    runs_of_tests,
)

from comfy_nodes.locations import sidecar_lock_file
from install import PACK_FOLDER


def check(headline: str, status: int) -> Check:
    return Check(headline, [sys.executable, "-c", f"print('{headline} ran', flush=True); raise SystemExit({status})"])


def test_a_check_that_fails_keeps_no_other_from_running(capfd: pytest.CaptureFixture[str]) -> None:
    """
    Whoever fixes things wants to see all that is wrong; which check it was stands before pytest's own last line.
    """
    status = run_all([check("Format", 1), check("Lint", 0), check("Tests", 0)])

    lines = capfd.readouterr().out.split("\n")
    assert status == 1
    assert [line for line in lines if line.endswith(" ran")] == ["Format ran", "Lint ran", "Tests ran"]
    assert "Failed before the tests: Format" in lines
    assert lines[-2] == "Tests ran"


def test_the_status_is_that_of_pytest(capfd: pytest.CaptureFixture[str]) -> None:
    """
    Pytest tells with it why it failed: 1 tests failed, 5 there were none.
    """
    assert run_all([check("Format", 1), check("Tests", 5)]) == 5
    assert run_all([check("Format", 0), check("Tests", 0)]) == 0
    assert capfd.readouterr().err == ""


def test_what_is_known_of_the_types_in_one_checkout_is_not_believed_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    All checkouts share it, and two may have files of the same length that were written in the same second.
    """
    (tmp_path / "environment").mkdir()
    types = check_of_types(tmp_path / "environment" / "bin" / "python")
    tool = Path(sys.executable).with_name("mypy")
    right = checkout(tmp_path / "right", "number: int = 1\n")
    wrong = checkout(tmp_path / "wrong", "number: str = 1\n")

    def status_in(folder: Path) -> int:
        monkeypatch.setattr("real.checks.PACK_FOLDER", folder)
        return run(replace(types, command=[str(tool), *types.command[1:]]))

    assert [status_in(folder) for folder in (right, wrong, right)] == [0, 1, 0]


def checkout(folder: Path, text: str) -> Path:
    """Some files where mypy is told to look, of the same time."""
    files = [folder / name for name in ("install.py", "comfy_nodes/a.py", "sidecar/b.py", "tests/c.py")]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        os.utime(file, (1, 1))
    shutil.copy(PACK_FOLDER / "pyproject.toml", folder)
    return folder


def test_naming_a_test_runs_that_alone() -> None:
    """
    Options leave all suites in, side by side; a file, a folder or one test in a file replaces them, in one process.
    """
    this_file = str(Path(__file__))

    assert all_unless_in(["-x", "-k", "queue"])[-len(SUITES) :] == [str(TESTS / suite) for suite in SUITES]
    assert all_unless_in([f"{this_file}::test_naming_a_test_runs_that_alone", "-x"]) == []


def test_help_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """
    It says what may be asked for, and that pytest has options of its own.
    """
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    told = capsys.readouterr().out

    assert ended.value.code == 0
    assert all(word in told for word in (*BACKENDS, "pytest"))


def test_what_the_tests_run_on_can_be_named_among_what_is_for_pytest() -> None:
    """
    One of those that there are, the embedded where nobody says anything, or one after the other.
    """
    assert tuple(backends.BACKENDS) == BACKENDS
    assert read_arguments(["-x", "-k", "queue"]) == ("embedded", ["-x", "-k", "queue"])
    assert read_arguments(["-x", "--backend", "postgresql", "-k", "queue"]) == ("postgresql", ["-x", "-k", "queue"])
    assert [name for name, _ in runs_of_tests("postgresql", [])] == ["postgresql"]


def test_on_all_of_them_everything_is_run_once() -> None:
    """
    And what depends on it on each of the others, too; what somebody named, on each.
    """
    runs = {name: arguments[-1] for name, arguments in runs_of_tests("all", [])}
    this_file = str(Path(__file__))

    integration, everything = str(TESTS / "integration"), str(TESTS / SUITES[-1])
    assert runs == {"postgresql": integration, "postgresql_redis": integration, "embedded": everything}
    assert runs_of_tests("all", [this_file]) == [(name, [this_file]) for name in runs]


def test_what_is_tried_once_more_is_told_with_its_reason() -> None:
    """
    Also where it passed then: whoever reads the last lines sees what went wrong the first time.
    """
    options = all_unless_in([])

    assert options[options.index("--reruns") + 1] == "1"
    assert "--rerun-show-tracebacks" in options


def test_the_tests_have_every_package_of_the_sidecar() -> None:
    """
    In the same version: whoever adds one to the sidecar's lock file makes that of the tests anew, too.
    """
    tests, sidecar = (
        set(re.findall(r"^[\w.-]+==\S+", file.read_text(encoding="utf-8"), re.MULTILINE))
        for file in (LOCK_FILE, sidecar_lock_file(PACK_FOLDER))
    )

    assert sidecar - tests == set()


def test_no_suite_is_forgotten() -> None:
    """
    Every folder with tests in it is run.
    """
    assert {file.relative_to(TESTS).parts[0] for file in TESTS.glob("*/**/test_*.py")} == set(SUITES)
