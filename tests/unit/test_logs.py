"""What stands in the log, and what never does."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import structlog
from sidecar.logs import set_up_logs

set_up_logs(sys.argv[1])

def fail(pairing_secret):
    raise RuntimeError("the cause")

try:
    fail("THE-SECRET")
except RuntimeError:
    structlog.get_logger("test").exception("it_failed", generation_id="0193")
"""


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_traceback_shows_no_values(log_format: str):
    """Secrets and people's prompts are among the values of variables; the cause and the generation are told."""
    program = [sys.executable, "-c", PROGRAM.replace('fail("THE-SECRET")', 'fail("-".join(["THE", "SECRET"]))')]
    logged = subprocess.run([*program, log_format], capture_output=True, check=True, text=True).stderr

    assert "THE-SECRET" not in logged
    assert "the cause" in logged
    assert "0193" in logged
