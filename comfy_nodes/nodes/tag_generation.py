"""Tag Generation: the words by which a generation is found again."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io


class TagGeneration(io.ComfyNode):  # type: ignore[misc] # known only inside ComfyUI
    """
    Carries title and tags; the sidecar reads them out of the workflow when it is submitted.

    So it works wherever it stands, connected or not. Images pass through it unchanged, for who likes a straight line.
    """

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="GenonautTagGeneration",
            display_name="Tag Generation",
            category="Genonaut",
            description=(
                "Gives the generation a title and tags, by which it is found in the history. "
                "It need not be connected; images pass through it unchanged."
            ),
            inputs=[
                io.String.Input("title", default="", tooltip="What the history shows in place of the prompt."),
                io.String.Input("tags", default="", tooltip="Words by which it is found, separated by commas."),
                io.Image.Input("images", optional=True, tooltip="Passed through unchanged."),
            ],
            outputs=[io.Image.Output("images_out", display_name="images")],
        )

    @classmethod
    def execute(cls, title: str, tags: str, images: Any = None) -> io.NodeOutput:
        if images is None:
            return io.NodeOutput(
                block_execution="Tag Generation passes on what is connected to its images, and nothing is."
            )
        return io.NodeOutput(images)
