"""
``POST /prompt`` becomes a submission to the sidecar; the sidecar's own prompts pass into ComfyUI's queue.

    somebody's prompt -> checked -> validated by ComfyUI -> sidecar.submit -> held, until the sidecar posts it back
                                                              '- sidecar away -> straight into ComfyUI's queue
    the sidecar's prompt (pairing header) -> known already? -> validated by ComfyUI -> ComfyUI's queue

The server owns ``prompt_id`` and ``number``: what a client says they are is not looked at. Two equal pairs would end
ComfyUI's worker, and an id that is used twice overwrites another person's history.
"""

from __future__ import annotations

import copy
import logging
import time
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from .caller import CALLER, LOCAL_OWNER, only_theirs
from .client_sockets import NO_BROWSER, ClientSockets
from .finished_prompts import FinishedPrompts
from .graph_files import ForeignFiles, GraphFiles
from .held_prompts import HeldPrompt
from .leading_term import TERM, LeadingTerm
from .outcome_journal import OutcomeJournal
from .ownership import acting_for
from .prompt_body import PromptBody, UnusableBody, read_prompt_body
from .prompt_secrets import PromptSecrets
from .queue_hooks import FROM_PAGE, FROM_SIDECAR, arriving_from, owner_by_tag
from .refusals import mark_refused
from .sidecar_client import SidecarAway, SidecarClient, SidecarRefused
from .under_review import is_marked
from .wire import away, away_answer, error_answer, first_run_of, is_paired, json_answer, new_generation_id

log = logging.getLogger("genonaut.gate")

ALREADY_FINISHED = 409
TERM_IS_OVER = 412
NOT_VALID = "prompt_outputs_failed_validation"  # ComfyUI's own word (execution.py, validate_prompt)
AWAY = away("nobody can take your prompt")
LIMITS = frozenset({"limit_reached", "waiting_room_full"})
"""Refusals that our panel of limits explains."""


@dataclass(frozen=True)
class Validated:
    """What ComfyUI says about a prompt."""

    body: dict[str, Any]
    is_valid: bool
    error: dict[str, Any] | None
    outputs: list[str]
    node_errors: dict[str, Any]

    def refusal(self) -> web.Response:
        return json_answer({"error": self.error, "node_errors": self.node_errors}, status=400)


def refused_answer(refusal: SidecarRefused) -> web.Response:
    """
    What the sidecar refuses, so that ComfyUI's page shows the whole sentence.

    Pages up to 1.32 show "message: details" in a dialog, later ones the message on a card and the details behind it.
    """
    sentence, details = refusal.detail, ""
    if refusal.code in LIMITS:
        sentence, details = sentence.removesuffix("."), "see Limits in the sidebar."
    return error_answer(refusal.status, refusal.code, sentence, details=details, retry_after_s=refusal.retry_after_s)


