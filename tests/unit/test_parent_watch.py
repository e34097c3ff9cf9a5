"""A sidecar does not outlive the ComfyUI that started it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from sidecar.parent_watch import wait_for_end_of

WATCHER = """
import asyncio, sys
from sidecar.parent_watch import wait_for_end_of
print("watching", flush=True)
asyncio.run(wait_for_end_of(int(sys.argv[1])))
print("the parent is gone", flush=True)
"""
PARENT = """
import os, subprocess, sys
subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid())])
sys.stdin.read()
"""


async def test_it_waits_while_the_parent_lives():
    """The parent of this process is alive for as long as the test runs."""
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(wait_for_end_of(os.getppid()), 0.2)


def test_it_returns_when_the_parent_was_killed():
    """Also when the parent had no chance to say good-bye."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, WATCHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    with parent.stdin, parent.stdout:
        assert parent.stdout.readline() == "watching\n"
        parent.kill()
        parent.wait()

        assert parent.stdout.readline() == "the parent is gone\n"
