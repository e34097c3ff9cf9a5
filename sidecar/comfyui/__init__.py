"""
The only code that speaks to ComfyUI.

`client` asks, `events` listens, `outcomes` is what the pack's journal tells, `workflow_builder` and `workflow_reader`
know the language of its workflows.
"""
