"""What we believe a ComfyUI has in its hands, brought into line with what it has."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

import structlog

from sidecar.cluster.leadership import Leadership
from sidecar.comfyui.client import ComfyUIClient
from sidecar.comfyui.outcomes import Look
from sidecar.generations.aftermath import Aftermath
from sidecar.generations.in_flight import bring_into_line, is_at, note_death
from sidecar.generations.models import Generation, move, prompt_id_of
from sidecar.generations.shares import let_wait
from sidecar.generations.states import GenerationState
from sidecar.identity import generation_id_of, now

EARLIER_TERMS_GIVE_UP_AFTER_S = 75.0  # a leader that was cut off knows it within 8 s, and waits 63 s for an answer

log = structlog.get_logger(__name__)


class Reconciling:
    """That of one instance. The leader's alone: nobody else knows what is on its way there."""

    def __init__(self, leadership: Leadership, instance_id: UUID, comfyui: ComfyUIClient, aftermath: Aftermath) -> None:
        self._leadership = leadership
        self._instance_id = instance_id
        self._comfyui = comfyui
        self._aftermath = aftermath

    async def bring_into_line(self, believed: Collection[UUID], look: Look) -> None:
        """
        Move what we believed before the look to where the look has it, and take out what is not to be there.
        """
        running = {generation_id_of(prompt_id) for prompt_id in look.running}
        queued = {generation_id_of(prompt_id) for prompt_id in look.pending}
        for generation_id in believed:
            async with self._leadership.writing() as session:
                generation = await session.get_one(Generation, generation_id)
                if not is_at(generation, self._instance_id):
                    continue
                if generation_id not in running | queued and self._may_be_on_its_way(generation):
                    continue
                if generation.state == GenerationState.RUNNING.value and generation_id not in running:
                    await note_death(session, generation)
                changed = bring_into_line(session, generation, running=running, queued=queued)
                await let_wait(session, [generation])
                unheard_cancel = generation.cancel_requested and generation_id in running | queued
            if changed:
                await self._aftermath.of_taking_back(generation)
            if unheard_cancel:
                await self._comfyui.cancel_prompt(prompt_id_of(generation))
        await self._end_strays(look, (running | queued) - set(believed))

    def _may_be_on_its_way(self, generation: Generation) -> bool:
        """
        Sent by whoever led before, to a ComfyUI that takes what comes from anybody: it is waited for until that one
        has certainly given up. One with the pack takes nothing of earlier terms once it has been looked at.
        """
        since = self._leadership.since
        if self._comfyui.refuses_earlier_terms or since is None or generation.submitted_at is None:
            return False
        is_young = (now() - since).total_seconds() < EARLIER_TERMS_GIVE_UP_AFTER_S
        return is_young and generation.state == GenerationState.SUBMITTED.value and generation.submitted_at < since

    async def _end_strays(self, look: Look, unexpected: set[UUID]) -> None:
        """
        Deal with what ComfyUI has and we do not believe it has.

        One that we gave up, that was cancelled while its answer was lost, or that went elsewhere while this ComfyUI was
        away: out of it with it. One that we hold back because its answer was lost: it is there.
        """
        for prompt_id in (*look.running, *look.pending):
            generation_id = generation_id_of(prompt_id)
            if generation_id not in unexpected:
                continue
            async with self._leadership.writing() as session:
                generation = await session.get(Generation, generation_id)
                if generation is None or is_at(generation, self._instance_id):
                    continue
                is_its_latest = prompt_id == prompt_id_of(generation)
                held = is_its_latest and generation.state == GenerationState.PENDING.value
                if held:
                    move(session, generation, GenerationState.SUBMITTED, at=now(), reason="ComfyUI has it already")
                    generation.instance_id = self._instance_id
                generation.run_is_over = is_its_latest and not held
            if held:
                await self._aftermath.announce(generation_id)
            else:
                was = await self._comfyui.cancel_prompt(prompt_id)
                log.info("stray_prompt", generation_id=str(generation_id), state=generation.state, was=was)