class PromptGate:
    """Stands in front of ComfyUI's queue. One a process."""

    def __init__(
        self,
        server: Any,
        execution: Any,
        sidecar: SidecarClient,
        journal: OutcomeJournal,
        *,
        pairing_secret: str,
        sockets: ClientSockets | None = None,
        passes_when_away: bool = True,
        graphs: GraphFiles | None = None,
        term: LeadingTerm | None = None,
    ) -> None:
        self._server = server
        self._execution = execution
        self._sidecar = sidecar
        self._journal = journal
        self._pairing_secret = pairing_secret
        self._sockets = sockets or ClientSockets(server)
        self._passes_when_away = passes_when_away
        self._graphs = graphs
        self._term = term or LeadingTerm()
        self.secrets = PromptSecrets(tuple(execution.SENSITIVE_EXTRA_DATA_KEYS))
        self._finished = FinishedPrompts()

    def prompt_has_finished(self, prompt_id: str) -> None:
        """It must never run again. Called from any thread."""
        self._finished.remember(prompt_id)
        self.secrets.has_ended(first_run_of(prompt_id))

    async def answer(self, request: web.Request) -> web.Response:
        """Answer ``POST /prompt``. Whatever goes wrong is answered in ComfyUI's shape."""
        try:
            body = await read_prompt_body(request)
            if await is_paired(request, self._pairing_secret):
                return await self._dispatch(body)
            return await self._submit(request, body)
        except UnusableBody as exc:
            return error_answer(exc.status, exc.kind, exc.message, details=exc.details)
        except ForeignFiles as exc:
            mark_refused(request, "foreign_files")
            return error_answer(400, NOT_VALID, str(exc), node_errors=exc.node_errors)
        except SidecarRefused as exc:
            return refused_answer(exc)
        except SidecarAway:
            return away_answer(AWAY)

    async def _submit(self, request: web.Request, body: PromptBody) -> web.Response:
        prompt_id = new_generation_id()
        caller = only_theirs()
        usage_source = request.headers.get("Comfy-Usage-Source")
        if caller is not None:
            body = body.told_to(self._sockets.id_for(caller, body.client_id) if body.client_id else None)
        if usage_source:
            body.extra_data.setdefault("comfy_usage_source", usage_source)
        # A deep copy: what other packs make of the prompt is wanted when it runs, not in the record of what was asked.
        owner_id = None if caller is None else caller.user_id
        validated = await self._validate(prompt_id, copy.deepcopy(body.posted), owner_id)
        if not validated.is_valid:
            return validated.refusal()
        extra_data, secrets = self.secrets.split(body.extra_data)
        submission = {
            "id": prompt_id,
            "workflow": body.workflow,
            "extra_data": extra_data,
            "client_id": body.client_id,
            "partial_execution_targets": body.partial_execution_targets,
            "source": "page",
            "front": bool(body.posted.get("front")),
            "address": request.remote,
            **({} if owner_id is None else {"owner_id": owner_id}),
        }
        self.secrets.keep(prompt_id, secrets)
        try:
            forwarded_for = request.headers.get("X-Forwarded-For")
            accepted = await self._sidecar.submit(submission, forwarded_for=forwarded_for)
        except SidecarAway:
            if caller is not None and not self._passes_when_away:
                self.secrets.forget(prompt_id)
                raise
            return await self._run_without_sidecar(prompt_id, body)
        except SidecarRefused:
            self.secrets.forget(prompt_id)
            raise
        self._show_as_held(prompt_id, accepted["number"], body.client_id, validated.outputs)
        answer = {"prompt_id": prompt_id, "number": accepted["number"], "node_errors": validated.node_errors}
        return json_answer(answer)

    async def _dispatch(self, body: PromptBody) -> web.Response:
        """Take a prompt from the sidecar, which may post it twice when it could not hear the first answer."""
        prompt_id = body.posted.get("prompt_id")
        if not isinstance(prompt_id, str):
            raise UnusableBody("invalid_prompt_id", "The sidecar must say which prompt this is.")
        term = body.posted.pop(TERM, None)
        answered = self._what_is_known_of(prompt_id) or self._refusal_of(term)
        if answered is not None:
            return answered
        owner_id, is_under_review = owner_by_tag(body.extra_data), is_marked(body.extra_data)
        validated = await self._validate(prompt_id, body.posted, owner_id, is_under_review=is_under_review)
        if not validated.is_valid:
            return validated.refusal()
        return self._enqueue(prompt_id, validated, source=FROM_SIDECAR, number=body.posted.get("number"), term=term)

    async def _run_without_sidecar(self, prompt_id: str, body: PromptBody) -> web.Response:
        owner = CALLER.get() or LOCAL_OWNER
        validated = await self._validate(prompt_id, body.posted, owner.user_id)
        if not validated.is_valid:
            return validated.refusal()
        tag = {"generation_id": prompt_id, "owner_id": owner.user_id, "title": "", "tags": []}
        extra_data = validated.body.setdefault("extra_data", {})
        extra_data["genonaut"] = tag
        extra_data["extra_pnginfo"] = {**(extra_data.get("extra_pnginfo") or {}), "genonaut": tag}
        answer = self._enqueue(prompt_id, validated, source=FROM_PAGE)
        if answer.status == ALREADY_FINISHED:
            # The sidecar had taken it after all, and it has run: whoever posted it has what they asked for.
            return json_answer({"prompt_id": prompt_id, "number": 0, "node_errors": validated.node_errors})
        return answer

    async def _validate(
        self, prompt_id: str, posted: dict[str, Any], owner_id: str | None, *, is_under_review: bool = False
    ) -> Validated:
        """
        Do what ComfyUI's own handler does before it queues: other packs, node replacements, validation.

        Raises:
            UnusableBody: ComfyUI's validation falls over it.
            ForeignFiles: It names files that its owner may not use.
            SidecarAway: Nobody can say whose a file is.
        """
        body = self._server.trigger_on_prompt(posted)
        try:
            workflow = body["prompt"]
            replacements = getattr(self._server, "node_replace_manager", None)
            if replacements is not None:  # since 0.30 or so
                replacements.apply_replacements(workflow)
            if self._graphs is not None and owner_id is not None:
                workflow = await self._graphs.prepare(workflow, owner_id, is_under_review=is_under_review)
                body["prompt"] = workflow
            with acting_for(owner_id):
                targets = body.get("partial_execution_targets")
                found = await self._execution.validate_prompt(prompt_id, workflow, targets)
            return Validated(body, bool(found[0]), found[1], list(found[2]), found[3])
        except (ForeignFiles, SidecarAway):
            raise
        except Exception as exc:
            log.warning("ComfyUI cannot validate a prompt.", exc_info=True)
            raise UnusableBody(
                "invalid_prompt", "ComfyUI cannot read this workflow.", f"{type(exc).__name__}: {exc}"
            ) from exc

    def _enqueue(
        self,
        prompt_id: str,
        validated: Validated,
        *,
        source: str,
        number: float | None = None,
        term: int | None = None,
    ) -> web.Response:
        """Put a validated prompt into ComfyUI's queue, as ComfyUI's own handler would."""
        extra_data, secrets = self.secrets.split(validated.body.get("extra_data") or {})
        secrets = {**self.secrets.take(first_run_of(prompt_id)), **secrets}
        extra_data["client_id"] = validated.body.get("client_id") or extra_data.get("client_id") or NO_BROWSER
        extra_data["create_time"] = int(time.time() * 1000)
        queue = self._server.prompt_queue
        with queue.mutex:
            # Once more: validation takes its time.
            answered = self._what_is_known_of(prompt_id) or self._refusal_of(term)
            if answered is not None:
                return answered
            if number is None:
                number = self._server.number
                self._server.number += 1
            came_from = arriving_from.set(source)
            try:
                queue.put((number, prompt_id, validated.body["prompt"], extra_data, validated.outputs, secrets))
            finally:
                arriving_from.reset(came_from)
        return json_answer({"prompt_id": prompt_id, "number": number, "node_errors": validated.node_errors})

    def _what_is_known_of(self, prompt_id: str) -> web.Response | None:
        if prompt_id in self._server.prompt_queue.own_ids():
            return json_answer({"prompt_id": prompt_id, "number": 0, "node_errors": {}, "already": "queued"})
        if prompt_id in self._finished or self._journal.is_finished(prompt_id):
            return error_answer(
                ALREADY_FINISHED,
                "already_finished",
                "This prompt has run already; its outcome is in the journal until it is confirmed.",
            )
        return None

    def _refusal_of(self, term: Any) -> web.Response | None:
        if not self._term.is_over(term):
            return None
        message = "Another process of the sidecar drives this ComfyUI by now."
        return error_answer(TERM_IS_OVER, "term_is_over", message, details=str(self._term.latest))

    def _show_as_held(self, prompt_id: str, number: float, client_id: str | None, outputs: list[str]) -> None:
        queue = self._server.prompt_queue
        caller = only_theirs()
        owner_id = None if caller is None else caller.user_id
        held = HeldPrompt(prompt_id, number, client_id, int(time.time() * 1000), tuple(outputs), owner_id)
        # The sidecar may have dispatched it before we heard its answer, and then it is held no longer.
        if self._what_is_known_of(prompt_id) is None:
            queue.genonaut.held.add(held)
        self._server.queue_updated()
