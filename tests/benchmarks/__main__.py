"""What Genonaut costs and what it can do: one table, with the budgets beside it."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from benchmarks import both_ways, deep, followed, journalled, panel, queue, rest
from benchmarks.figures import Row, table
from comfy_nodes.locations import SetupFailed

GROUPS: dict[str, Callable[[Path], list[Row]]] = {
    "A sidecar at rest": rest.rows,
    "The journal in ComfyUI's worker": journalled.rows,
    "The queue": queue.rows,
    "Execution events": followed.rows,
    "A long history": deep.rows,
    "The history panel": panel.rows,
    "ComfyUI alone and with Genonaut": both_ways.rows,
}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="install.py bench", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    chosen = parser.parse_args(arguments)
    logging.disable(logging.WARNING)  # of the servers that run in this process
    found: list[Row] = []
    try:
        for headline, measure in GROUPS.items():
            print(f"{headline} ...", flush=True)
            with tempfile.TemporaryDirectory(prefix="genonaut-bench-") as folder:
                found += measure(Path(folder))
    except SetupFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    print(f"\n{table(found)}")
    if chosen.json:
        report = {"measured_at": datetime.now(timezone.utc).isoformat(), "rows": [row.as_json() for row in found]}
        chosen.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
