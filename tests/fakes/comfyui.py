"""
A ComfyUI with the pack, as far as the sidecar sees it, in whose hands the test is.

Nothing runs by itself: a test says when a prompt starts and how it ends. The twins below misbehave in one way each.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import uvicorn
from litestar import Litestar, Request, Response, WebSocket, get, post, websocket
from litestar.exceptions import WebSocketDisconnect
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery, JSONBody

from fakes.paired import QuestionsOfSidecar
from sidecar.accounts.paired import QUESTION, ProvenAnswers
from sidecar.pairing import ANSWER_HEADER

PAIRING_SECRET = "test-pairing-secret"

Twin = TypeVar("Twin", bound="ScriptedComfyUI")


@get("/system_stats")
async def system_stats() -> dict[str, Any]:
    return {"system": {"comfyui_version": "0.3.75"}, "devices": [{"name": "cpu", "type": "cpu"}]}


class ScriptedComfyUI:
    """Behaves well."""

    def __init__(self) -> None:
        self.url = ""
        self.questions = QuestionsOfSidecar(PAIRING_SECRET)
        self.pending: list[str] = []
        self.running: list[str] = []
        self.posted: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.models: dict[str, list[str]] = {}
        self.object_info_is: bytes | None = None
        self.asked_for_models = 0
        self.freed_before: list[int] = []
        """How many prompts had come each time that it was asked to free its memory."""
        self.entries: list[dict[str, Any]] = []
        self.finished: set[str] = set()
        """Whatever has ended, confirmed or not: it never runs again here."""
        self.sequence = 0
        self._told_through = 0
        self.journal = "journal-1"
        self.term = 0
        """The latest that it has heard of."""
        self.refused: list[str] = []
        """What was sent in an earlier one."""
        self.clock_behind_s = 0.0
        self.held: list[dict[str, Any]] = []
        self.told: list[dict[str, Any]] = []
        self._observers: set[asyncio.Queue[dict[str, Any] | None]] = set()

    # What a test does with it.

    @asynccontextmanager
    async def served(self: Twin, port: int = 0) -> AsyncIterator[Twin]:
        """Listen on loopback for the length of the block; may be entered again on the same port."""
        server = uvicorn.Server(
            uvicorn.Config(
                self._app(),
                port=port,
                log_config=None,
                lifespan="off",
                ws="websockets-sansio",
                timeout_keep_alive=75,  # as ComfyUI; less than whoever asks, and a question is lost now and then
            )
        )
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.005)
        self.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            for observer in self._observers:
                observer.put_nowait(None)
            server.should_exit = True
            await serving

    async def start(self, prompt_id: str) -> None:
        self.pending.remove(prompt_id)
        self.running.append(prompt_id)
        self.append({"kind": "started", "prompt_id": prompt_id, "started_at": time.time()})
        await self.tell("execution_start", {"prompt_id": prompt_id})

    async def finish(
        self,
        prompt_id: str,
        *,
        status: str = "completed",
        outputs: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
    ) -> None:
        """Let a prompt end and tell it as the pack does: the journal first."""
        self._write(prompt_id, status=status, outputs=outputs or {}, error=error)
        for queue in (self.pending, self.running):
            if prompt_id in queue:
                queue.remove(prompt_id)
        await self.tell("outcome", {"prompt_id": prompt_id, **self.news()})

    def news(self) -> dict[str, Any]:
        """What the journal has grown by since the last time."""
        new = [entry for entry in self.entries if entry["sequence"] > self._told_through]
        self._told_through = self.sequence
        return {"sequence": self.sequence, "journal": self.journal, "entries": new}

    def accept(self, prompt_id: str, workflow: dict[str, Any], source: str = "page") -> None:
        """A prompt that came by another door than the dispatcher's."""
        self.pending.append(prompt_id)
        self.append(
            {
                "kind": "accepted",
                "prompt_id": prompt_id,
                "accepted_at": time.time(),
                "source": source,
                "workflow": workflow,
            }
        )

    def append(self, entry: dict[str, Any]) -> None:
        """One more entry in the journal, whatever it says."""
        self.sequence += 1
        self.entries.append({"sequence": self.sequence, **entry})

    def forget_everything(self) -> None:
        """What a `kill -9` does: the journal stays, the queue does not."""
        self.pending.clear()
        self.running.clear()

    async def tell(self, kind: str, data: dict[str, Any]) -> None:
        for observer in self._observers:
            observer.put_nowait({"type": kind, "at": int(time.time() * 1000), "data": data})

    # How it answers; the twins override these.

    async def answer_prompt(self, body: dict[str, Any]) -> Response[Any]:
        prompt_id = body["prompt_id"]
        if self.is_over(body.get("genonaut_term")):
            self.refused.append(prompt_id)
            error = {"type": "term_is_over", "message": "", "details": str(self.term)}
            return Response({"error": error, "node_errors": {}}, status_code=412)
        self.posted.append(body)
        if prompt_id in self.pending + self.running:
            return Response(
                {"prompt_id": prompt_id, "number": 1, "node_errors": {}, "already": "queued"}, status_code=200
            )
        if prompt_id in self.finished:
            return Response({"error": {"type": "already_finished", "message": ""}, "node_errors": {}}, status_code=409)
        self.pending.append(prompt_id)
        return Response({"prompt_id": prompt_id, "number": 1, "node_errors": {}}, status_code=200)

    def is_over(self, term: int | None) -> bool:
        self.term = max(self.term, term or 0)
        return term is not None and term < self.term

    async def answer_cancel(self, prompt_id: str) -> str:
        if prompt_id in self.pending:
            await self.finish(prompt_id, status="cancelled")
            return "pending"
        if prompt_id in self.running:
            await self.finish(prompt_id, status="cancelled")
            return "running"
        return "absent"

    async def answer_confirm(self, through: int) -> Response[Any]:
        self.entries = [entry for entry in self.entries if entry["sequence"] > through]
        return Response(None, status_code=204)

    async def answer_object_info(self) -> Response[Any]:
        """Its loaders, and the models in `models` by folder; nothing at all where a test put none there."""
        if self.object_info_is is not None:
            return Response(self.object_info_is, media_type="text/html", status_code=200)
        if not self.models:
            return Response({}, status_code=200)
        return Response(object_info_of(self.models), status_code=200)

    def entries_after(self, sequence: int) -> list[dict[str, Any]]:
        return [entry for entry in self.entries if entry["sequence"] > sequence]

    def _write(self, prompt_id: str, *, status: str, outputs: dict[str, Any], error: dict[str, Any] | None) -> None:
        self.finished.add(prompt_id)
        self.append(
            {
                "kind": "finished",
                "prompt_id": prompt_id,
                "status": status,
                "started_at": time.time() - self.clock_behind_s - 1.5,
                "finished_at": time.time() - self.clock_behind_s,
                "outputs": outputs,
                "error": error,
                "cached": [],
            }
        )

    def _app(self) -> Litestar:
        @post("/prompt", status_code=200)
        async def prompt(data: JSONBody[dict[str, Any]], request: Request[Any, Any, Any]) -> Response[Any]:
            assert request.scope["state"][QUESTION].is_about(await request.body())
            return await self.answer_prompt(data)

        @get("/genonaut/outcomes")
        async def outcomes(after: FromQuery[int], term: FromQuery[int] = 0) -> dict[str, Any]:
            self.is_over(term)
            entries = self.entries_after(after)
            return {"journal": self.journal, "entries": entries, "running": self.running, "pending": self.pending}

        @post("/genonaut/outcomes/confirm")
        async def confirm(data: JSONBody[dict[str, int]]) -> Response[Any]:
            return await self.answer_confirm(data["through"])

        @post("/genonaut/cancel", status_code=200)
        async def cancel(data: JSONBody[dict[str, str]]) -> dict[str, str]:
            return {"was": await self.answer_cancel(data["prompt_id"])}

        @get("/view")
        async def view(filename: FromQuery[str]) -> Response[bytes]:
            if filename not in self.files:
                return Response(b"", status_code=404)
            return Response(self.files[filename], media_type="image/png")

        @websocket("/genonaut/observer")
        async def observer(socket: WebSocket[Any, Any, Any]) -> None:
            await self._observe(socket)

        handlers = [self._introduction(), prompt, outcomes, confirm, cancel, system_stats, view, observer]
        app = Litestar(
            [*handlers, self._description(), self._relief()],
            guards=[self.questions],
            openapi_config=None,
            logging_config=None,  # else each has a thread of its own for it, for good
        )
        app.asgi_handler = ProvenAnswers(app.asgi_handler)
        return app

    def _introduction(self) -> HTTPRouteHandler:
        @get("/genonaut/pairing")
        async def introduce() -> dict[str, str]:
            return {"process": self.questions.pairing.process}

        return introduce

    def _description(self) -> HTTPRouteHandler:
        @get("/object_info")
        async def object_info() -> Response[Any]:
            self.asked_for_models += 1
            return await self.answer_object_info()

        return object_info

    def _relief(self) -> HTTPRouteHandler:
        @post("/free", status_code=200)
        async def free(data: JSONBody[dict[str, bool]]) -> None:
            self.freed_before.append(len(self.posted))
            assert data == {"unload_models": True, "free_memory": True}

        return free

    async def _observe(self, socket: WebSocket[Any, Any, Any]) -> None:
        proof = socket.scope["state"][QUESTION].answer(101, None)
        await socket.accept(headers={ANSWER_HEADER: proof})
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._observers.add(queue)
        listening = asyncio.create_task(self._take_held(socket))
        try:
            await socket.send_json({"type": "hello", "at": 0, "data": self.hello()})
            while (message := await queue.get()) is not None:
                await socket.send_json(message)
            await socket.close()
        except WebSocketDisconnect:
            pass
        finally:
            self._observers.discard(queue)
            listening.cancel()

    def hello(self) -> dict[str, Any]:
        return {"pack_version": "0.1.0", "comfyui_version": "0.3.75", "journal": self.journal, "directories": {}}

    async def _take_held(self, socket: WebSocket[Any, Any, Any]) -> None:
        try:
            while True:
                told = await socket.receive_json()
                self.told.append(told)
                if told["type"] == "held":
                    self.held = told["data"]["held"]
                if told["type"] == "recorded":
                    await self.answer_confirm(told["data"]["through"])
        except WebSocketDisconnect:
            for observer in self._observers:
                observer.put_nowait(None)


