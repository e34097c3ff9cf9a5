"""A ComfyUI that costs nothing: the tests' twin, which runs whatever it is given, one after the other, in no time."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from fakes.comfyui import ScriptedComfyUI
from litestar import Response
from PIL import Image

OUTPUT = "benchmark_00001_.png"


class BusyComfyUI(ScriptedComfyUI):
    """Each prompt gives one picture, always the same."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[str] = []
        """The ids of the prompts in the order in which they came."""
        self.files = {OUTPUT: small_picture()}
        self._given = asyncio.Event()
        self._may_finish = asyncio.Event()
        self._may_finish.set()

    async def answer_prompt(self, body: dict[str, Any]) -> Response[Any]:
        answer = await super().answer_prompt(body)
        self.posted.clear()  # an hour's worth of them would be this process's memory, not the sidecar's
        self.received.append(body["prompt_id"])
        self._given.set()
        return answer

    @contextmanager
    def busy_with_one(self) -> Iterator[None]:
        """As long as the block lasts, it is at work on whatever it got first."""
        self._may_finish.clear()
        try:
            yield
        finally:
            self._may_finish.set()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        async with self.served():
            working = asyncio.create_task(self._work())
            try:
                yield
            finally:
                working.cancel()

    async def _work(self) -> None:
        outputs = {"2": {"images": [{"filename": OUTPUT, "subfolder": "", "type": "output"}]}}
        while True:
            await self._given.wait()
            self._given.clear()
            while self.pending:
                prompt_id = self.pending[0]
                await self.start(prompt_id)
                await asyncio.sleep(0)
                await self._may_finish.wait()
                await self.finish(prompt_id, outputs=outputs)


def small_picture() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (64, 64), "navy").save(content, "PNG")
    return content.getvalue()
