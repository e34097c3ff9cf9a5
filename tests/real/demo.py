"""
`install.py demo`: a real ComfyUI with Genonaut in it, and a first generation from submission to thumbnails.

It goes the way of the page: ComfyUI's own `POST /prompt`, then Genonaut's history.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import tempfile
import time
import urllib.error
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from comfy_nodes import locations
from comfy_nodes.locations import SetupFailed
from install import PACK_FOLDER, make_sidecar_environment, step
from real import models
from real.comfyui import ComfyUIProgram, fetch_comfyui, installed_comfyui
from real.http import answers, get_bytes, get_json, post_json, said_in
from real.processes import LOOPBACK, RunningComfyUI, require_free, start_comfyui

COMFYUI_PORT = 8188
SIDECAR_PORT = 8190
SIDECAR_READY_WITHIN_S = 60.0
GENERATION_WITHIN_S = 300.0
LOOK_EVERY_S = 0.2
THUMBNAIL_SIZES = ("small", "medium", "large")
ENDED_OTHERWISE = ("failed", "cancelled", "lost")


def main(arguments: Sequence[str]) -> int:
    chosen = read_arguments(arguments)
    # Whoever ends the demo in another way than Ctrl-C must not leave a ComfyUI behind either.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    require_free(chosen.port, "ComfyUI", "--port")
    require_free(chosen.sidecar_port, "the sidecar", "--sidecar-port")
    program = installed_comfyui(chosen.comfyui, chosen.python) if chosen.comfyui else fetch_comfyui()
    if locations.sidecar_command(PACK_FOLDER) is None:
        with step("Making the sidecar's Python environment"):
            make_sidecar_environment()
    base = choose_base(chosen)
    models.link_models(models.make_models(program), base)
    with start(program, base, chosen) as comfyui:
        show(first_generation(comfyui.url))
        if not chosen.once:
            stay_up(comfyui)
    if chosen.once and not chosen.base:
        # Only now: where something went wrong, the logs in it are still needed.
        shutil.rmtree(base, ignore_errors=True)
    return 0


def read_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="install.py demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="stop after the first generation")
    parser.add_argument("--comfyui", type=Path, metavar="FOLDER", help="a ComfyUI you have, instead of fetching one")
    parser.add_argument("--python", type=Path, help="the Python that runs it, where it is not found beside it")
    parser.add_argument("--port", type=int, default=COMFYUI_PORT, help="ComfyUI's port (%(default)s)")
    parser.add_argument("--sidecar-port", type=int, default=SIDECAR_PORT, help="the sidecar's port (%(default)s)")
    parser.add_argument("--base", type=Path, metavar="FOLDER", help="where models, images and history lie")
    return parser.parse_args(arguments)


def choose_base(chosen: argparse.Namespace) -> Path:
    """A folder that lasts, unless it is for one generation only."""
    if chosen.base:
        folder: Path = chosen.base.expanduser().absolute()
        return folder
    return Path(tempfile.mkdtemp(prefix="genonaut-demo-")) if chosen.once else locations.personal_data_folder() / "demo"


def start(program: ComfyUIProgram, base: Path, chosen: argparse.Namespace) -> RunningComfyUI:
    """ComfyUI with the pack in it, and the sidecar that the pack starts: both ready."""
    with step("Starting ComfyUI"):
        comfyui = start_comfyui(program, base=base, pack=PACK_FOLDER, port=chosen.port, environment=settings(chosen))
    sidecar = f"http://{LOOPBACK}:{chosen.sidecar_port}"
    try:
        with step("Waiting for the sidecar, which the pack starts"):
            comfyui.wait_until(
                lambda: answers(f"{sidecar}/health/ready") and answers(f"{comfyui.url}/genonaut/health/ready"),
                within_s=SIDECAR_READY_WITHIN_S,
                name="The sidecar",
                log=data_folder(base) / "sidecar.log",
            )
    except BaseException:
        comfyui.stop()
        raise
    return comfyui


def data_folder(base: Path) -> Path:
    """Where the pack keeps its own when nobody told it otherwise."""
    return Path(os.environ.get("GENONAUT_DATA") or base / "user" / "__genonaut")


def settings(chosen: argparse.Namespace) -> dict[str, str]:
    """What the demo says to the pack; everything else comes from the environment as it is."""
    return {"GENONAUT_PORT": str(chosen.sidecar_port), "GENONAUT_SIDECAR_START": "yes"}


def core_workflow(seed: int) -> dict[str, Any]:
    """Checkpoint, LoRA, two prompts, sampler, decode, save."""
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": models.CHECKPOINT}},
        "2": {
            "class_type": "LoraLoader",
            "inputs": {
                "model": ["1", 0],
                "clip": ["1", 1],
                "lora_name": models.LORA,
                "strength_model": 0.8,
                "strength_clip": 0.8,
            },
        },
        "3": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["2", 1], "text": "a lighthouse at dawn"}},
        "4": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["2", 1], "text": "blurry"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "6": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["2", 0],
                "positive": ["3", 0],
                "negative": ["4", 0],
                "latent_image": ["5", 0],
                "seed": seed,
                "steps": 2,
                "cfg": 7.0,
                "sampler_name": "euler",
                "scheduler": "normal",
                "denoise": 1.0,
            },
        },
        "7": {"class_type": "VAEDecode", "inputs": {"samples": ["6", 0], "vae": ["1", 2]}},
        "8": {"class_type": "GenonautSaveImage", "inputs": {"images": ["7", 0], "filename_prefix": "demo"}},
    }


def first_generation(url: str) -> dict[str, Any]:
    """
    Submit the core workflow as the page would and follow it until its images are kept.

    Raises:
        SetupFailed: It was refused, did not complete, or its images cannot be read.
    """
    # A seed of its own each time: ComfyUI answers a workflow that it knows from memory.
    body = {"prompt": core_workflow(random.getrandbits(63)), "client_id": "genonaut-demo"}
    with step("Running a first generation"):
        started = time.monotonic()
        try:
            generation_id = post_json(f"{url}/prompt", body)["prompt_id"]
            generation = wait_until_kept(f"{url}/genonaut/api/v1/generations/{generation_id}")
            generation["seconds"] = time.monotonic() - started
            for image in generation["images"]:
                image["sizes"] = read_image(url, image)
        except urllib.error.HTTPError as exc:
            raise SetupFailed(f"The first generation failed: {said_in(exc)} ({exc.url} answered {exc.code}).") from exc
        except OSError as exc:
            raise SetupFailed(f"The first generation failed: {url} does not answer any more ({exc}).") from exc
    return generation


def wait_until_kept(url: str) -> dict[str, Any]:
    deadline = time.monotonic() + GENERATION_WITHIN_S
    while True:
        generation: dict[str, Any] = get_json(url)
        if generation["state"] == "completed" and all_kept(generation["images"]):
            return generation
        if generation["state"] in ENDED_OTHERWISE:
            raise SetupFailed(f"The first generation ended as {generation['state']}: {generation['error']}")
        if time.monotonic() > deadline:
            states = ", ".join(image["state"] for image in generation["images"]) or "none"
            raise SetupFailed(
                f"The first generation is still {generation['state']} after {GENERATION_WITHIN_S:.0f} s "
                f"(images: {states}); {url} shows it."
            )
        time.sleep(LOOK_EVERY_S)


def all_kept(images: list[dict[str, Any]]) -> bool:
    return bool(images) and all(
        image["state"] == "kept" and set(THUMBNAIL_SIZES) <= set(image["thumbnails"]) for image in images
    )


def read_image(url: str, image: dict[str, Any]) -> dict[str, int]:
    """The bytes of the image and of its thumbnails, each of which must be there."""
    address = f"{url}/genonaut/api/v1/images/{image['id']}"
    return {"image": len(get_bytes(address))} | {
        size: len(get_bytes(f"{address}/thumbnail/{size}")) for size in THUMBNAIL_SIZES
    }


def show(generation: dict[str, Any]) -> None:
    print(f"\n{'state':<11}{'seconds':>8}  {'image':<24}thumbnails")
    for image in generation["images"]:
        sizes = image["sizes"]
        picture = f"{image['width']} x {image['height']}, {sizes['image']} bytes"
        thumbnails = ", ".join(f"{size} {sizes[size]} bytes" for size in THUMBNAIL_SIZES)
        print(f"{generation['state']:<11}{generation['seconds']:>8.1f}  {picture:<24}{thumbnails}")


def stay_up(comfyui: RunningComfyUI) -> None:
    """Until Ctrl-C, which is how this is meant to end; or until ComfyUI ends, which is not."""
    try:
        print(
            f"\nComfyUI with Genonaut: {comfyui.url}\nIts files: {comfyui.base}\nCtrl-C stops everything.", flush=True
        )
        while comfyui.is_running():
            time.sleep(LOOK_EVERY_S)
    except KeyboardInterrupt:
        print("\nStopping ...", flush=True)
        return
    raise SetupFailed(f"ComfyUI has ended by itself; {comfyui.log} says why.")