def object_info_of(models: dict[str, list[str]]) -> dict[str, Any]:
    """What ComfyUI's own loaders and its sampler say of themselves."""

    def node(**choices: list[str]) -> dict[str, Any]:
        return {"input": {"required": {name: [offered, {}] for name, offered in choices.items()}}}

    return {
        "CheckpointLoaderSimple": node(ckpt_name=models.get("checkpoints", [])),
        "LoraLoader": node(lora_name=models.get("loras", [])),
        "VAELoader": node(vae_name=[*models.get("vae", []), "pixel_space"]),
        "KSampler": node(sampler_name=["euler", "dpmpp_2m"], scheduler=["normal", "karras"]),
    }


class BrokenComfyUI(ScriptedComfyUI):
    """Answers 500 to the first prompts that are posted."""

    def __init__(self, *, times: int) -> None:
        super().__init__()
        self.times_left = times

    async def answer_prompt(self, body: dict[str, Any]) -> Response[Any]:
        if self.times_left:
            self.times_left -= 1
            self.posted.append(body)
            return Response("Internal Server Error", status_code=500)
        return await super().answer_prompt(body)


class LossyComfyUI(ScriptedComfyUI):
    """Takes the first prompts in, and its answers are lost on the way: whoever asks hears 502."""

    def __init__(self, *, times: int) -> None:
        super().__init__()
        self.times_left = times

    async def answer_prompt(self, body: dict[str, Any]) -> Response[Any]:
        answer = await super().answer_prompt(body)
        if self.times_left:
            self.times_left -= 1
            return Response("Bad Gateway", status_code=502)
        return answer


