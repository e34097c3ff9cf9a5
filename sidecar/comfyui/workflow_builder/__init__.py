"""
Parameters -> workflow: the core workflow of ComfyUI, checkpoint to saved image.

    parameters (what can be said) + options (what may be chosen) -> checking (what is wrong) -> building (the workflow)
"""

from sidecar.comfyui.workflow_builder.building import build_workflow, draw_seed
from sidecar.comfyui.workflow_builder.checking import check_parameters, in_field_order, with_listed_names
from sidecar.comfyui.workflow_builder.options import Bounds, Choices, Options
from sidecar.comfyui.workflow_builder.parameters import MAX_SEED, Lora, Parameters

__all__ = [
    "MAX_SEED",
    "Bounds",
    "Choices",
    "Lora",
    "Options",
    "Parameters",
    "build_workflow",
    "check_parameters",
    "draw_seed",
    "in_field_order",
    "with_listed_names",
]
