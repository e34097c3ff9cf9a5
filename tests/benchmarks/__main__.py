"""What Genonaut costs and what it can do: one table, with the budgets beside it."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import both_ways, crowd, deep, followed, hour, journalled, listeners, panel, queue, rest, waiting
from benchmarks.figures import Row, table
from comfy_nodes.locations import SetupFailed

Groups = dict[str, Callable[[Path], list[Row]]]


def all_groups(*, quick: bool) -> Groups:
    return {
        "rest": rest.rows,
        "journalled": journalled.rows,
        "queue": queue.rows,
        "followed": followed.rows,
        "crowd": partial(crowd.rows, quick=quick),
        "waiting": partial(waiting.rows, quick=quick),
        "listeners": partial(listeners.rows, quick=quick),
        "hour": partial(hour.rows, quick=quick),
        "deep": partial(deep.rows, quick=quick),
        "panel": panel.rows,
        "both_ways": partial(both_ways.rows, quick=quick),
    }


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="install.py bench", description=__doc__)
    parser.add_argument("group", nargs="*", help=f"only these: {', '.join(all_groups(quick=False))}")
    parser.add_argument("--quick", action="store_true", help="less of everything, for a first impression")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there after each group")
    parser.add_argument("--resume", action="store_true", help="leave out the groups that FILE has already")
    chosen = parser.parse_args(arguments)
    groups = all_groups(quick=chosen.quick)
    unknown = set(chosen.group) - set(groups)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(groups)}")
    if chosen.resume and chosen.json is None:
        parser.error("--resume needs --json FILE")
    logging.disable(logging.WARNING)  # of the servers that run in this process
    wanted = {name: measure for name, measure in groups.items() if not chosen.group or name in chosen.group}
    found = Found(chosen.json, resume=chosen.resume)
    try:
        for name, measure in wanted.items():
            if name not in found.groups:
                print(f"{name} ...", flush=True)
                with tempfile.TemporaryDirectory(prefix="genonaut-bench-") as folder:
                    found.add(name, measure(Path(folder)))
    except SetupFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    finally:
        print(f"\n{table(found.rows)}")
    return 0


class Found:
    """The figures so far, in a file where one is given, so that a run that was stopped need not begin anew."""

    def __init__(self, file: Path | None, *, resume: bool) -> None:
        self._file = file
        self.groups: dict[str, list[Row]] = {}
        if resume and file is not None and file.is_file():
            kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["groups"]
            self.groups = {name: [Row.from_json(row) for row in rows] for name, rows in kept.items()}

    @property
    def rows(self) -> list[Row]:
        return [row for rows in self.groups.values() for row in rows]

    def add(self, name: str, rows: list[Row]) -> None:
        self.groups[name] = rows
        if self._file is None:
            return
        groups = {name: [row.as_json() for row in rows] for name, rows in self.groups.items()}
        report = {"measured_at": datetime.now(timezone.utc).isoformat(), "groups": groups}
        self._file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
