"""May this enter? One transaction that either writes the generation or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import msgspec
import structlog

from sidecar.catalog.catalog import Catalog
from sidecar.catalog.discovery import Discovery
from sidecar.catalog.usable import SWITCHED_OFF, faults_of_workflow
from sidecar.comfyui.workflow_builder.checking import MODEL_UNKNOWN
from sidecar.database import Database
from sidecar.errors import Away, InvalidParameters, ModelsUnusable, Refused
from sidecar.generations.entry_limits import EntryLimits
from sidecar.generations.idempotency import Once, recall
from sidecar.generations.models import Generation
from sidecar.generations.party import Admitted, Entrant, Party
from sidecar.generations.queueing import Queueing
from sidecar.generations.schemas import Submission
from sidecar.generations.states import GenerationState
from sidecar.generations.submissions import Request, from_submission
from sidecar.generations.turn_giving import TurnGiver
from sidecar.identity import now
from sidecar.rules.inspector import Inspector
from sidecar.together import Together

FAULTS_NAMED_AT_MOST = 5
ADMITTED_AT_ONCE = 100  # the first of a crowd shall not wait for all of it

log = structlog.get_logger(__name__)


class Admission:
    """Lets generations in. One a process."""

    def __init__(
        self,
        database: Database,
        turns: TurnGiver,
        queueing: Queueing,
        catalog: Catalog,
        discovery: Discovery,
        entry_limits: EntryLimits,
        inspector: Inspector,
        announce: Callable[[UUID], Awaitable[None]],
    ) -> None:
        self._database = database
        self._turns = turns
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
        findings = await self._inspector.look_at(request.workflow, request.title, request.owner_id)
        generation, is_new = await self._entrance.ask(Entrant(request, findings, address))
        if not is_new:
            return generation
        log.info(
            "generation_admitted",
            generation_id=str(generation.id),
            number=generation.number,
            source=request.source,
            not_before=generation.not_before and generation.not_before.isoformat(),
        )
        if generation.state == GenerationState.PENDING.value:  # else it has gone on at once, and that is told
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

    async def _let_in(self, entrants: Sequence[Entrant]) -> Sequence[Admitted | BaseException]:
        """Those who come together share a transaction; if it fails because of one of them, each has its own."""
        try:
            return await self._write(entrants)
        except Away:
            raise
        except Exception:
            log.warning("not_admitted_together", requests=len(entrants), exc_info=True)
            return await asyncio.gather(*(self._write_alone(entrant) for entrant in entrants), return_exceptions=True)

    async def _write(self, entrants: Sequence[Entrant]) -> list[Admitted | Refused]:
        requests = [entrant.request for entrant in entrants]
        async with self._turns.writing() as along:
            at, session = now(), along.session
            limits = await self._entry_limits.of_party(session, [entrant.asking() for entrant in entrants], at)
            party = Party(session, limits, self._inspector.hits, at)
            await party.look_up([request.id for request in requests if not request.is_new])
            await party.look_for_disabled(request.owner_id for request in requests)
            outcomes = [await party.receive(entrant) for entrant in entrants]
            await party.write()
        return outcomes

    async def _write_alone(self, entrant: Entrant) -> Admitted:
        (outcome,) = await self._write([entrant])
        if isinstance(outcome, Refused):
            raise outcome
        return outcome
