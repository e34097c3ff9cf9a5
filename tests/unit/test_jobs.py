"""Every job is written down, with when it runs and for how long it may."""

from __future__ import annotations

import re
from pathlib import Path

from sidecar.generations import queueing
from sidecar.parts import put_together
from sidecar.queues.embedded import TRIES
from sidecar.settings import read_settings
from sidecar.worker import A_MINUTE_S, EVERY_HOUR, EVERY_MINUTE, EVERY_MINUTE_BETWEEN, EVERY_TEN_SECONDS, TEN_MINUTES_S

README = Path(__file__).parents[2] / "sidecar" / "README.md"
IN_WORDS = {
    EVERY_TEN_SECONDS: "every 10 s",
    EVERY_MINUTE: "every minute",
    EVERY_MINUTE_BETWEEN: "every minute",
    EVERY_HOUR: "every hour",
    A_MINUTE_S: "60 s",
    TEN_MINUTES_S: "10 min",
}
TOKENS = {
    queueing.DISPATCH: queueing.DISPATCH_WITHIN_S,
    queueing.RELEASE: queueing.RELEASE_WITHIN_S,
    queueing.KEEP_IMAGES: queueing.KEEP_IMAGES_WITHIN_S,
}


def written_down() -> dict[str, tuple[str, str]]:
    """Job -> when it runs, and its limit."""
    text = README.read_text(encoding="utf-8").partition("## Jobs")[2].partition("## Several processes")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:]] for line in text.splitlines() if line.startswith("| `")]
    return {name: (row[1], row[2]) for row in rows for name in re.findall(r"`([\w.]+)`", row[0])}


def test_the_documentation_lists_every_job(tmp_path: Path):
    """And no other, each with its moments and its limit."""
    parts = put_together(read_settings({"GENONAUT_DATA": str(tmp_path)}))
    clockwork = {
        job.function.__qualname__: (IN_WORDS[job.cron], IN_WORDS[job.timeout or 0])
        for worker in parts.workers
        for job in worker._cron_jobs
    }
    tokens = {name for worker in parts.workers for name, _ in worker._functions}
    written = written_down()

    assert {name: row for name, row in written.items() if name in clockwork} == clockwork
    assert {name: row[1] for name, row in written.items() if name in tokens} == {
        name: f"{limit_s} s" if limit_s < 120 else f"{limit_s // 60} min" for name, limit_s in TOKENS.items()
    }
    assert written.keys() == clockwork.keys() | tokens
    assert tokens == TOKENS.keys()
    assert TRIES == 5
