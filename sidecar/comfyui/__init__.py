"""
The only code that speaks to ComfyUI.

`client` asks and `events` listens, in the `dialect` of a ComfyUI with the pack (`pack_dialect`) or without
(`core_dialect`); `outcomes` is what they tell of how prompts ended. `workflow_builder` and `workflow_reader` know the
language of its workflows.
"""