class SlowComfyUI(ScriptedComfyUI):
    """Answers when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()
        self.asked = 0

    async def answer_prompt(self, body: dict[str, Any]) -> Response[Any]:
        self.asked += 1
        await self.go_on.wait()
        return await super().answer_prompt(body)


class SlowAndLossyComfyUI(SlowComfyUI):
    """Takes prompts in when the test lets it, and its answers are lost on the way."""

    async def answer_prompt(self, body: dict[str, Any]) -> Response[Any]:
        await super().answer_prompt(body)
        return Response("Bad Gateway", status_code=502)


class AmnesiacComfyUI(ScriptedComfyUI):
    """Says of every prompt that it has run, and its journal knows nothing of it."""

    async def answer_prompt(self, body: dict[str, Any]) -> Response[Any]:
        self.posted.append(body)
        return Response({"error": {"type": "already_finished", "message": ""}, "node_errors": {}}, status_code=409)


class PickyComfyUI(ScriptedComfyUI):
    """Refuses the first workflows, or every one, as ComfyUI words it."""

    def __init__(self, *, times: float = math.inf) -> None:
        super().__init__()
        self.times_left = times

    async def answer_prompt(self, body: dict[str, Any]) -> Response[Any]:
        if not self.times_left:
            return await super().answer_prompt(body)
        self.times_left -= 1
        error = {
            "type": "prompt_outputs_failed_validation",
            "message": "Prompt outputs failed validation",
            "details": "",
        }
        return Response({"error": error, "node_errors": {"1": {"class_type": "Nope", "errors": []}}}, status_code=400)


class BabblingComfyUI(ScriptedComfyUI):
    """Answers the first prompts with some page that is not ComfyUI's, and says that all went well."""

    def __init__(self, *, times: int) -> None:
        super().__init__()
        self.times_left = times

    async def answer_prompt(self, body: dict[str, Any]) -> Response[Any]:
        if not self.times_left:
            return await super().answer_prompt(body)
        self.times_left -= 1
        return Response("<html>Please log in</html>", media_type="text/html", status_code=200)


