"""What holds for every test."""

from __future__ import annotations

import gc
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import settings
from integration.backends import BACKENDS
from xdist.scheduler import LoadFileScheduling

TESTS = Path(__file__).parent
ACCEPTANCE = TESTS / "acceptance"
SHARED_INSTALLATIONS = ("genonaut", "fragile", "members")
"""Its fixtures that start a real ComfyUI and a sidecar: seconds of CPU each."""
SHARING_FOLDER = TESTS / "integration" / "pack"
"""Its files share a real ComfyUI."""

settings.register_profile("usual", deadline=None)
"""No example fails for taking long: dozens of real processes share the cores."""
settings.register_profile("thorough", deadline=None, max_examples=1000)
"""Ten times as many made-up examples as usual: `install.py test --hypothesis-profile=thorough`."""
settings.load_profile("usual")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByInstallation:
    return ByInstallation(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--backend", choices=BACKENDS, default="embedded", help="what the tests keep everything in")


class ByInstallation(LoadFileScheduling):  # type: ignore[misc]  # xdist says nothing of its types
    """
    Tests of a file go to the same worker, one after the other; so do those of all files that share an installation.

    By ourselves: with pytest 9.2, the groups that xdist (3.8) has are not looked at, without a word.

    Every second worker begins with those that start real programs and mostly wait for them. The others work meanwhile:
    all of them waiting first, and then all of them working, takes longer.
    """

    def _split_scope(self, nodeid: str) -> str:
        return group_of_file(TESTS / nodeid.partition("::")[0])

    def _assign_work_unit(self, node: Any) -> None:
        waits = self.nodes.index(node) % 2 == 0
        wanted = next((group for group in self.workqueue if group.startswith(str(ACCEPTANCE)) == waits), None)
        if wanted is not None:
            self.workqueue.move_to_end(wanted, last=False)
        super()._assign_work_unit(node)


@cache
def group_of_file(file: Path) -> str:
    if file.parent == SHARING_FOLDER:
        return str(SHARING_FOLDER)
    if file.parent != ACCEPTANCE:
        return str(file)
    text = file.read_text(encoding="utf-8")
    shared = next((name for name in SHARED_INSTALLATIONS if f"{name}: " in text), file.name)
    return str(ACCEPTANCE / shared)


def pytest_collection_finish() -> None:
    """What the modules of the tests have made stays to the end: it is not looked through for garbage ever again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def logs_go_where_pytest_catches_them() -> None:
    """Unconfigured, structlog prints past pytest."""
    structlog.configure(
        processors=[structlog.stdlib.add_log_level, structlog.processors.KeyValueRenderer(key_order=["event"])],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell how much was asked where one test asks everything."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "checked":
                terminalreporter.write_line(f"checked: {value}")
