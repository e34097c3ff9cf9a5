"""What `/object_info` says of models."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.comfyui.client import read_object_info
from sidecar.comfyui.model_lists import ModelInput, ModelKind, read_model_lists
from sidecar.comfyui.model_names import comparable
from sidecar.errors import ComfyUIBroken

CHECKPOINT, LORA, VAE = ModelKind
LOADERS: dict[str, Any] = {
    "CheckpointLoaderSimple": {"input": {"required": {"ckpt_name": [["a.safetensors", "b.safetensors"], {}]}}},
    "LoraLoader": {"input": {"required": {"model": ["MODEL"], "lora_name": [["l.safetensors"]]}}},
    "VAELoader": {"input": {"required": {"vae_name": [["v.pt", "pixel_space"]]}}},
    "KSampler": {"input": {"required": {"sampler_name": [["euler"], {}], "scheduler": [["normal", "karras"], {}]}}},
}

words = st.sampled_from(["COMBO", "MODEL", "input", "required", "options", "lora_name"])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=12,
)


def test_the_models_of_a_kind_are_what_comfyuis_own_loader_offers() -> None:
    """
    By name as ComfyUI lists it, with the virtual ones that can be chosen as well.
    """
    assert read_model_lists(LOADERS).names == {
        CHECKPOINT: ["a.safetensors", "b.safetensors"],
        LORA: ["l.safetensors"],
        VAE: ["v.pt", "pixel_space"],
    }


@pytest.mark.parametrize(
    "specification",
    [
        [["None", "l.safetensors"]],
        ["COMBO", {"options": ["None", "l.safetensors"]}],
    ],
    ids=["the old form", "the new form"],
)
def test_an_input_of_any_name_that_offers_every_lora_chooses_a_lora(specification: list[Any]) -> None:
    """
    Nodes of other packs name it as they like, and offer something besides; that is no model.
    """
    stack = {"LoraStack": {"input": {"optional": {"lora_01": specification}}}}

    inputs = read_model_lists(LOADERS | stack).inputs

    assert inputs["LoraStack"] == {"lora_01": ModelInput(LORA, ("None",))}


def test_an_input_with_comfyuis_own_name_chooses_a_model_where_there_is_none_yet() -> None:
    """
    An empty list is part of every list, so the name must tell.
    """
    empty: dict[str, Any] = {"CheckpointLoader": {"input": {"required": {"ckpt_name": [[]]}}}}

    assert read_model_lists(empty).inputs == {"CheckpointLoader": {"ckpt_name": ModelInput(CHECKPOINT)}}


def test_inputs_that_choose_something_else_are_left_out() -> None:
    """
    A sampler is no model.
    """
    lists = read_model_lists(LOADERS)

    assert "KSampler" not in lists.inputs
    assert (lists.samplers, lists.schedulers) == (["euler"], ["normal", "karras"])


@given(st.dictionaries(st.sampled_from(["LoraLoader", "VAELoader", "Other"]), anything, max_size=3))
def test_a_node_that_describes_itself_in_nonsense_hides_no_other(nonsense: dict[str, Any]) -> None:
    """
    A pack's mistake is not the catalogue's.
    """
    names = read_model_lists({**nonsense, "CheckpointLoaderSimple": LOADERS["CheckpointLoaderSimple"]}).names

    assert names[CHECKPOINT] == ["a.safetensors", "b.safetensors"]


def test_names_that_no_database_can_hold_are_left_out() -> None:
    """
    Files on Linux may have names that are no text, and some are longer than any column.
    """
    odd = ["a\udcff.safetensors", "nul\0.safetensors", "x" * 500, 7, "日本 語.safetensors"]

    lists = read_model_lists({"CheckpointLoaderSimple": {"input": {"required": {"ckpt_name": [odd]}}}})

    assert lists.names[CHECKPOINT] == ["日本 語.safetensors"]


def test_what_python_writes_as_json_is_read() -> None:
    """
    ComfyUI's answer may hold infinite bounds and halves of characters, which strict readers refuse altogether.
    """
    content = rb'{"N": {"input": {"required": {"x": ["FLOAT", {"max": Infinity}], "y": [["a\udcff"]]}}}}'

    assert read_object_info(content)["N"]["input"]["required"]["x"][1]["max"] == float("inf")


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"null", b"\xff"])
def test_an_answer_of_another_form_is_comfyuis_trouble(content: bytes) -> None:
    """
    A proxy's error page must not empty the catalogue.
    """
    with pytest.raises(ComfyUIBroken):
        read_object_info(content)


def test_folders_are_compared_whatever_separates_them() -> None:
    """
    A ComfyUI on Windows and one on Linux have the same model.
    """
    assert comparable("SDXL\\a.safetensors") == comparable("SDXL/a.safetensors")
