"""How long things may take, and what is said when they take longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.errors import SettingsUnusable
from sidecar.generations.timeouts import duration, limits
from sidecar.settings import Settings, read_settings


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(60, "1 minute"), (90, "90 seconds"), (5400, "90 minutes"), (3600, "1 hour"), (7200, "2 hours")],
)
def test_a_time_is_said_in_the_largest_unit_that_says_it_exactly(seconds: int, said: str):
    """As a person would."""
    assert duration(seconds) == said


def test_by_default_one_may_wait_for_ever_but_not_in_a_comfyui_that_does_nothing(tmp_path: Path):
    """Generous, since a long video on a CPU tells nothing for a long time; each with a sentence."""
    on = {limit.code: limit for limit in limits(Settings(tmp_path))}

    assert {code: limit.seconds for code, limit in on.items()} == {"not_started": 3600, "stalled": 7200}
    assert "told nothing for 2 hours" in on["stalled"].message


def test_a_time_can_be_switched_off_but_not_be_shorter_than_can_be_noticed(tmp_path: Path):
    """Signs of life are written down every half minute."""
    settings = read_settings({"GENONAUT_DATA": str(tmp_path), "GENONAUT_SILENT_AT_MOST_S": "0"})

    assert [limit.code for limit in limits(settings)] == ["not_started"]
    with pytest.raises(SettingsUnusable, match="GENONAUT_SILENT_AT_MOST_S must be 0 or at least 60 seconds, not 59"):
        read_settings({"GENONAUT_DATA": str(tmp_path), "GENONAUT_SILENT_AT_MOST_S": "59"})
