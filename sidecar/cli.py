"""The command line: `python -m sidecar.cli serve`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import socket
import sys
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import structlog
import uvicorn
from litestar import Litestar

from sidecar import __version__, account_commands, event_loop, limit_commands, sole_use
from sidecar.app import create_app
from sidecar.comfyui.model_lists import ModelKind
from sidecar.errors import GenonautError, SettingsUnusable
from sidecar.http_protocol import BoundedHttp
from sidecar.live_events import LiveEvents
from sidecar.logs import set_up_logs
from sidecar.model_commands import list_models, refresh_models
from sidecar.openapi import describe
from sidecar.parent_watch import wait_for_end_of
from sidecar.parts import put_together
from sidecar.settings import Settings, read_settings
from sidecar.tasks import end
from sidecar.worker_process import check_settings, work

EXIT_UNUSABLE = 2
STOP_WITHIN_S = 5
KEEP_ALIVE_S = 75
"""
Longer than whoever asks keeps a connection on which nothing passes (the pack: 15 s, nginx: 60 s). Closed by us, it
would cost whoever asks in that moment their answer, and the pack would take us for gone.
"""
ACCOUNT_COMMANDS = {
    "user": "who has an account",
    "token": "what programs show instead of a log-in",
    "invite": "links with which people make themselves an account",
}
LIMIT_COMMANDS = {
    "plan": "how much people may ask for",
    "quota": "what holds for one person",
    "group": "people who share a budget",
}

log = structlog.get_logger(__name__)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="genonaut", description="The sidecar of Genonaut for ComfyUI.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="run the sidecar until Ctrl-C; settings come from GENONAUT_... variables")
    commands.add_parser("worker", help="work off jobs beside other processes until Ctrl-C; needs PostgreSQL")
    commands.add_parser("openapi", help="print the description of the HTTP API (openapi.json)")
    describe_model_commands(commands.add_parser("models", help="the checkpoints, LoRAs and VAEs of every ComfyUI"))
    for group, about in ACCOUNT_COMMANDS.items():
        account_commands.describe(commands.add_parser(group, help=about), group)
    for group, about in LIMIT_COMMANDS.items():
        limit_commands.describe(commands.add_parser(group, help=about), group)
    asked = parser.parse_args(arguments)
    if asked.command == "models":
        return answer(partial(run_model_command, asked))
    if asked.command in ACCOUNT_COMMANDS:
        return answer(partial(account_commands.run, asked))
    if asked.command in LIMIT_COMMANDS:
        return answer(partial(limit_commands.run, asked))
    if asked.command == "openapi":
        print(describe_api())  # noqa: T201 - so that it can be sent into a file
        return 0
    try:
        settings = read_settings()
        doing = start_worker(settings) if asked.command == "worker" else start_server(settings)
    except SettingsUnusable as exc:
        print(f"genonaut: {exc.message}", file=sys.stderr)  # noqa: T201 - the terminal is whom this is for
        return EXIT_UNUSABLE
    set_up_logs(settings.log_format)
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn repeats a Ctrl-C after it has stopped in good order
        event_loop.run(settings, doing)
    return 0


def start_server(settings: Settings) -> Coroutine[Any, Any, None]:
    if settings.worker == "none":
        check_settings(settings)
    app = create_app(settings)
    listening = listen(settings)
    try:
        alone = sole_use.take(settings.data_folder) if settings.is_alone else contextlib.nullcontext()
    except BaseException:
        listening.close()
        raise
    return serve(settings, app, listening, alone)


def start_worker(settings: Settings) -> Coroutine[Any, Any, None]:
    check_settings(settings)
    return work(put_together(settings))


def describe_model_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="model_command", required=True)
    commands.add_parser("refresh", help="ask every ComfyUI now which models it has")
    listing = commands.add_parser("list", help="what is known: kind, on, off or gone, name, and who has it")
    listing.add_argument("--kind", type=ModelKind, choices=list(ModelKind), metavar="|".join(ModelKind))
    listing.add_argument("-q", default="", metavar="TEXT", help="a part of the name")


async def run_model_command(asked: argparse.Namespace, settings: Settings) -> list[str]:
    if asked.model_command == "refresh":
        return await refresh_models(settings)
    return await list_models(settings, kind=asked.kind, q=asked.q)


def answer(command: Callable[[Settings], Coroutine[Any, Any, list[str]]]) -> int:
    """Do something on the database, and print what came of it."""
    try:
        settings = read_settings()
        set_up_logs(settings.log_format)
        logging.getLogger().setLevel(logging.WARNING)  # the answer says what happened
        lines = asyncio.run(command(settings))
    except GenonautError as exc:
        print(f"genonaut: {exc.message}", file=sys.stderr)  # noqa: T201 - the terminal is whom this is for
        return EXIT_UNUSABLE
    encoding = sys.stdout.encoding or "utf-8"  # a file on Windows may not take every letter
    for line in lines:
        print(line.encode(encoding, "backslashreplace").decode(encoding))  # noqa: T201 - same
    return 0


def describe_api() -> str:
    """The API as OpenAPI 3.1, the same text for the same code."""
    with tempfile.TemporaryDirectory() as folder:
        schema = describe(create_app(read_settings({"GENONAUT_DATA": folder})))
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False)


def listen(settings: Settings) -> socket.socket:
    """
    Take the port before anything else is started.

    Raises:
        SettingsUnusable: Somebody else has it.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Named in full, since asyncio sends without delay only on sockets that say they are TCP: otherwise the second piece
    # of an answer waits until the browser has acknowledged the first one, which browsers put off for 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if sys.platform != "win32":  # there it would let two programs share the port
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as exc:
        listening.close()
        raise SettingsUnusable(
            f"Port {settings.port} on {settings.host} cannot be used: {exc.strerror}. "
            "Stop what listens there, or set GENONAUT_PORT to another port."
        ) from exc
    return listening


async def serve(
    settings: Settings, app: Litestar, listening: socket.socket, alone: AbstractContextManager[Any]
) -> None:
    """
    Serve until told to stop, or until the ComfyUI that started this process is gone.

    Args:
        alone: What no other server may have as long as this one serves.
    """
    server = Server(configured(app), app.state.live_events)
    watching = asyncio.create_task(stop_with_parent(server, settings.parent_pid))
    # Whatever was made until now stays for good. Left alone, each full collection looks at all of it again, and for
    # 80 ms nobody is answered.
    gc.collect()
    gc.freeze()
    log.info("sidecar_starting", host=settings.host, port=settings.port, data_folder=str(settings.data_folder))
    try:
        with alone:
            await server.serve(sockets=[listening])
    finally:
        await end(watching)


def configured(app: Litestar) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=BoundedHttp,
        log_config=None,
        access_log=False,
        proxy_headers=False,  # whom to believe them, `clients.py` knows
        server_header=False,
        timeout_graceful_shutdown=STOP_WITHIN_S,
        timeout_keep_alive=KEEP_ALIVE_S,
    )


class Server(uvicorn.Server):
    """Closes the event streams before it waits for what is still being answered: they would never end by themselves."""

    def __init__(self, config: uvicorn.Config, live_events: LiveEvents) -> None:
        super().__init__(config)
        self._live_events = live_events

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._live_events.end()
        await super().shutdown(sockets)


async def stop_with_parent(server: uvicorn.Server, parent_pid: int | None) -> None:
    if parent_pid is None:
        return
    await wait_for_end_of(parent_pid)
    log.warning("parent_gone", parent_pid=parent_pid)
    server.should_exit = True


if __name__ == "__main__":
    sys.exit(main())
