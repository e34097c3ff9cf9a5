"""What the journal of a ComfyUI tells of one prompt, written down. All of it may be done twice."""

from __future__ import annotations

from datetime import datetime, timezone
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.accounts.models import LOCAL_OWNER_ID, User
from sidecar.comfyui.outcomes import Accepted, Finished, Started
from sidecar.gallery.expected import expect_images
from sidecar.gallery.references import names_files
from sidecar.generations.failures import explain, is_out_of_memory
from sidecar.generations.in_flight import is_at
from sidecar.generations.models import Generation, forget_foreign_prompt_id, latest_time, move, prompt_id_of
from sidecar.generations.schemas import WITHHELD
from sidecar.generations.shares import let_wait, settle
from sidecar.generations.states import FINAL, GenerationState
from sidecar.generations.submissions import Request, split_extra_data
from sidecar.generations.writing import write_generation
from sidecar.identity import generation_id_of, now
from sidecar.instances import standing
from sidecar.instances.models import Instance
from sidecar.limits.estimate import learn
from sidecar.limits.paces import Sample

log = structlog.get_logger(__name__)


async def record_accepted(session: AsyncSession, entry: Accepted, instance_id: UUID) -> None:
    """Write down a prompt that entered ComfyUI's queue by another door than ours."""
    generation_id = generation_id_of(entry.prompt_id)
    known = await session.get(Generation, generation_id)
    if known is not None:
        # The gate asked us, did not hear our answer in time, and let the prompt through under the same id.
        if known.state == GenerationState.PENDING.value:
            move(session, known, GenerationState.SUBMITTED, at=now(), reason="let through by the gate")
            known.tries = 1
            known.instance_id = instance_id
        return
    ui_workflow, extra_data = split_extra_data(entry.extra_data)
    request = Request(
        id=generation_id,
        owner_id=await who_asked(session, entry),
        source=entry.source,
        workflow=entry.workflow,
        ui_workflow=ui_workflow,
        extra_data=extra_data,
        client_id=entry.client_id,
    )
    accepted_at = from_unix(entry.accepted_at)
    generation = await write_generation(session, request, at=accepted_at, state=GenerationState.SUBMITTED)
    generation.submitted_at = accepted_at
    generation.tries = 1
    generation.instance_id = instance_id
    if entry.prompt_id != str(generation_id):
        generation.submission = {**generation.submission, "prompt_id": entry.prompt_id}
    log.info("generation_imported", generation_id=str(generation_id), source=entry.source)


async def who_asked(session: AsyncSession, entry: Accepted) -> UUID:
    """Whose a prompt by another door is: the person's whom the pack let in, or else the local owner's."""
    user = None if entry.owner_id is None else await session.get(User, entry.owner_id)
    return LOCAL_OWNER_ID if user is None else user.id


async def record_started(session: AsyncSession, entry: Started, instance_id: UUID) -> None:
    """Write down that a prompt began to run; mostly its event has told so already."""
    generation = await session.get(Generation, generation_id_of(entry.prompt_id))
    if generation is None or not is_at(generation, instance_id):
        return
    if generation.state == GenerationState.SUBMITTED.value:
        move(session, generation, GenerationState.RUNNING, at=from_unix(entry.started_at))


async def record_finished(session: AsyncSession, entry: Finished, instance_id: UUID) -> bool:
    """Write down how a prompt ended there; tells whether there are images to keep."""
    generation = await session.get(Generation, generation_id_of(entry.prompt_id))
    if generation is None or not is_news(generation, entry, instance_id):
        log.info("outcome_not_recorded", prompt_id=entry.prompt_id, known=generation is not None, status=entry.status)
        return False
    if generation.state == GenerationState.PENDING.value:
        move(session, generation, GenerationState.SUBMITTED, at=now(), reason="ComfyUI had it already")
    generation.instance_id = instance_id
    if entry.started_at is not None:
        generation.started_at = max(from_unix(entry.started_at), latest_time(generation))
        generation.gpu_seconds = round((generation.gpu_seconds or 0.0) + entry.finished_at - entry.started_at, 3)
    await learn_of_instance(session, generation, entry)
    finished_at = from_unix(entry.finished_at)
    if entry.error is not None and entry.status == "failed":
        if is_out_of_memory(entry.error) and may_try_with_free_memory(generation):
            try_with_free_memory(session, generation, at=finished_at)
            await settle(session, generation)
            await let_wait(session, [generation])
            return False
        generation.error_code, generation.error = explain(entry.error, generation)
    generation.left_files = names_files(entry.outputs)
    move(session, generation, GenerationState(entry.status), at=finished_at)
    await settle(session, generation)
    images = await expect_images(
        session,
        owner_id=generation.owner_id,
        generation_id=generation.id,
        outputs=entry.outputs,
        is_withheld=generation.review in WITHHELD,
        now=finished_at,
    )
    log.info("generation_recorded", generation_id=str(generation.id), state=generation.state, images=len(images))
    return bool(images)


async def learn_of_instance(session: AsyncSession, generation: Generation, entry: Finished) -> None:
    """What an outcome says of the instance: that it can be trusted, and how long it takes."""
    instance = await session.get_one(Instance, generation.instance_id)
    if entry.status != "cancelled":
        standing.trusted(instance)
    if entry.status == "completed" and entry.started_at is not None:
        sample = Sample(generation.work, round(entry.finished_at - entry.started_at, 3))
        await learn(session, instance.id, generation.checkpoint, sample)


def is_news(generation: Generation, entry: Finished, instance_id: UUID) -> bool:
    """Does this outcome say how the generation ended, or only how an earlier run of it did?"""
    if GenerationState(generation.state) in FINAL:
        return False
    if generation.run > 1 and entry.prompt_id != prompt_id_of(generation):
        return False
    # What was taken out of an instance that came back goes on where it is now, or waits for its turn.
    held = generation.state == GenerationState.PENDING.value
    if held and entry.status == "cancelled":
        return generation.cancel_requested or generation.instance_id == instance_id
    return held or is_at(generation, instance_id) or entry.status == "completed"


def may_try_with_free_memory(generation: Generation) -> bool:
    """Once; and never a prompt of another pack, which has its own way to go on."""
    return not (generation.memory_freed or generation.cancel_requested or generation.source == "outside")


def try_with_free_memory(session: AsyncSession, generation: Generation, *, at: datetime) -> None:
    """It waits for its turn again; before that ComfyUI is asked to free its memory."""
    generation.memory_freed = True
    generation.run += 1
    forget_foreign_prompt_id(generation)
    move(session, generation, GenerationState.PENDING, at=at, reason="out of memory: ComfyUI frees it, then once more")
    log.warning("generation_out_of_memory", generation_id=str(generation.id))


def from_unix(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)
