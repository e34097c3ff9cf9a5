"""
The same prompts through a ComfyUI alone and through one with Genonaut.

Both run at the same time and take turns, so that whatever else this machine does hits both alike. What is submitted is
never the same twice: ComfyUI would answer from its cache.

A second of work is measured in two ways. On a graphics card it leaves the processor to others, as almost everywhere.
On the processor it wants every core for itself: what Genonaut takes of them, it lacks.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from real import models
from real.comfyui import fetch_comfyui
from real.http import answers
from real.processes import RunningComfyUI, free_port, start_comfyui

from benchmarks.figures import Budget, Row, Scale, spread
from benchmarks.watched_comfyui import WatchedComfyUI, watched
from install import PACK_FOLDER

SIDECAR_READY_WITHIN_S = 60.0
WARM_UP_PROMPTS = 5
SINGLE_PROMPTS = Scale(full=60, quick=20)
BREATH_S = 0.05  # between single prompts: nothing of one reaches into the next
ROUNDS = Scale(full=3, quick=1)
TRIVIAL_PROMPTS = 60
LONG_PROMPTS = 6
CLIENTS = 8
NODE_OF_OURS = Path(__file__).with_name("work_on_a_card.py")
LONG_STEPS = 12

Both = tuple[WatchedComfyUI, WatchedComfyUI]
Workflow = dict[str, Any]

number = itertools.count()


def rows(folder: Path, *, quick: bool) -> list[Row]:
    with ExitStack() as on_exit:
        alone, through = start_both(folder, on_exit)
        return asyncio.run(measure(alone.url, through.url, quick=quick))


def start_both(folder: Path, on_exit: ExitStack) -> tuple[RunningComfyUI, RunningComfyUI]:
    program = fetch_comfyui()
    made = models.make_models(program)
    for name in ("alone", "through"):
        models.link_models(made, folder / name)
        nodes = folder / name / "custom_nodes"
        nodes.mkdir(parents=True)
        shutil.copy(NODE_OF_OURS, nodes)
    alone = on_exit.enter_context(start_comfyui(program, base=folder / "alone"))
    through = on_exit.enter_context(
        start_comfyui(
            program,
            base=folder / "through",
            pack=PACK_FOLDER,
            environment={"GENONAUT_PORT": str(free_port()), "GENONAUT_SIDECAR_START": "yes"},
        )
    )
    through.wait_until(
        lambda: answers(f"{through.url}/genonaut/health/ready"),
        within_s=SIDECAR_READY_WITHIN_S,
        name="The sidecar",
        log=folder / "through" / "user" / "__genonaut" / "sidecar.log",
    )
    return alone, through


async def measure(alone_url: str, through_url: str, *, quick: bool) -> list[Row]:
    rounds = ROUNDS.of(quick=quick)
    async with listening_to_both(alone_url, through_url) as both:
        for comfyui in both:
            await seconds_between(comfyui, trivial_workflow, WARM_UP_PROMPTS)
            await seconds_between(comfyui, long_workflow, 2)
        return [
            *await single_prompts(both, SINGLE_PROMPTS.of(quick=quick)),
            await rates(both, "trivial graph", trivial_workflow, rounds, TRIVIAL_PROMPTS, at_least=0.8),
            await rates(both, "a second on a graphics card", card_workflow, rounds, LONG_PROMPTS, at_least=0.99),
            await rates(both, "a second on all cores", long_workflow, rounds, LONG_PROMPTS, at_least=0.99),
        ]


@asynccontextmanager
async def listening_to_both(alone_url: str, through_url: str) -> AsyncIterator[Both]:
    async with watched(alone_url, with_genonaut=False) as alone, watched(through_url, with_genonaut=True) as through:
        yield alone, through


async def single_prompts(both: Both, times: int) -> list[Row]:
    """One prompt at a time on an idle system."""
    answered: tuple[list[float], list[float]] = ([], [])
    ended: tuple[list[float], list[float]] = ([], [])
    done: tuple[list[float], list[float]] = ([], [])
    for _ in range(times):
        for side, comfyui in enumerate(both):
            submitted = await comfyui.submit(trivial_workflow())
            ended[side].append(await comfyui.until_ended(submitted))
            done[side].append(await comfyui.until_done(submitted))
            answered[side].append(submitted.answered_s)
            await asyncio.sleep(BREATH_S)
    return [
        *spread("POST /prompt answered", answered[1], alone=answered[0]),
        *spread("submitted until ended in ComfyUI", ended[1], alone=ended[0]),
        *added("added until ended in ComfyUI", *ended),
        *spread("submitted until in the history", done[1], alone=done[0]),
        *added("added until in the history", *done),
    ]


def added(name: str, alone: list[float], through: list[float]) -> list[Row]:
    """How much longer it takes; a difference of percentiles, since single prompts differ more among themselves."""
    without, with_it = spread(name, alone), spread(name, through)
    return [
        Row(row.name, row.value - base.value, "ms", budget=Budget(limit))
        for base, row, limit in zip(without, with_it, (15, 40), strict=True)
    ]


async def rates(
    both: Both, name: str, make_workflow: Callable[[], Workflow], rounds: int, prompts: int, *, at_least: float
) -> Row:
    """How many go through while there are more to do: what the way in and out adds to a single one stands above."""
    seconds = [0.0, 0.0]
    for _ in range(rounds):
        for side, comfyui in enumerate(both):
            seconds[side] += await seconds_between(comfyui, make_workflow, prompts)
    alone, through = (rounds * (prompts - 1) / spent for spent in seconds)
    budget = Budget(at_least, at_least=True)
    return Row(f"prompts through, {name}", through, "a second", alone=alone, budget=budget, of_ratio=True)


async def seconds_between(comfyui: WatchedComfyUI, make_workflow: Callable[[], Workflow], prompts: int) -> float:
    """Submit so many prompts at once; seconds from the end of the first one to that of the last one."""
    one_client = asyncio.Semaphore(CLIENTS)

    async def one() -> float:
        async with one_client:
            submitted = await comfyui.submit(make_workflow())
        return submitted.began + await comfyui.until_done(submitted)

    ends = await asyncio.gather(*(one() for _ in range(prompts)))
    return max(ends) - min(ends)


def trivial_workflow() -> Workflow:
    """Milliseconds of work."""
    return {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": next(number) % 2**24},
        },
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "benchmark"}},
    }


def card_workflow() -> Workflow:
    """A second in which the processor is free."""
    trivial = trivial_workflow()
    return {
        "1": trivial["1"],
        "2": {"class_type": "WorkOnACard", "inputs": {"image": ["1", 0], "seconds": 1.0}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "benchmark"}},
    }


def long_workflow() -> Workflow:
    """About a second of sampling on two cores."""
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": models.CHECKPOINT}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": "a lighthouse at dawn"}},
        "3": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "4": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["1", 0],
                "positive": ["2", 0],
                "negative": ["2", 0],
                "latent_image": ["3", 0],
                "seed": next(number),
                "steps": LONG_STEPS,
                "cfg": 7.0,
                "sampler_name": "euler",
                "scheduler": "normal",
                "denoise": 1.0,
            },
        },
        "5": {"class_type": "VAEDecode", "inputs": {"samples": ["4", 0], "vae": ["1", 2]}},
        "6": {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "benchmark"}},
    }
