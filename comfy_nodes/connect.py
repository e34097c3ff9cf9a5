"""
Puts every hook of the pack into ComfyUI, all of them or none.

It happens when ComfyUI imports the pack: later its application is frozen. Where a hook cannot be installed, nothing
that changes anything is answered any more, and the answer says why: a gate with one open side is worse than none.
"""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from aiohttp import web

from .caller import Callers
from .client_sockets import ClientSockets, LastOneCounts
from .doorkeeper import Doorkeeper
from .event_tap import EventTap
from .executor_guard import guard_execute
from .file_hooks import FileHooks, OutputWatch, WorkingFor
from .file_routes import FileRoutes
from .first_administrator import Reminder
from .graph_files import GraphFiles
from .held_canceller import HeldCanceller
from .held_prompts import HeldPrompts
from .interrupts import Interrupts
from .leading_term import LeadingTerm
from .locations import pack_version, sidecar_command, try_to_lock
from .outcome_journal import OutcomeJournal
from .own_names import listens_on_loopback_only, refuse_other_names
from .owned_events import OwnedEvents
from .owned_queue import QueueHooks, owned_queue_class
from .ownership import OwnedFiles, SeenOutputs
from .pack_routes import PackRoutes
from .places import Folders
from .prompt_gate import PromptGate
from .settings import OPEN, PackSettings, read_settings
from .sidecar_client import SidecarClient
from .sidecar_process import SidecarProcess
from .sidecar_proxy import SidecarProxy
from .user_folders import own_folder, tell_users
from .wire import Handler, error_answer, prove_answer

log = logging.getLogger("genonaut")

PACK_FOLDER = Path(__file__).resolve().parent.parent
MOST_JOURNALS = 16
HARMLESS_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def connect(server: Any) -> None:
    """Install every hook, or close ComfyUI's doors. Never raises: ComfyUI goes on starting either way."""
    undo: list[Callable[[], None]] = []
    try:
        install(server, undo)
    except Exception as exc:  # whatever it is, ComfyUI must not run with half a gate
        log.exception("Genonaut could not be installed into this ComfyUI; it accepts no prompts until that is solved.")
        for step in reversed(undo):
            step()
        close_doors(server, exc)


@contextmanager
def closed_on_failure(server: Any) -> Iterator[None]:
    """
    Close ComfyUI's doors where something else of the pack cannot be loaded, before there are hooks.

    ComfyUI goes on without a pack that fails, and people who have accounts would have nothing between them any more. In
    open access it may: there it is the ComfyUI that it would be without the pack.
    """
    try:
        yield
    except Exception as exc:
        if not may_look():
            close_doors(server, exc)
        raise


def close_doors(server: Any, exc: Exception) -> None:
    server.app.middlewares.insert(0, refuse_changes(f"{type(exc).__name__}: {exc}", may_look=may_look()))


