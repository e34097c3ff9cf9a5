"""What holds for every test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import structlog

SHARED_INSTALLATIONS = ("genonaut", "fragile", "members")
"""Fixtures of `acceptance` that start a real ComfyUI and a sidecar: seconds of CPU each."""
SHARING_FOLDER = Path("integration", "pack")
"""Its files share a real ComfyUI."""


# Before xdist's own, which reads the marks.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """
    Say which tests go to the same worker, one after the other: those of a file, and of all files that share an
    installation.
    """
    groups: dict[Path, str] = {}
    for item in items:
        groups.setdefault(item.path, group_of_file(item.path))
        for name in SHARED_INSTALLATIONS:
            if name in getattr(item, "fixturenames", ()):
                groups[item.path] = name
    for item in items:
        item.add_marker(pytest.mark.xdist_group(groups[item.path]))


def group_of_file(file: Path) -> str:
    folder = file.relative_to(Path(__file__).parent).parent
    return str(folder if folder == SHARING_FOLDER else file)


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
