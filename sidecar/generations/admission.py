"""May this enter? One transaction that either writes the generation or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from itertools import count
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import structlog
from msgspec import UnsetType, structs
from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.accounts.models import User
from sidecar.catalog.catalog import Catalog
from sidecar.catalog.discovery import Discovery
from sidecar.catalog.snapshot import Snapshot
from sidecar.catalog.usable import SWITCHED_OFF, faults_of_workflow, switched_off_parameters
from sidecar.comfyui.workflow_builder import (
    Parameters,
    build_workflow,
    check_parameters,
    draw_seed,
    in_field_order,
    with_listed_names,
)
from sidecar.comfyui.workflow_builder.checking import MODEL_UNKNOWN
from sidecar.comfyui.workflow_reader import WorkflowFacts, read_workflow
from sidecar.counters import PURGED, Counter
from sidecar.database import Database
from sidecar.errors import AccountDisabled, Away, InvalidParameters, InvalidRequest, ModelsUnusable, Refused
from sidecar.generations.entry_limits import Asking, EntryLimits, PartyLimits
from sidecar.generations.idempotency import Once, recall, remember, require_same
from sidecar.generations.models import Generation, note_beginnings, touch
from sidecar.generations.queueing import Queueing
from sidecar.generations.schemas import PromptSubmission, Source, Submission, clean_tags
from sidecar.generations.search import give_moments, last_moment_nearby, make_findable
from sidecar.generations.shares import let_wait
from sidecar.generations.states import GenerationState
from sidecar.generations.turns import go_in_front
from sidecar.generations.workflows import pack_workflow, store_workflows
from sidecar.identity import now, uuid7
from sidecar.limits.estimate import lines_of, to_ms
from sidecar.limits.ledger import Reservation, reserve
from sidecar.limits.paces import work_of
from sidecar.limits.plans import read_groups
from sidecar.rules.hits import Hits
from sidecar.rules.inspection import NOTHING_FOUND, Findings
from sidecar.rules.inspector import Inspector
from sidecar.together import Together

# ComfyUI's execution.SENSITIVE_EXTRA_DATA_KEYS: other people's secrets have no place in our database.
SENSITIVE_EXTRA_DATA_KEYS = frozenset({"auth_token_comfy_org", "api_key_comfy_org"})
TITLE_CHARACTERS = 200
FAULTS_NAMED_AT_MOST = 5
ADMITTED_AT_ONCE = 50  # the first of a crowd shall not wait for all of it
NOTHING_KNOWN = Snapshot()
CLIENT_ID_CHARACTERS = 200
THESE = select(Generation).where(Generation.id.in_(bindparam("ids", expanding=True)))
DISABLED = select(User.id).where(User.id.in_(bindparam("ids", expanding=True)), User.disabled_at.is_not(None))

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Request:
    """A submission from whichever door, in one form."""

    id: UUID
    owner_id: UUID
    source: Source
    workflow: dict[str, Any]
    ui_workflow: dict[str, Any] | None = None
    extra_data: dict[str, Any] = field(default_factory=dict)
    client_id: str | None = None
    partial_execution_targets: list[str] | None = None
    title: str = ""
    tags: tuple[str, ...] = ()
    parent_id: UUID | None = None
    """The generation that it repeats."""
    front: bool = False
    """It is to be the next of its owner's."""
    priority: int = 0
    """Among what the same person waits for: before those that have less."""
    once: Once | None = None
    address: str | None = None
    """From where it came, as far as is known."""

    @cached_property
    def facts(self) -> WorkflowFacts:
        """What can be read from the workflow."""
        return read_workflow(self.workflow)

    findings: Findings = NOTHING_FOUND
    """What rules found in it."""


