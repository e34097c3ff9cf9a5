"""Every text of a workflow is found, and only what nobody wants counts as a negative prompt."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.comfyui.workflow_reader import Place, read_written


def workflow(**nodes: Any) -> dict[str, Any]:
    sampler = {"class_type": "KSampler", "inputs": {"seed": 1, "positive": ["good", 0], "negative": ["bad", 0]}}
    encoders = {
        "good": {"class_type": "CLIPTextEncode", "inputs": {"text": "a tree", "clip": ["c", 1]}},
        "bad": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["c", 1]}},
    }
    loader = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "tiny.safetensors"}}
    return {"c": loader, **encoders, "s": sampler, **nodes}


def texts_of(found: dict[str, Any]) -> dict[str, bool]:
    return {written.text: written.is_negative for written in read_written(found)}


def test_the_text_behind_a_samplers_negative_input_is_a_negative_prompt():
    """And the other one is not; names of models are no texts."""
    assert texts_of(workflow()) == {"a tree": False, "blurry": True}


def test_texts_are_found_in_nodes_that_nobody_knows_and_however_deep():
    """Lists and tables among the inputs, notes, and what leads nowhere."""
    unknown = {"class_type": "Mystery", "inputs": {"rows": [{"say": "one"}, ["two"]], "note": "three", "count": 3}}

    found = read_written({"x": unknown})

    assert [(written.text, written.place) for written in found] == [
        ("say", Place("x", "rows")),
        ("one", Place("x", "rows")),
        ("two", Place("x", "rows")),
        ("three", Place("x", "note")),
    ]
    assert not any(written.is_negative for written in found)


def test_a_text_that_ends_like_a_models_name_is_a_text():
    """Only where an input names a model is it one: else `.pt` behind a prompt would be a way around every rule."""
    encoder = {"class_type": "CLIPTextEncode", "inputs": {"text": "a bomb, embedding:bad.pt"}}
    loader = {"class_type": "LoraLoader", "inputs": {"lora_name": "a bomb\n" * 40 + ".safetensors"}}
    stack = {"class_type": "Power Lora Loader", "inputs": {"row_1": {"on": True, "lora": "fine.safetensors"}}}

    found = read_written({"e": encoder, "l": loader, "s": stack})

    assert [written.place for written in found] == [
        Place("e", "text"),
        Place("l", "lora_name"),
        *[Place("s", "row_1")] * 2,  # `on`, `lora`
    ]


def test_an_input_called_negative_is_one_only_beside_a_positive_one():
    """Loaders that encode as well have both, and hand on the wanted one first; elsewhere it counts where it leads."""
    both = {"class_type": "Efficient Loader", "inputs": {"positive": "a tree", "negative": "blurry"}}
    prompts = {"class_type": "Clip of a Service", "inputs": {"prompt": "a tree", "negative_prompt": "blurry"}}
    alone = {"class_type": "easy negative", "inputs": {"negative": "blurry"}}
    straight = {"class_type": "KSampler", "inputs": {"positive": ["n", 1], "negative": ["n", 2], "model": ["n", 0]}}
    crossed = {"class_type": "KSampler", "inputs": {"positive": ["n", 2], "negative": ["n", 1], "model": ["n", 0]}}
    combined = {"class_type": "ConditioningCombine", "inputs": {"conditioning_1": ["n", 2]}}

    assert texts_of({"n": both, "s": straight}) == {"a tree": False, "blurry": True}
    assert texts_of({"n": prompts, "v": {"class_type": "SaveVideo", "inputs": {"video": ["n", 0]}}})["blurry"] is True
    assert texts_of({"n": both, "s": crossed})["blurry"] is False
    assert texts_of({"n": both, "s": straight, "c": combined})["blurry"] is False
    assert (
        texts_of({"n": alone, "e": {"class_type": "CLIPTextEncode", "inputs": {"text": ["n", 0]}}})["blurry"] is False
    )


@pytest.mark.parametrize("names", [(), ("pipe",), ("base_ctx", "basic_pipe")])
def test_nodes_that_hand_everything_on_are_followed(names):
    """Contexts and pipes have both prompts among much else, in this order; crossed behind them is crossed."""
    context = {"class_type": "Context", "inputs": {"positive": ["good", 0], "negative": ["bad", 0], "model": ["c", 0]}}
    chain = {
        f"n{number}": {"class_type": "Pipe", "inputs": {name: [f"n{number - 1}", 0]}}
        for number, name in enumerate(names, 1)
    }
    last = f"n{len(names)}"
    straight = {"class_type": "KSampler", "inputs": {"positive": [last, 4], "negative": [last, 5], "model": [last, 1]}}
    crossed = {"class_type": "KSampler", "inputs": {"positive": [last, 5], "negative": [last, 4], "model": [last, 1]}}
    only = {"class_type": "KSampler", "inputs": {"positive": [last, 5], "negative": ["good", 0], "cfg": 8}}

    assert texts_of(workflow(n0=context, **chain, s=straight))["blurry"] is True
    assert texts_of(workflow(n0=context, **chain, s=crossed))["blurry"] is False
    assert texts_of(workflow(n0=context, **chain, s=only))["blurry"] is False


def test_a_text_that_is_used_for_anything_else_too_is_wanted():
    """Otherwise the negative input would be a way around every rule."""
    other = {"class_type": "KSampler", "inputs": {"seed": 2, "positive": ["bad", 0], "negative": ["good", 0]}}

    assert texts_of(workflow(t=other)) == {"a tree": False, "blurry": False}


def test_nodes_that_hand_both_prompts_on_keep_them_apart():
    """ControlNet's nodes take both and give both, in this order; crossed wires are seen."""
    control = {"class_type": "ControlNetApplyAdvanced", "inputs": {"positive": ["good", 0], "negative": ["bad", 0]}}
    straight = {"class_type": "KSampler", "inputs": {"seed": 1, "positive": ["n", 0], "negative": ["n", 1]}}
    crossed = {"class_type": "KSampler", "inputs": {"seed": 1, "positive": ["n", 1], "negative": ["n", 0]}}

    assert texts_of(workflow(n=control, s=straight)) == {"a tree": False, "blurry": True}
    assert texts_of(workflow(n=control, s=crossed))["blurry"] is False


