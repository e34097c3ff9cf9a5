"""`install.py test`: every check runs, and its exit status can be trusted."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from real.checks import SUITES, TESTS, Check, all_unless_in, run_all


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


def test_naming_a_test_runs_that_alone() -> None:
    """
    Options leave all suites in, side by side; a file, a folder or one test in a file replaces them, in one process.
    """
    this_file = str(Path(__file__))

    assert all_unless_in(["-x", "-k", "queue"])[-len(SUITES) :] == [str(TESTS / suite) for suite in SUITES]
    assert all_unless_in([f"{this_file}::test_naming_a_test_runs_that_alone", "-x"]) == []


def test_no_suite_is_forgotten() -> None:
    """
    Every folder with tests in it is run.
    """
    assert {file.relative_to(TESTS).parts[0] for file in TESTS.glob("*/**/test_*.py")} == set(SUITES)
