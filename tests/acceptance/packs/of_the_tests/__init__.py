"""
A pack inside the real ComfyUI that helps the tests: it writes down every route that there is, adds some that nobody
knows, and has a node that runs until it is interrupted.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.web_urldispatcher import PrefixedSubAppResource
from comfy.model_management import throw_exception_if_processing_interrupted
from server import PromptServer

FOR_AT_MOST_S = 120.0
LOOK_EVERY_S = 0.02


def found_routes(router: web.UrlDispatcher) -> Iterator[dict[str, Any]]:
    """Each route with its method; those of sub-apps and of static folders too."""
    for resource in router.resources():
        if isinstance(resource, PrefixedSubAppResource):
            yield from found_routes(resource._app.router)
            continue
        for route in resource:
            yield {
                "method": route.method,
                "path": resource.canonical,
                "is_static": isinstance(resource, web.StaticResource),
            }


async def write_routes(app: web.Application) -> None:
    place = Path(os.environ["GENONAUT_TESTS_ROUTES"])
    place.write_text(json.dumps(list(found_routes(app.router))), encoding="utf-8")


async def answer(request: web.Request) -> web.Response:
    return web.json_response({"seen": True})


class RunsUntilInterrupted:
    """Costs nothing while it runs."""

    CATEGORY = "tests"
    RETURN_TYPES = ()
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        return {"required": {"number": ("INT", {"default": 0, "max": 2**63})}}

    def run(self, number: int) -> dict[str, Any]:
        del number  # it makes each one another, so that ComfyUI's cache knows none
        until = time.monotonic() + FOR_AT_MOST_S
        while time.monotonic() < until:
            throw_exception_if_processing_interrupted()
            time.sleep(LOOK_EVERY_S)
        return {}


server = PromptServer.instance
server.routes.get("/of_another_pack")(answer)
server.routes.post("/of_another_pack")(answer)
server.app.on_startup.append(write_routes)

NODE_CLASS_MAPPINGS = {"RunsUntilInterrupted": RunsUntilInterrupted}