class HungryComfyUI(ScriptedComfyUI):
    """Runs out of memory with every prompt, as PyTorch words it, unless its memory was freed often enough before."""

    def __init__(self, *, satisfied_after: float = math.inf) -> None:
        super().__init__()
        self.satisfied_after = satisfied_after

    async def run(self, prompt_id: str) -> None:
        """Let a prompt begin and end."""
        await self.start(prompt_id)
        if len(self.freed_before) >= self.satisfied_after:
            await self.finish(prompt_id)
            return
        error = {
            "type": "torch.OutOfMemoryError",
            "message": "Allocation on device 0 would exceed allowed memory. (out of memory)",
            "node_id": "5",
            "node_type": "KSampler",
        }
        await self.finish(prompt_id, status="failed", error=error)


class SilentComfyUI(ScriptedComfyUI):
    """Works, and never sends an event: only its journal tells."""

    async def tell(self, kind: str, data: dict[str, Any]) -> None:
        del kind, data


class RepeatingComfyUI(ScriptedComfyUI):
    """Never forgets what was confirmed: every look tells everything again from the beginning."""

    def entries_after(self, sequence: int) -> list[dict[str, Any]]:
        del sequence
        return self.entries

    async def answer_confirm(self, through: int) -> Response[Any]:
        del through
        return Response(None, status_code=204)


class DeafComfyUI(ScriptedComfyUI):
    """Answers no confirmation properly until it hears."""

    hears = False

    async def answer_confirm(self, through: int) -> Response[Any]:
        if not self.hears:
            return Response("Internal Server Error", status_code=500)
        return await super().answer_confirm(through)