class Admission:
    """Lets generations in. One a process."""

    def __init__(
        self,
        database: Database,
        queueing: Queueing,
        catalog: Catalog,
        discovery: Discovery,
        entry_limits: EntryLimits,
        inspector: Inspector,
        announce: Callable[[UUID], Awaitable[None]],
    ) -> None:
        self._database = database
        self._queueing = queueing
        self._catalog = catalog
        self._discovery = discovery
        self._entry_limits = entry_limits
        self._inspector = inspector
        self._announce = announce
        self._entrance = Together(self._let_in, at_most=ADMITTED_AT_ONCE)

    async def read_submission(self, submission: Submission, owner_id: UUID, once: Once | None = None) -> Request:
        """
        Read what an API client asks for. A model that nobody has is looked for again before it is refused.

        Raises:
            InvalidRequest: Neither or both of parameters and workflow, or a workflow that is none.
            InvalidParameters: All field errors together.
        """
        try:
            return from_submission(submission, owner_id, once, known=self._catalog.snapshot)
        except InvalidParameters as exc:
            if not any(error.get("code") == MODEL_UNKNOWN for error in exc.errors):
                raise
        await self._discovery.look_again()
        return from_submission(submission, owner_id, once, known=self._catalog.snapshot)

    async def admit(self, request: Request, *, address: str | None = None) -> Generation:
        """
        Write a generation down and ask for its turn. A known id, or a known `Idempotency-Key`, answers as it did the
        first time.

        Args:
            address: From where somebody asks. In `open` access limits tell people apart by it; it is not written down.

        Raises:
            InvalidRequest: The id belongs to somebody else's generation.
            IdempotencyKeyReused: The key belongs to another request.
            ModelsUnusable: The workflow names models that cannot be used here.
            LimitReached: Its person has used all that is allowed for now.
            WaitingRoomFull: Too much waits already.
            RulesBroken: It goes against rules, or beyond what its owner's plan allows.
        """
        await self.require_usable_models(request)
        inspected = await self._inspected(request)
        generation, is_new = await self._entrance.ask(replace(inspected, address=address))
        if not is_new:
            return generation
        log.info(
            "generation_admitted",
            generation_id=str(generation.id),
            number=generation.number,
            source=request.source,
            not_before=generation.not_before and generation.not_before.isoformat(),
        )
        await self._queueing.dispatch(generation.id, reason="admitted", not_before=generation.not_before)
        await self._announce(generation.id)
        if generation.parent_id is not None:
            await self._announce(generation.parent_id)
        return generation

    async def earlier(self, owner_id: UUID, once: Once | None) -> UUID | None:
        """
        What the same request made before, whatever would become of it today.

        Raises:
            IdempotencyKeyReused: The key belongs to another request.
        """
        if once is None:
            return None
        async with self._database.reading() as session:
            return await recall(session, owner_id, once)

    async def require_usable_models(self, request: Request) -> None:
        """
        Raises:
            ModelsUnusable: Some that it names cannot be used here.
        """
        faults = faults_of_workflow(self._catalog.snapshot, request.workflow)
        if request.source == "page":
            # ComfyUI has just accepted it, and its own list is newer than what is known here.
            faults = [fault for fault in faults if fault.code == SWITCHED_OFF]
        elif any(fault.code == MODEL_UNKNOWN for fault in faults):
            await self._discovery.look_again()
            faults = faults_of_workflow(self._catalog.snapshot, request.workflow)
        if faults:
            message = " ".join(fault.message for fault in faults[:FAULTS_NAMED_AT_MOST])
            raise ModelsUnusable(message, errors=tuple(msgspec.to_builtins(fault) for fault in faults))

    async def _inspected(self, request: Request) -> Request:
        findings = await self._inspector.look_at(request.workflow, request.title, request.owner_id)
        return replace(request, findings=findings) if findings.hits else request

    async def _let_in(self, requests: Sequence[Request]) -> Sequence[Admitted | BaseException]:
        """Those who come together share a transaction; if it fails because of one of them, each has its own."""
        try:
            return await self._write(requests)
        except Away:
            raise
        except Exception:
            if len(requests) == 1:
                raise
            log.warning("not_admitted_together", requests=len(requests), exc_info=True)
            return await asyncio.gather(*(self._write_alone(request) for request in requests), return_exceptions=True)

    async def _write(self, requests: Sequence[Request]) -> list[Admitted | Refused]:
        async with self._database.writing() as session:
            at = now()
            limits = await self._entry_limits.of_party(session, [asking(request) for request in requests], at)
            party = Party(session, limits, self._inspector.hits, at)
            await party.look_up(request.id for request in requests)
            await party.look_for_disabled(request.owner_id for request in requests)
            outcomes = [await party.receive(request) for request in requests]
            await party.write()
        return outcomes

    async def _write_alone(self, request: Request) -> Admitted:
        (outcome,) = await self._write([request])
        if isinstance(outcome, Refused):
            raise outcome
        return outcome


class Admitted(NamedTuple):
    """What a submission came to."""

    generation: Generation
    is_new: bool
    """Else the same request had made it before."""


