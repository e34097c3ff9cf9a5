"""
Runs a module of the sidecar that lies beside this pack: `python start_sidecar.py PACKAGES sidecar.cli serve`.

PACKAGES is the folder of the sidecar's packages where the Python that runs this is not the sidecar's own (the Windows
portable ComfyUI brings a Python that cannot make environments), and empty where it is. The path is set here, by hand,
because that Python ignores `PYTHONPATH`.
"""

from __future__ import annotations

import importlib
import runpy
import site
import sys
from pathlib import Path

PACK_FOLDER = Path(__file__).resolve().parents[1]
NEEDED = ("sqlite3", "ssl", "litestar", "sidecar")


def set_path(packages: str) -> None:
    """This pack's `sidecar` first, then the sidecar's packages; never ComfyUI's packages nor this script's folder."""
    foreign = {"site-packages", "dist-packages"} if packages else set()
    here = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry).name not in foreign and Path(entry).resolve() != here]
    sys.path.insert(0, str(PACK_FOLDER))
    if packages:
        site.addsitedir(packages)


def main() -> None:
    _, packages, module, *_ = sys.argv
    set_path(packages)
    if module == "check":
        for name in NEEDED:
            importlib.import_module(name)
        return
    del sys.argv[:2]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
