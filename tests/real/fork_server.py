"""
A Python that has imported what ComfyUI imports from others, and becomes a ComfyUI, by forking, as often as it is asked.

    python fork_server.py <module> ...

It is asked by lines of JSON, `{"folder", "script", "arguments", "environment", "log"}`, answers each with the process
id, and ends with its input. ComfyUI's Python runs this file: only the standard library.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress


def main(modules: Sequence[str]) -> None:
    for module in modules:
        importlib.import_module(module)
    # What is there now stays: a child that looked through it for garbage would copy all of its memory.
    gc.freeze()
    signal.signal(signal.SIGCHLD, let_go_of_the_ended)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            become(**json.loads(line))
            return
        print(pid, flush=True)


def let_go_of_the_ended(*_: object) -> None:
    """Whoever asked for them watches them."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def become(*, folder: str, script: str, arguments: Sequence[str], environment: Mapping[str, str], log: str) -> None:
    """Run the script as if this process had been started for it."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for path, mode, descriptor in ((os.devnull, os.O_RDONLY, 0), (log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 1)):
        opened = os.open(path, mode, 0o644)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.dup2(1, 2)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [script, *arguments]
    sys.path[0] = folder
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