def install(server: Any, undo: list[Callable[[], None]]) -> None:
    """
    Build every part, then put them in place; what can be taken back is written down in ``undo``.

    ComfyUI's modules are imported by name here, so that the rest of the pack can be read and tested without it.
    """
    execution, folder_paths, nodes = (importlib.import_module(name) for name in ("execution", "folder_paths", "nodes"))
    on_loopback_only = listens_on_loopback_only(importlib.import_module("comfy.cli_args").args.listen)
    settings = read_settings(
        Path(folder_paths.get_system_user_directory("genonaut")), on_loopback_only=on_loopback_only
    )
    sidecar = SidecarClient(settings.sidecar_url, settings.pairing_secret)
    journal, held, tap = open_journal(settings.data_folder), HeldPrompts(), EventTap()
    queue = server.prompt_queue
    sockets = ClientSockets(server)
    files = OwnedFiles(Folders(folder_paths, settings.shared_folders), SeenOutputs(), sidecar.owner_of_output)
    term = LeadingTerm()
    gate = PromptGate(
        server,
        execution,
        sidecar,
        journal,
        pairing_secret=settings.pairing_secret,
        sockets=sockets,
        passes_when_away=settings.passes_when_away,
        graphs=None if settings.access == OPEN else GraphFiles(files, nodes.NODE_CLASS_MAPPINGS),
        term=term,
    )
    interrupts = Interrupts(queue, nodes.interrupt_processing)
    routes = PackRoutes(
        server,
        tap,
        journal,
        held,
        interrupts,
        pairing_secret=settings.pairing_secret,
        introduction=lambda: introduce(journal, folder_paths),
        term=term,
    )
    proxy = SidecarProxy(settings.sidecar_url, sidecar.proof)

    journal.on_growth = partial(journal_has_grown, gate, tap)
    tap.on_execution_start = interrupts.started
    canceller = HeldCanceller(server, sidecar, held)
    held.on_told = canceller.list_was_told
    queue.genonaut = QueueHooks(
        journal, held, canceller.cancel, secret_keys=gate.secrets.keys, clear_held=canceller.clear
    )
    set_and_undo(queue, "__class__", owned_queue_class(type(queue)), undo)
    sockets.is_anothers = queue.is_anothers_client
    for name in ("sockets", "sockets_metadata"):
        set_and_undo(server, name, LastOneCounts(getattr(server, name)), undo)
    if settings.access != OPEN:
        separate_people(server, interrupts, OwnedEvents(queue, sockets), undo)
        separate_files(server, execution, folder_paths, files, tap, undo)
    set_and_undo(server, "send_sync", tap.wrap(server.send_sync), undo)
    set_and_undo(execution.PromptExecutor, "execute", guard_execute(execution.PromptExecutor.execute), undo)
    add_gate(server.app, gate.answer)
    callers = Callers(sidecar, known_outlast=settings.passes_when_away)
    doorkeeper = Doorkeeper(settings, sidecar, callers, sockets)
    reminder = Reminder(server, sidecar, settings.data_folder / "sidecar.log" if settings.start_sidecar else None)
    routes.on_access_told = [doorkeeper.agreement.told, reminder.access_told]
    routes.on_callers_changed = [callers.forget, sockets.close]
    if settings.access == OPEN and on_loopback_only:
        # Last in the line, so that no middleware of ComfyUI or of another pack loses its say.
        server.app.middlewares.append(refuse_other_names)
        undo.append(lambda: server.app.middlewares.remove(refuse_other_names))
    routes.add_to(server.routes)
    server.routes.get("/genonaut/login")(doorkeeper.show_login_page)
    server.routes.route("*", "/genonaut/{path:.*}")(proxy.pass_on)
    server.app.on_startup.append(starter(settings, tap))
    server.app.on_cleanup.append(closer(doorkeeper, sidecar, proxy))
    # First in the line: nobody else sees a request that is refused. It comes last here, since it lets nobody in before
    # everything is in place.
    server.app.middlewares.insert(0, doorkeeper.answer)
    server.app.on_response_prepare.append(prove_answer)
    server.app.on_startup.append(doorkeeper.say_who_stands_in_front)
    undo.append(lambda: server.app.middlewares.remove(doorkeeper.answer))
    undo.append(lambda: server.app.on_response_prepare.remove(prove_answer))


def journal_has_grown(gate: PromptGate, tap: EventTap, kind: str, sequence: int, prompt_id: str) -> None:
    if kind == "finished":
        gate.prompt_has_finished(prompt_id)
    if kind != "started":  # ComfyUI's own event tells that at once
        tap.tell("outcome", {"sequence": sequence, "prompt_id": prompt_id})


def separate_people(server: Any, interrupts: Interrupts, events: OwnedEvents, undo: list[Callable[[], None]]) -> None:
    """Put in place what keeps people apart, beside the queue; in open access there is only one."""
    manager = server.user_manager
    set_and_undo(manager, "get_request_user_id", own_folder(manager.get_request_user_id), undo)
    set_and_undo(server, "send_sync", events.wrap_send_sync(server.send_sync), undo)
    set_and_undo(server, "send", events.wrap_send(server.send), undo)
    for prefix in ("", "/api"):
        server.app.router.add_post(f"{prefix}/interrupt", interrupts.answer)
        server.app.router.add_get(f"{prefix}/users", tell_users)


def separate_files(
    server: Any, execution: Any, folder_paths: Any, files: OwnedFiles, tap: EventTap, undo: list[Callable[[], None]]
) -> None:
    """The same for files: what routes show and take, what nodes read, and where they save."""
    queue = server.prompt_queue
    executing_context = importlib.import_module("comfy_execution.utils").get_executing_context
    working_for = WorkingFor(queue, executing_context)
    hooks = FileHooks(files, working_for, working_for.is_under_review)
    for name, wrap in (
        ("get_save_image_path", hooks.save_in_own_folder),
        ("get_annotated_filepath", hooks.find_own),
        ("exists_annotated_filepath", hooks.only_own_exist),
    ):
        set_and_undo(folder_paths, name, wrap(getattr(folder_paths, name)), undo)
    set_and_undo(execution, "get_input_info", hooks.offer_own(execution.get_input_info), undo)
    tap.on_executed = OutputWatch(files, queue).executed
    routes = FileRoutes(files, folder_paths)
    server.app.middlewares.insert(0, routes.answer)
    undo.append(lambda: server.app.middlewares.remove(routes.answer))