class Party:
    """Submissions that enter in one transaction, each in its own right."""

    def __init__(self, session: AsyncSession, limits: PartyLimits, hits: Hits, at: datetime) -> None:
        self._session = session
        self._limits = limits
        self._hits = hits
        self._at = at
        self._known: dict[UUID, Generation] = {}
        self._new: list[tuple[Request, Generation]] = []
        self._disabled: frozenset[UUID] = frozenset()
        self._reservations: list[Reservation] = []

    async def look_up(self, ids: Iterable[UUID]) -> None:
        """Find those that were written before."""
        known = await self._session.scalars(THESE, {"ids": list(ids)})
        self._known.update((generation.id, generation) for generation in known)

    async def look_for_disabled(self, owner_ids: Iterable[UUID]) -> None:
        """Who was let in a moment ago may be disabled by now, and everything of theirs cancelled."""
        self._disabled = frozenset(await self._session.scalars(DISABLED, {"ids": list(set(owner_ids))}))

    async def receive(self, request: Request) -> Admitted | Refused:
        try:
            if request.owner_id in self._disabled:
                raise AccountDisabled
            known = self._known.get(await self._earlier(request) or request.id)
            if known is not None and known.owner_id != request.owner_id:
                raise InvalidRequest("This id cannot be used. Submit again with a new one.")
            if known is not None:
                return Admitted(known, is_new=False)
            permit = await self._limits.enter(asking(request))
        except Refused as exc:
            return exc
        generation = self._known[request.id] = to_generation(request, at=now())
        generation.person_id = permit.person_id
        if permit.entry.waiting_reason is not None:
            generation.not_before, generation.waiting_reason = permit.entry.counted_at, permit.entry.waiting_reason
        self._new.append((request, generation))
        self._reservations.append(permit.reservation(generation.id))
        return Admitted(generation, is_new=True)

    async def write(self) -> None:
        """Write down those that are new."""
        await write_generations(self._session, self._new)
        await reserve(self._session, self._reservations, at=self._at)
        for request, generation in self._new:
            self._hits.note(self._session, request.findings, request.owner_id, generation.id)
            if request.once is not None:
                await remember(self._session, request.owner_id, request.once, generation.id)

    async def _earlier(self, request: Request) -> UUID | None:
        """What the same request has made before, in this transaction or in an earlier one."""
        if request.once is None:
            return None
        for other, generation in self._new:
            if other.once is not None and (other.owner_id, other.once.key) == (request.owner_id, request.once.key):
                require_same(other.once, request.once)
                return generation.id
        earlier = await recall(self._session, request.owner_id, request.once)
        if earlier is not None:
            await self.look_up([earlier])
        return earlier


async def write_generation(
    session: AsyncSession, request: Request, *, at: datetime, state: GenerationState = GenerationState.PENDING
) -> Generation:
    """Add a generation to the running transaction, with what can be read from its workflow."""
    generation = to_generation(request, at=at, state=state)
    await write_generations(session, [(request, generation)])
    await count_in(session, generation)
    return generation


async def count_in(session: AsyncSession, generation: Generation) -> None:
    """What came without asking is counted for its person and their groups all the same."""
    groups = (await read_groups(session, [generation.person_id])).get(generation.person_id, ())
    usual = (await lines_of(session, [generation.checkpoint]))[generation.checkpoint].usual
    accounts = (generation.person_id, *(group.id for group in groups))
    reservation = Reservation(generation.id, accounts, to_ms(usual.seconds(generation.work)), generation.created_at)
    await reserve(session, [reservation], at=now())


async def write_generations(session: AsyncSession, new: Sequence[tuple[Request, Generation]]) -> None:
    """Add generations to the running transaction, in this order."""
    if not new:
        return
    generations = [generation for _, generation in new]
    packed = [pack_workflow(request.workflow, request.ui_workflow) for request, _ in new]
    await store_workflows(session, packed)
    highest = select(func.max(Generation.number)).scalar_subquery()
    purged = select(Counter.value).where(Counter.name == PURGED).scalar_subquery()
    lasts = await session.execute(select(highest, purged, last_moment_nearby(generations)))
    highest_there, highest_gone, moment_before = lasts.one()
    give_moments(generations, moment_before)
    numbers = count(max(highest_there or 0, highest_gone or 0) + 1)
    for number, (request, generation), workflow in zip(numbers, new, packed, strict=False):
        generation.number = number
        generation.workflow_hash = workflow.hash
        generation.parent_id = await counted_parent(session, request)
    session.add_all(generations)
    await session.flush()
    await make_findable(session, generations)
    await note_beginnings(session, generations)
    await let_wait(session, generations)
    for request, generation in new:
        if request.front and generation.state == GenerationState.PENDING.value:
            await go_in_front(session, generation)


