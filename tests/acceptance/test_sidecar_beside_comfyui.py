"""The sidecar's life beside ComfyUI: started, started again, never left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from acceptance.installation import Installation, is_running, kill, until
from acceptance.workflows import quick_picture
from real.processes import WITHOUT_A_PAGE

# ComfyUI is started several times; where that goes wrong, what was waited for says more than a time-out.
pytestmark = pytest.mark.timeout(300)

ORPHAN_AT_MOST_S = 20.0
RESTARTED_WITHIN_S = 30.0
# Long enough for a sidecar that should not be started: a wanted one is there by then.
NOT_STARTED_FOR_S = 3.0


def only_sidecar(installation: Installation) -> int:
    (pid,) = installation.sidecar_pids()
    return pid


def test_the_sidecar_comes_and_goes_with_comfyui(tmp_path: Path) -> None:
    """
    ComfyUI starts one; one that dies is replaced; none outlives a ComfyUI, however that ends.

    One test, because each start of ComfyUI costs seconds.
    """
    with Installation(tmp_path, pack_starts_sidecar=True, arguments=WITHOUT_A_PAGE) as installation:
        installation.start_comfyui()
        installation.wait_for_sidecar()
        first = only_sidecar(installation)

        kill(first)
        until(lambda: not installation.sidecar_is_ready(), what="The killed sidecar is gone")
        until(installation.sidecar_is_ready, within_s=RESTARTED_WITHIN_S, what="The sidecar is started again")
        second = only_sidecar(installation)
        assert second != first
        installation.wait_until_connected()
        assert installation.wait_until_kept(installation.submit(quick_picture()))["state"] == "completed"

        installation.kill_comfyui()
        until(lambda: not is_running(second), within_s=ORPHAN_AT_MOST_S, what="The orphaned sidecar ends")

        installation.start_comfyui()
        installation.wait_for_sidecar()
        third = only_sidecar(installation)
        assert installation.comfyui is not None
        installation.comfyui.stop()
        assert not is_running(third)
        assert "Traceback" not in installation.comfyui.log.read_text(encoding="utf-8")
        assert "Traceback" not in (installation.data / "sidecar.log").read_text(encoding="utf-8")


def test_comfyui_starts_no_sidecar_where_the_setting_says_so(fragile: Installation) -> None:
    """`GENONAUT_SIDECAR_START=no`: somebody else looks after it, and its absence is nobody's fault."""
    fragile.kill_sidecar()
    with pytest.raises(AssertionError):
        until(fragile.sidecar_is_ready, within_s=NOT_STARTED_FOR_S, what="Somebody starts a sidecar")
    pids = fragile.sidecar_pids()
    fragile.start_sidecar()
    fragile.wait_until_connected()

    assert pids == []


def test_a_sidecar_that_is_interrupted_stops_in_good_order(fragile: Installation) -> None:
    """Ctrl-C in its terminal: what it began is brought to an end, and nobody is frightened by a traceback."""
    assert fragile.sidecar is not None
    log = fragile.data / "sidecar.log"
    before = log.stat().st_size
    fragile.sidecar.stop()
    written = log.read_bytes()[before:].decode()
    fragile.start_sidecar()
    fragile.wait_until_connected()

    assert "Application shutdown complete." in written
    assert "Traceback" not in written
