"""SAQ's own tests of a queue pass on ours."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path, PurePosixPath

import pytest
from integration.backends import only_embedded

from comfy_nodes import locations

pytestmark = only_embedded("it is about the queue in a file")

CHECKOUT = Path(__file__).parents[3]
RULES = 57  # in the three files of SAQ 0.26.4 that say what a queue, a job and a worker do


@pytest.fixture
def saq_source() -> Path:
    """SAQ's source release of the installed version, fetched once: its wheel comes without its tests."""
    folder = locations.cache_folder() / "real" / f"saq-{version('saq')}"
    locations.make_once(folder, fetch_tests)
    return folder


def fetch_tests(folder: Path) -> dict[str, str]:
    wanted = f"saq=={version('saq')}"
    with tempfile.TemporaryDirectory() as download:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "saq"]
        subprocess.run([*command, "--dest", download, wanted], check=True)
        (archive,) = Path(download).glob("saq-*.tar.gz")
        (folder / "tests").mkdir(parents=True)
        with tarfile.open(archive) as release:
            for member in release.getmembers():
                path = PurePosixPath(member.name)
                content = release.extractfile(member)
                if path.parent.name == "tests" and path.suffix == ".py" and content is not None:
                    (folder / "tests" / path.name).write_bytes(content.read())
    return {"fetched": wanted}


@pytest.mark.timeout(300)
def test_every_rule_that_saq_has_for_a_queue_holds(saq_source):
    """
    What holds for SAQ's queues on Redis and PostgreSQL holds for the one on SQLite: none skipped, none failed.
    """
    driver = Path(__file__).with_name("saq_suite.py")
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}

    run = subprocess.run(
        [sys.executable, str(driver), str(saq_source)],
        check=False,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=150,
    )

    assert run.returncode == 0, run.stderr[-5000:]
    assert f"Ran {RULES} tests" in run.stderr