def open_journal(folder: Path) -> OutcomeJournal:
    """
    Open a journal that no other ComfyUI writes to; those that are started from one folder have one each.

    The lock lives as long as the process, however that ends.

    Raises:
        OSError: Every journal is taken, or the folder cannot be written.
    """
    for number in range(1, MOST_JOURNALS + 1):
        file = folder / ("outcomes.jsonl" if number == 1 else f"outcomes-{number}.jsonl")
        lock = file.with_suffix(".lock").open("a+b")
        if may_be_ours(lock):
            journal = OutcomeJournal(file)
            journal.lock = lock
            return journal
        lock.close()
    raise OSError(f"All {MOST_JOURNALS} journals in {folder} are taken. Give this ComfyUI a folder with GENONAUT_DATA.")


def may_be_ours(lock: BinaryIO) -> bool:
    """Lock it, unless another process has; where nothing can be locked, it is taken for ours."""
    try:
        return try_to_lock(lock.fileno())
    except OSError as exc:
        log.warning("%s cannot be locked (%s): start only one ComfyUI with this folder.", lock.name, exc)
        return True


def set_and_undo(owner: Any, name: str, value: Any, undo: list[Callable[[], None]]) -> None:
    before = getattr(owner, name)
    setattr(owner, name, value)
    undo.append(lambda: setattr(owner, name, before))


def add_gate(app: web.Application, answer: Handler) -> None:
    """
    Take over ``POST /prompt`` in both of its forms.

    Routes are tried in the order in which they were added, and ComfyUI adds its own after the packs are imported. As a
    route, not as a middleware: so every middleware keeps its say, ComfyUI's check of the page's origin and the guards
    of other packs. In front of them, any website could queue prompts in a ComfyUI on the same machine.
    """
    for path in ("/prompt", "/api/prompt"):
        app.router.add_post(path, answer)


def starter(settings: PackSettings, tap: EventTap) -> Callable[[web.Application], Awaitable[None]]:
    """Make what starts the sidecar once ComfyUI's server is set up."""

    async def start_sidecar(app: web.Application) -> None:
        if not settings.start_sidecar:
            return
        command = sidecar_command(PACK_FOLDER, "sidecar.cli", "serve")
        SidecarProcess(
            settings,
            command=command,
            pack_folder=PACK_FOLDER,
            comfyui_url=own_url(),
            # Otherwise the sidecar would wait for ComfyUI to answer its goodbye, and ComfyUI for the sidecar to end.
            before_stop=tap.hang_up,
        ).watch()

    return start_sidecar


def closer(*parts: Doorkeeper | SidecarClient | SidecarProxy) -> Callable[[web.Application], Awaitable[None]]:
    async def close(app: web.Application) -> None:
        for part in parts:
            await part.close()

    return close


def introduce(journal: OutcomeJournal, folder_paths: Any) -> dict[str, Any]:
    """Say to an observer who we are and where ComfyUI's files lie."""
    return {
        "pack_version": pack_version(PACK_FOLDER),
        "comfyui_version": importlib.import_module("comfyui_version").__version__,
        "journal": journal.id,
        "directories": {
            "output": str(Path(folder_paths.get_output_directory()).resolve()),
            "temp": str(Path(folder_paths.get_temp_directory()).resolve()),
            "input": str(Path(folder_paths.get_input_directory()).resolve()),
        },
    }


def own_url() -> str:
    """Give the address at which this ComfyUI answers on this machine."""
    args = importlib.import_module("comfy.cli_args").args
    listens_at = str(args.listen).split(",")[0]
    host = "127.0.0.1" if listens_at in {"", "0.0.0.0", "::"} else listens_at  # noqa: S104 - read, not bound
    scheme = "https" if args.tls_keyfile and args.tls_certfile else "http"
    return f"{scheme}://[{host}]:{args.port}" if ":" in host else f"{scheme}://{host}:{args.port}"


def may_look() -> bool:
    """May whoever reaches this ComfyUI see what is in it? So it is where access is open, as far as can be told."""
    access = os.environ.get("GENONAUT_ACCESS", "").strip().lower()
    if access not in ("", OPEN):
        return False
    try:
        return listens_on_loopback_only(str(importlib.import_module("comfy.cli_args").args.listen))
    except (ImportError, AttributeError):  # what could not be installed may have failed for the same reason
        return False


def refuse_changes(reason: str, *, may_look: bool) -> Any:
    """Make a middleware that lets people change nothing, and look only where everything is everybody's anyway."""

    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        if may_look and request.method in HARMLESS_METHODS:
            return await handler(request)
        return error_answer(
            503,
            "genonaut_not_installed",
            "Genonaut could not be installed into this ComfyUI, so it accepts nothing. "
            "Its administrator finds the reason in ComfyUI's log.",
            details=reason,
        )

    return refuse
