"""ComfyUI's door to Genonaut: its panels, its nodes, and the hooks that bring every prompt to its owner."""

from server import PromptServer

from .comfy_nodes.closed_doors import closed_on_failure
from .comfy_nodes.connect import connect

with closed_on_failure(PromptServer.instance):
    from .comfy_nodes.nodes.extension import GenonautExtension

WEB_DIRECTORY = "./web_extension"


async def comfy_entrypoint() -> GenonautExtension:
    return GenonautExtension()


# Last: what fails above leaves no hook behind.
connect(PromptServer.instance)
