"""
Makes a checkpoint and a LoRA out of random weights: `python checkpoint.py CHECKPOINT LORA`, with ComfyUI's Python.

ComfyUI takes the file for Stable Diffusion 1.5 and runs every node on it for real, with a sixtieth of the work. The
pictures are noise; what matters is that they are made in the same way as others.
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
LORA_RANK = 4
LORA_TARGET = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
VAE_GAIN = 1.3  # keeps the picture from fading to grey on its way through the decoder
TEXT_DEVIATION = 0.02  # as CLIP's own weights are drawn before training


def main() -> None:
    torch.manual_seed(SEED)
    weights = {
        **drawn("model.diffusion_model.", make_unet(), scaled_by_inputs(1.0)),
        **drawn("cond_stage_model.", make_text_encoder(), lambda shape: torch.randn(shape) * TEXT_DEVIATION),
        **drawn("first_stage_model.", comfy.taesd.taesd.TAESD(latent_channels=4), scaled_by_inputs(VAE_GAIN)),
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
