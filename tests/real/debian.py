"""What the tests need and a machine does not have, from Debian's packages, where we may install it."""

from __future__ import annotations

import os
import shutil
import sys

from install import run_program, step


def install_from_debian(package: str, *, megabytes: int) -> bool:
    """Install a package; False where that cannot be done from here."""
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with step(f"Installing {package} from Debian's packages ({megabytes} MB)"):
        run_program(["apt-get", "update"], "reading Debian's list of packages", environment=environment)
        run_program(
            ["apt-get", "install", "--yes", "--no-install-recommends", package],
            f"installing {package} with apt-get",
            environment=environment,
        )
    return True