def test_a_guider_has_a_negative_prompt_too():
    """Whose sampler only knows the guider."""
    guider = {"class_type": "CFGGuider", "inputs": {"positive": ["good", 0], "negative": ["bad", 0]}}
    sampler = {"class_type": "SamplerCustomAdvanced", "inputs": {"guider": ["g", 0]}}

    assert texts_of(workflow(g=guider, s=sampler)) == {"a tree": False, "blurry": True}


def test_texts_in_rings_and_long_chains_are_wanted():
    """Whatever cannot be followed to its end is looked at as strictly as a prompt."""
    ring = {f"r{n}": {"class_type": "Any", "inputs": {"text": f"ring {n}", "next": [f"r{1 - n}", 0]}} for n in (0, 1)}
    chain = {f"k{n}": {"class_type": "Any", "inputs": {"next": [f"k{n - 1}", 0]}} for n in range(1, 5000)}
    chain["k0"] = {"class_type": "Any", "inputs": {"text": "far away"}}
    end = {"class_type": "KSampler", "inputs": {"seed": 1, "positive": ["good", 0], "negative": ["k4999", 0]}}

    found = texts_of(workflow(**ring, **chain, s=end))

    assert not any(found[text] for text in ("ring 0", "ring 1", "far away"))


def test_a_ladder_of_nodes_is_followed_once():
    """Each of its steps leads to the next one twice: there are more ways through it than anybody could go."""
    ladder = {
        f"l{n}": {"class_type": "Any", "inputs": {"a": [f"l{n - 1}", 0], "b": [f"l{n - 1}", 1]}} for n in range(1, 90)
    }
    ladder["l0"] = {"class_type": "Any", "inputs": {"text": "at the bottom"}}
    end = {"class_type": "KSampler", "inputs": {"seed": 1, "positive": ["good", 0], "negative": ["l89", 0]}}

    assert texts_of(workflow(**ladder, s=end))["at the bottom"] is True


def test_a_guidance_below_one_makes_the_negative_prompt_the_wanted_one():
    """With `cfg` 0 a sampler draws nothing but its negative prompt; one that cannot be read may be 0."""
    for cfg, is_negative in ((7.0, True), (1, True), (0.0, False), (["nowhere else", 0], False)):
        weak = {"class_type": "KSampler", "inputs": {"positive": ["good", 0], "negative": ["bad", 0], "cfg": cfg}}

        assert texts_of(workflow(s=weak))["blurry"] is is_negative, cfg