def to_generation(request: Request, *, at: datetime, state: GenerationState = GenerationState.PENDING) -> Generation:
    """What is written down of a submission, but for what depends on those written before."""
    facts = request.facts
    return Generation(
        id=request.id,
        owner_id=request.owner_id,
        state=state.value,
        source=request.source,
        title=(request.title or facts.title)[:TITLE_CHARACTERS],
        tags=list(request.tags or facts.tags),
        prompt=facts.prompt,
        negative_prompt=facts.negative_prompt,
        checkpoint=facts.checkpoint,
        loras=msgspec.to_builtins(facts.loras),
        width=facts.width,
        height=facts.height,
        batch_size=facts.batch_size,
        sampler=msgspec.to_builtins(facts.sampler),
        work=work_of_facts(facts),
        submission={
            "extra_data": request.extra_data,
            "partial_execution_targets": request.partial_execution_targets,
        },
        priority=request.priority,
        client_id=request.client_id[:CLIENT_ID_CHARACTERS] if request.client_id else None,
        review="waiting" if request.findings.is_flagged else None,
        created_at=at,
        updated_at=at,
    )


async def counted_parent(session: AsyncSession, request: Request) -> UUID | None:
    """The generation that is repeated, if it has not been purged in this moment: it counts its repeats."""
    parent = await session.get(Generation, request.parent_id) if request.parent_id else None
    if parent is None:
        return None
    parent.child_count += 1
    touch(parent)
    return parent.id


def asking(request: Request) -> Asking:
    return Asking(request.owner_id, request.address, request.facts.checkpoint, work_of_facts(request.facts))


def work_of_facts(facts: WorkflowFacts) -> float:
    return work_of(
        width=facts.width,
        height=facts.height,
        steps=facts.sampler.steps,
        batch_size=facts.batch_size,
        frames=facts.frames,
    )


def from_submission(
    submission: Submission, owner_id: UUID, once: Once | None = None, *, known: Snapshot = NOTHING_KNOWN
) -> Request:
    parameters, workflow = submission.parameters, submission.workflow
    if isinstance(parameters, Parameters) and isinstance(workflow, UnsetType):
        workflow = built_workflow(parameters, known)
    elif isinstance(workflow, dict) and isinstance(parameters, UnsetType):
        workflow = checked_workflow(workflow)
    else:
        raise InvalidRequest("Send either `parameters` or `workflow`, and not both.")
    return Request(
        id=uuid7(),
        owner_id=owner_id,
        source="api",
        workflow=workflow,
        client_id=submission.client_id,
        title=submission.title.strip(),
        tags=tuple(clean_tags(submission.tags)),
        priority=submission.priority,
        once=once,
    )


def from_prompt(prompt: PromptSubmission, owner_id: UUID) -> Request:
    """Read what the gate hands over; the page's drawing of the workflow moves out of `extra_data`."""
    ui_workflow, extra_data = split_extra_data(prompt.extra_data)
    return Request(
        id=prompt.id,
        owner_id=owner_id,
        source=prompt.source,
        workflow=checked_workflow(prompt.workflow),
        ui_workflow=ui_workflow,
        extra_data=extra_data,
        client_id=prompt.client_id,
        partial_execution_targets=prompt.partial_execution_targets,
        front=prompt.front,
    )


def split_extra_data(extra_data: dict[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """The UI workflow, and everything else that is no secret."""
    rest = {key: value for key, value in extra_data.items() if key not in SENSITIVE_EXTRA_DATA_KEYS}
    pnginfo = rest.get("extra_pnginfo")
    if not isinstance(pnginfo, dict):
        return None, rest
    ui_workflow = pnginfo.get("workflow")
    rest["extra_pnginfo"] = {key: value for key, value in pnginfo.items() if key != "workflow"}
    return ui_workflow if isinstance(ui_workflow, dict) else None, rest


def checked_workflow(workflow: dict[str, Any]) -> dict[str, Any]:
    if not workflow:
        raise InvalidRequest("The workflow is empty. Send it in ComfyUI's API format (Export (API) in ComfyUI's menu).")
    for node_id, node in workflow.items():
        if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
            raise InvalidRequest(
                f"Node {node_id!r} has no class_type. "
                "Send the workflow in ComfyUI's API format (Export (API) in ComfyUI's menu)."
            )
    return workflow


def built_workflow(parameters: Parameters, known: Snapshot) -> dict[str, Any]:
    if parameters.seed is None:
        parameters = structs.replace(parameters, seed=draw_seed())
    errors = check_parameters(parameters, known.options) + switched_off_parameters(known, parameters)
    if errors:
        raise InvalidParameters(errors=tuple(in_field_order(errors)))
    return build_workflow(with_listed_names(parameters, known.options))
