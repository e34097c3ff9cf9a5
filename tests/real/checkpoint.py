"""
Makes a checkpoint and a LoRA out of random weights: `python checkpoint.py CHECKPOINT LORA`, with ComfyUI's Python.

ComfyUI takes the file for Stable Diffusion 1.5 and runs every node on it for real, with a sixtieth of the work. What
the sampler finds is noise; the decoder makes soft clouds of colour of it, others for each prompt and seed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import comfy.options

comfy.options.enable_args_parsing()
checkpoint_file, lora_file = (Path(argument) for argument in sys.argv[1:3])
sys.argv[1:] = ["--cpu"]  # ComfyUI's modules read the command line when they are imported

import comfy.ldm.modules.diffusionmodules.openaimodel as unet  # noqa: E402
import comfy.ops  # noqa: E402
import comfy.sd1_clip  # noqa: E402
import comfy.taesd.taesd  # noqa: E402
import safetensors.torch  # noqa: E402
import torch  # noqa: E402

Weights = dict[str, torch.Tensor]
SEED = 15
CHANNELS = 320  # of the one resolution that is left of Stable Diffusion's four
CONTEXT = 768  # length of a token's vector in its text encoder
BLUR = torch.outer(torch.tensor((0.25, 0.5, 0.25)), torch.tensor((0.25, 0.5, 0.25)))
CLOUDS = 6.0  # how much a block adds of its blurred input to its input: large clouds grow, speckles stay behind
CONTRAST = 0.5
SKY = (0.36, 0.40, 0.52)  # red, green and blue where the latent is zero
# What a latent channel adds to red, green and blue where it is positive, and where it is negative.
COLOURS = (
    ((0.36, 0.16, -0.10), (-0.26, -0.14, 0.08)),
    ((-0.14, 0.16, 0.18), (0.22, -0.12, 0.04)),
    ((0.20, 0.20, 0.16), (-0.22, -0.20, -0.14)),
    ((-0.10, 0.12, -0.10), (0.12, -0.02, 0.18)),
)
LORA_RANK = 4
LORA_TARGET = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
VAE_GAIN = 1.3  # keeps the encoder's output from fading on its way
TEXT_DEVIATION = 0.02  # as CLIP's own weights are drawn before training


def main() -> None:
    torch.manual_seed(SEED)
    weights = {
        **drawn("model.diffusion_model.", make_unet(), scaled_by_inputs(1.0)),
        **drawn("cond_stage_model.", make_text_encoder(), lambda shape: torch.randn(shape) * TEXT_DEVIATION),
        **drawn("first_stage_model.", make_vae(), scaled_by_inputs(VAE_GAIN)),
        **painting_decoder("first_stage_model.taesd_decoder.", make_vae().taesd_decoder),
    }
    save(weights, checkpoint_file)
    save(make_lora(), lora_file)


def make_unet() -> torch.nn.Module:
    return unet.UNetModel(
        image_size=32,
        in_channels=4,
        out_channels=4,
        model_channels=CHANNELS,
        num_res_blocks=[1],
        channel_mult=(1,),
        transformer_depth=[1],
        transformer_depth_output=[1, 1],
        transformer_depth_middle=1,
        num_heads=8,
        context_dim=CONTEXT,
        use_spatial_transformer=True,
        legacy=False,
        operations=comfy.ops.disable_weight_init,
    )


def make_text_encoder() -> torch.nn.Module:
    """CLIP as files of Stable Diffusion 1.5 hold it: without the projection, which is not used there."""
    model = comfy.sd1_clip.SD1ClipModel().clip_l
    del model.logit_scale, model.transformer.text_projection
    return model


def make_vae() -> torch.nn.Module:
    return comfy.taesd.taesd.TAESD(latent_channels=4)


def painting_decoder(prefix: str, decoder: torch.nn.Module) -> Weights:
    """Weights with which the decoder blurs the latent, enlarges it and gives each of its channels a colour."""
    layers = list(decoder.named_children())
    convolutions = [name for name, layer in layers if isinstance(layer, torch.nn.Conv2d)]
    first_doubling = next(place for place, (_, layer) in enumerate(layers) if isinstance(layer, torch.nn.Upsample))
    blocks = [name for name, layer in layers[:first_doubling] if isinstance(layer, comfy.taesd.taesd.Block)]
    weights = {name: torch.zeros_like(tensor) for name, tensor in decoder.state_dict().items()}
    for channel, signs in enumerate(COLOURS):
        for sign, colour in enumerate(signs):
            place = 2 * channel + sign
            # What follows lets only positive values through, hence a place for each sign.
            weights[f"{convolutions[0]}.weight"][place, channel, 1, 1] = -1 if sign else 1
            weights[f"{convolutions[-1]}.weight"][:, place, 1, 1] = torch.tensor(colour)
    for name in blocks:
        for convolution, gain in (("conv.0", 1.0), ("conv.2", 1.0), ("conv.4", CLOUDS)):
            blur_each_channel(weights[f"{name}.{convolution}.weight"], gain)
    grown = (1 + CLOUDS) ** len(blocks)
    for number, name in enumerate(convolutions[1:-1]):
        blur_each_channel(weights[f"{name}.weight"], 1.0 if number else CONTRAST / grown)
    weights[f"{convolutions[-1]}.bias"] = torch.tensor(SKY)
    return {prefix + name: tensor for name, tensor in weights.items()}


def blur_each_channel(kernel: torch.Tensor, gain: float) -> None:
    for place in range(2 * len(COLOURS)):
        kernel[place, place] = BLUR * gain


def drawn(prefix: str, model: torch.nn.Module, draw: Callable[[torch.Size], torch.Tensor]) -> Weights:
    """Weights for a whole model: matrices drawn, norms one, biases zero."""
    return {prefix + name: value_for(name, tensor, draw) for name, tensor in model.state_dict().items()}


def value_for(name: str, tensor: torch.Tensor, draw: Callable[[torch.Size], torch.Tensor]) -> torch.Tensor:
    if not tensor.is_floating_point() or tensor.ndim == 0:
        return tensor
    if tensor.ndim > 1:
        return draw(tensor.shape)
    return torch.zeros(tensor.shape) if name.endswith("bias") else torch.ones(tensor.shape)


def scaled_by_inputs(gain: float) -> Callable[[torch.Size], torch.Tensor]:
    """So that a layer's output varies as much as its input, times the gain."""
    return lambda shape: torch.randn(shape) * gain / shape[1:].numel() ** 0.5


def make_lora() -> Weights:
    return {
        f"{LORA_TARGET}.lora_down.weight": torch.randn(LORA_RANK, CHANNELS) * TEXT_DEVIATION,
        f"{LORA_TARGET}.lora_up.weight": torch.randn(CHANNELS, LORA_RANK) * TEXT_DEVIATION,
        f"{LORA_TARGET}.alpha": torch.tensor(float(LORA_RANK)),
    }


def save(weights: Weights, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file({name: value.half().contiguous() for name, value in weights.items()}, file)


if __name__ == "__main__":
    main()
