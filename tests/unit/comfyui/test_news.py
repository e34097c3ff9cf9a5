"""When what the pack tells of its journal is enough, and when the journal must be read."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.comfyui.outcomes import read_news


def data(*sequences: int, journal: str = "mine", **more: Any) -> dict[str, Any]:
    entries = [{"kind": "started", "sequence": one, "prompt_id": "a", "started_at": 1.0} for one in sequences]
    return {"sequence": sequences[-1] if sequences else 9, "journal": journal, "entries": entries, **more}


@pytest.mark.parametrize(
    ("told", "is_enough"),
    [
        (data(5), True),
        (data(5, 6, 7), True),
        (data(4, 5), True),  # of which one is written down already
        (data(6), False),  # 5 is missing
        (data(5, 7), False),
        (data(6, 5), False),
        (data(5, journal="another one"), False),
        (data(), False),  # they were too large
        (data(5, sequence=6), False),  # and not all of them
        ({"sequence": 5}, False),
        (data(5, entries=[{"sequence": 5, "kind": "something new"}]), False),
        ({}, False),
    ],
)
def test_only_what_goes_on_without_a_gap_is_written_down_from_the_news(told: dict[str, Any], is_enough: bool) -> None:
    """Read up to 4 here. In every other case the journal is asked, which has everything in its order."""
    assert read_news(told).follow("mine", 4) is is_enough
