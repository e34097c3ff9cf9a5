"""
Puts every hook of the pack into ComfyUI, all of them or none.

It happens when ComfyUI imports the pack: later its application is frozen. Where a hook cannot be installed, nothing
that changes anything is answered any more, and the answer says why (`closed_doors`).
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import Any

from aiohttp import web

from .changes import Changes
from .client_sockets import LastOneCounts
from .closed_doors import close_doors
from .executor_guard import guard_execute
from .file_hooks import FileHooks, OutputWatch, WorkingFor
from .file_routes import FileRoutes
from .locations import sidecar_command
from .own_names import refuse_other_names
from .owned_events import OwnedEvents
from .owned_queue import owned_queue_class
from .parts import Parts, put_together
from .settings import OPEN
from .sidecar_process import SidecarProcess
from .this_comfyui import PACK_FOLDER, ThisComfyUI, find_comfyui
from .user_folders import own_folder, tell_users
from .wire import prove_answer

log = logging.getLogger("genonaut")

Step = Callable[[ThisComfyUI, Parts, Changes], None]


def connect(server: Any) -> None:
    """Install every hook, or close ComfyUI's doors. Never raises: ComfyUI goes on starting either way."""
    changes = Changes()
    try:
        comfyui = find_comfyui(server)
        parts = put_together(comfyui)
        for step in STEPS:
            step(comfyui, parts, changes)
    except Exception as exc:  # whatever it is, ComfyUI must not run with half a gate
        log.exception("Genonaut could not be installed into this ComfyUI; it accepts no prompts until that is solved.")
        changes.take_back()
        close_doors(server, exc)


def own_the_queue(comfyui: ThisComfyUI, parts: Parts, changes: Changes) -> None:
    queue = comfyui.server.prompt_queue
    queue.genonaut = parts.queue_hooks
    changes.set(queue, "__class__", owned_queue_class(type(queue)))


def own_the_websockets(comfyui: ThisComfyUI, parts: Parts, changes: Changes) -> None:
    parts.sockets.is_anothers = comfyui.server.prompt_queue.is_anothers_client
    for table in ("sockets", "sockets_metadata"):
        changes.wrap(comfyui.server, table, LastOneCounts)


def separate_people(comfyui: ThisComfyUI, parts: Parts, changes: Changes) -> None:
    """Put in place what keeps people apart, beside the queue; in open access there is only one."""
    if parts.settings.access == OPEN:
        return
    server = comfyui.server
    events = OwnedEvents(server.prompt_queue, parts.sockets)
    changes.wrap(server.user_manager, "get_request_user_id", own_folder)
    changes.wrap(server, "send_sync", events.wrap_send_sync)
    changes.wrap(server, "send", events.wrap_send)
    for prefix in ("", "/api"):
        server.app.router.add_post(f"{prefix}/interrupt", parts.interrupts.answer)
        server.app.router.add_get(f"{prefix}/users", tell_users)


def separate_files(comfyui: ThisComfyUI, parts: Parts, changes: Changes) -> None:
    """The same for files: what routes show and take, what nodes read, and where they save."""
    if parts.settings.access == OPEN:
        return
    queue, folder_paths = comfyui.server.prompt_queue, comfyui.folder_paths
    working_for = WorkingFor(queue, importlib.import_module("comfy_execution.utils").get_executing_context)
    hooks = FileHooks(parts.files, working_for, working_for.is_under_review)
    changes.wrap(folder_paths, "get_save_image_path", hooks.save_in_own_folder)
    changes.wrap(folder_paths, "get_annotated_filepath", hooks.find_own)
    changes.wrap(folder_paths, "exists_annotated_filepath", hooks.only_own_exist)
    changes.wrap(comfyui.execution, "get_input_info", hooks.offer_own)
    parts.tap.on_executed = OutputWatch(parts.files, queue).executed
    changes.insert(comfyui.server.app.middlewares, 0, FileRoutes(parts.files, folder_paths).answer)


def follow_execution(comfyui: ThisComfyUI, parts: Parts, changes: Changes) -> None:
    changes.wrap(comfyui.server, "send_sync", parts.tap.wrap)
    changes.wrap(comfyui.execution.PromptExecutor, "execute", guard_execute)


def take_over_prompts(comfyui: ThisComfyUI, parts: Parts, _changes: Changes) -> None:
    """
    Take over ``POST /prompt`` in both of its forms.

    Routes are tried in the order in which they were added, and ComfyUI adds its own after the packs are imported. As a
    route, not as a middleware: so every middleware keeps its say, ComfyUI's check of the page's origin and the guards
    of other packs. In front of them, any website could queue prompts in a ComfyUI on the same machine.
    """
    for path in ("/prompt", "/api/prompt"):
        comfyui.server.app.router.add_post(path, parts.gate.answer)


def add_routes(comfyui: ThisComfyUI, parts: Parts, _changes: Changes) -> None:
    routes = comfyui.server.routes
    parts.routes.add_to(routes)
    routes.get("/genonaut/login")(parts.doorkeeper.show_login_page)
    routes.route("*", "/genonaut/{path:.*}")(parts.proxy.pass_on)


def start_and_stop_with_comfyui(comfyui: ThisComfyUI, parts: Parts, _changes: Changes) -> None:
    async def start_sidecar(app: web.Application) -> None:
        if not parts.settings.start_sidecar:
            return
        SidecarProcess(
            parts.settings,
            command=sidecar_command(PACK_FOLDER, "sidecar.cli", "serve"),
            pack_folder=PACK_FOLDER,
            comfyui_url=comfyui.url,
            # Otherwise the sidecar would wait for ComfyUI to answer its goodbye, and ComfyUI for the sidecar to end.
            before_stop=parts.tap.hang_up,
        ).watch()

    async def close(app: web.Application) -> None:
        for part in (parts.doorkeeper, parts.sidecar, parts.proxy):
            await part.close()

    comfyui.server.app.on_startup.append(start_sidecar)
    comfyui.server.app.on_cleanup.append(close)


def stand_at_the_door(comfyui: ThisComfyUI, parts: Parts, changes: Changes) -> None:
    """First in the line of middlewares: nobody else sees a request that is refused."""
    app, doorkeeper = comfyui.server.app, parts.doorkeeper
    if parts.settings.access == OPEN and comfyui.listens_on_loopback_only:
        # Last in the line, so that no middleware of ComfyUI or of another pack loses its say.
        changes.append(app.middlewares, refuse_other_names)
    changes.insert(app.middlewares, 0, doorkeeper.answer)
    changes.append(app.on_response_prepare, prove_answer)
    app.on_startup.append(doorkeeper.say_who_stands_in_front)


STEPS: tuple[Step, ...] = (
    own_the_queue,
    own_the_websockets,
    separate_people,
    separate_files,
    follow_execution,
    take_over_prompts,
    add_routes,
    start_and_stop_with_comfyui,
    stand_at_the_door,  # last: it lets nobody in before everything is in place
)
