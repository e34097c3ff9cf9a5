"""The one place where the pack is put together; what it changes in ComfyUI, `connect` changes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .client_sockets import ClientSockets
from .doorkeeper import Doorkeeper
from .event_tap import EventTap
from .first_administrator import Reminder
from .graph_files import GraphFiles
from .held_canceller import HeldCanceller
from .held_prompts import HeldPrompts
from .interrupts import Interrupts
from .leading_term import LeadingTerm
from .outcome_journal import Growth
from .outcome_news import OutcomeNews
from .own_journal import open_journal
from .ownership import OwnedFiles, SeenOutputs
from .pack_routes import PackRoutes
from .places import Folders
from .prompt_gate import PromptGate
from .queue_hooks import QueueHooks
from .recognition import Callers
from .settings import OPEN, PackSettings, read_settings
from .sidecar_client import SidecarClient
from .sidecar_proxy import SidecarProxy
from .this_comfyui import ThisComfyUI


@dataclass(frozen=True)
class Parts:
    """What lives as long as the process."""

    settings: PackSettings
    sidecar: SidecarClient
    tap: EventTap
    sockets: ClientSockets
    files: OwnedFiles
    queue_hooks: QueueHooks
    gate: PromptGate
    interrupts: Interrupts
    routes: PackRoutes
    proxy: SidecarProxy
    doorkeeper: Doorkeeper


def put_together(comfyui: ThisComfyUI) -> Parts:
    """Build every part, and tell the parts of one another. Nothing of ComfyUI is changed."""
    server, queue = comfyui.server, comfyui.server.prompt_queue
    data_folder = Path(comfyui.folder_paths.get_system_user_directory("genonaut"))
    settings = read_settings(data_folder, on_loopback_only=comfyui.listens_on_loopback_only)
    sidecar = SidecarClient(settings.sidecar_url, settings.pairing_secret)
    journal, held, tap, term = open_journal(settings.data_folder), HeldPrompts(), EventTap(), LeadingTerm()
    sockets = ClientSockets(server)
    files = OwnedFiles(Folders(comfyui.folder_paths, settings.shared_folders), SeenOutputs(), sidecar.owner_of_output)
    gate = PromptGate(
        server,
        comfyui.execution,
        sidecar,
        journal,
        pairing_secret=settings.pairing_secret,
        sockets=sockets,
        passes_when_away=settings.passes_when_away,
        graphs=None if settings.access == OPEN else GraphFiles(files, comfyui.nodes.NODE_CLASS_MAPPINGS),
        term=term,
    )
    journal.on_growth = partial(journal_has_grown, gate, OutcomeNews(tap, journal.id))
    interrupts = Interrupts(queue, comfyui.nodes.interrupt_processing)
    tap.on_execution_start = interrupts.started
    canceller = HeldCanceller(server, sidecar, held)
    held.on_told = canceller.list_was_told
    callers = Callers(sidecar, known_outlast=settings.passes_when_away)
    doorkeeper = Doorkeeper(settings, sidecar, callers, sockets)
    reminder = Reminder(server, sidecar, settings.data_folder / "sidecar.log" if settings.start_sidecar else None)
    routes = PackRoutes(
        server,
        tap,
        journal,
        held,
        interrupts,
        pairing_secret=settings.pairing_secret,
        introduction=lambda: {**comfyui.introduction, "journal": journal.id},
        term=term,
    )
    routes.on_access_told = [doorkeeper.agreement.told, reminder.access_told]
    routes.on_callers_changed = [callers.forget, sockets.close]
    return Parts(
        settings=settings,
        sidecar=sidecar,
        tap=tap,
        sockets=sockets,
        files=files,
        queue_hooks=QueueHooks(
            journal, held, canceller.cancel, secret_keys=gate.secrets.keys, clear_held=canceller.clear
        ),
        gate=gate,
        interrupts=interrupts,
        routes=routes,
        proxy=SidecarProxy(settings.sidecar_url, sidecar.proof),
        doorkeeper=doorkeeper,
    )


def journal_has_grown(gate: PromptGate, news: OutcomeNews, growth: Growth) -> None:
    if growth.kind == "finished":
        gate.prompt_has_finished(growth.prompt_id)
    news.journal_has_grown(growth)
