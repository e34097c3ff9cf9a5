"""Whatever passes our own check, the real ComfyUI accepts: its validation is asked, and nothing has to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from acceptance.installation import CHECKOUT, SETTINGS_OF_OTHERS, found_comfyui
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from real.processes import start_comfyui

from sidecar.comfyui.model_lists import ModelKind, ModelLists, read_model_lists
from sidecar.comfyui.workflow_builder import (
    MAX_SEED,
    Choices,
    Lora,
    Options,
    Parameters,
    build_workflow,
    check_parameters,
    with_listed_names,
)

CHECKPOINTS = ["sd15.safetensors", "SDXL/base/one.safetensors", "Ünïcode näme.ckpt"]
LORAS = ["ink.safetensors", "style/oil v1..2.safetensors"]

# A pack with one route: what POST /prompt does first, and no more.
VALIDATING_PACK = """
from aiohttp import web
import execution
from server import PromptServer

NODE_CLASS_MAPPINGS = {}

@PromptServer.instance.routes.post("/validate")
async def validate(request):
    accepted, error, _outputs, node_errors = await execution.validate_prompt("validated", await request.json(), None)
    return web.json_response({"accepted": accepted, "error": error, "node_errors": node_errors})
"""

Validate = Callable[[Parameters], Any]

some_names = st.sampled_from([*CHECKPOINTS, *LORAS])
parameters = st.builds(
    Parameters,
    prompt=st.text(max_size=40),
    negative_prompt=st.text(max_size=40),
    checkpoint=st.sampled_from(CHECKPOINTS) | some_names.map(lambda name: name.replace("/", "\\")),
    loras=st.lists(st.builds(Lora, st.sampled_from(LORAS), st.floats(-20, 20), st.floats(-20.5, 20)), max_size=3),
    width=st.integers(2, 1024).map(lambda units: units * 8),
    height=st.integers(2, 1025).map(lambda units: units * 8),
    batch_size=st.integers(1, 65),
    seed=st.none() | st.integers(0, MAX_SEED),
    steps=st.integers(0, 200),
    cfg=st.floats(0, 100),
    sampler_name=st.sampled_from(["euler", "dpmpp_2m_sde_gpu", "uni_pc_bh2", "ddim"]),
    scheduler=st.sampled_from(["normal", "karras", "beta", "kl_optimal"]),
    denoise=st.floats(0, 1),
)
SMALLEST = Parameters(checkpoint=CHECKPOINTS[0], width=16, height=16, steps=1, cfg=0, denoise=0, seed=0)
LARGEST = Parameters(
    prompt="x" * 20_000,
    checkpoint=CHECKPOINTS[1],
    loras=[Lora(LORAS[1], -20, 20)] * 50,
    width=8192,
    height=8192,
    batch_size=64,
    seed=MAX_SEED,
    steps=200,
    cfg=100,
)


@pytest.fixture(scope="module")
def comfyui_itself(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    base: Path = tmp_path_factory.mktemp("comfyui")
    for folder, names in (("checkpoints", CHECKPOINTS), ("loras", LORAS)):
        for name in names:
            file = base / "models" / folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()  # it is listed, and nothing loads it
    pack = base / "custom_nodes" / "validating"
    pack.mkdir(parents=True)
    pack.joinpath("__init__.py").write_text(VALIDATING_PACK, encoding="utf-8")
    environment = {**dict.fromkeys(SETTINGS_OF_OTHERS, ""), "GENONAUT_SIDECAR_START": "no"}
    environment["GENONAUT_DATA"] = str(base / "genonaut")
    with (
        start_comfyui(found_comfyui(), base=base, pack=CHECKOUT, environment=environment, forked=True) as running,
        httpx.Client(base_url=running.url, trust_env=False, timeout=60) as http,
    ):
        yield http


@pytest.fixture(scope="module")
def lists(comfyui_itself: httpx.Client) -> ModelLists:
    return read_model_lists(comfyui_itself.get("/object_info").json())


@pytest.fixture(scope="module")
def options(lists: ModelLists) -> Options:
    return Options(
        checkpoints=Choices(lists.names[ModelKind.CHECKPOINT]),
        loras=Choices(lists.names[ModelKind.LORA]),
        samplers=Choices(lists.samplers),
        schedulers=Choices(lists.schedulers),
    )


def verdict(comfyui_itself: httpx.Client, asked: Parameters) -> Any:
    return comfyui_itself.post("/validate", json=build_workflow(asked)).raise_for_status().json()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(parameters)
@example(SMALLEST)
@example(LARGEST)
def test_whatever_passes_our_check_comfyui_accepts(comfyui_itself: httpx.Client, options: Options, asked: Parameters):
    """
    Nobody is told yes by us and no by ComfyUI.
    """
    assume(not check_parameters(asked, options))

    told = verdict(comfyui_itself, with_listed_names(asked, options))

    assert told["accepted"], told


def test_what_we_refuse_for_its_name_comfyui_refuses_too(comfyui_itself: httpx.Client, options: Options):
    """
    The options come from ComfyUI itself, so both know the same names.
    """
    for changes in ({"checkpoint": "none.ckpt"}, {"loras": [Lora("sd15.safetensors")]}, {"sampler_name": "eular"}):
        asked = Parameters(**{"checkpoint": CHECKPOINTS[0], **changes})  # type: ignore[arg-type]

        assert check_parameters(asked, options)
        assert not verdict(comfyui_itself, asked)["accepted"]


def test_the_golden_workflows_node_classes_are_comfyuis_own(comfyui_itself: httpx.Client):
    """
    What the core workflow is made of is there, with the inputs that we give it.
    """
    told = comfyui_itself.get("/object_info").json()

    for node in build_workflow(LARGEST).values():
        described = told[node["class_type"]]["input"]
        required, given_to_it = set(described["required"]), set(node["inputs"])
        assert required <= given_to_it <= required | set(described.get("optional", {}))
