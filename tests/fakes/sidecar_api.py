"""
A scripted twin of the sidecar's HTTP API for people, and of the little of ComfyUI's page that the panel needs.

It serves as many generations as the test says, made up from their number when asked for, so that 100 000 of them
cost nothing. What a test changes (`put`, `remove`) it keeps.
"""

from __future__ import annotations

import hashlib
import io
import json
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from PIL import Image

from fakes.account_api import ScriptedAccount
from fakes.quota_api import ScriptedQuota
from sidecar.gallery.thumbhash import make_thumbhash

Json = dict[str, Any]

CHECKOUT = Path(__file__).parents[2]
STATIC = {
    "/extensions/comfyui-genonaut/": CHECKOUT / "web_extension",
    "/": Path(__file__).parent / "comfyui_page",
}
API = "/genonaut/api/v1"
CONTENT_TYPES = {".js": "text/javascript", ".html": "text/html; charset=utf-8"}

SHAPES = [(512, 512), (768, 512), (512, 768), (1024, 576), (640, 832)]
SUBJECTS = [
    "a red fox in fresh snow, golden hour",
    "harbour at dawn, oil on canvas",
    "portrait of an old clockmaker, dramatic light",
    "isometric greenhouse full of ferns",
    "paper boat on a stormy sea",
    "cathedral made of glass, morning fog",
    "a cat asleep on warm books",
]
LONGEST_SIDE_PX = {"small": 256, "medium": 512, "large": 1024}
PICTURES = 60
HELD_AT_MOST_S = 10.0
HAPPENS_WITHIN_S = 30.0  # as patient as the browser is; a machine may be busy
TOLD_AT_MOST = 50
"""Of those that wait, by the event stream."""
BEGINNING = datetime.now(timezone.utc)


def generation(number: int, **facts: Any) -> Json:
    """A completed generation with one kept image; `facts` say what is different."""
    width, height = SHAPES[number % len(SHAPES)]
    created = BEGINNING - timedelta(minutes=(1_000_000 - number) * 7)
    asked, begun, ended = (stamp(created + timedelta(seconds=seconds)) for seconds in (0, 1, 5))
    whole: Json = {
        "id": generation_id(number),
        "number": number,
        "state": "completed",
        "cancel_requested": False,
        "title": "",
        "tags": [],
        "waiting": None,
        "waiting_reason": None,
        "not_before": None,
        "prompt": f"{SUBJECTS[number % len(SUBJECTS)]} #{number}",
        "negative_prompt": "blurry, watermark",
        "checkpoint": "dreamshaper_8.safetensors",
        "loras": [{"name": "film_grain.safetensors", "strength_model": 0.8, "strength_clip": 0.8}],
        "width": width,
        "height": height,
        "batch_size": 1,
        "sampler": {
            "seed": 2**64 - number,
            "steps": 20,
            "cfg": 7.5,
            "sampler_name": "euler",
            "scheduler": "normal",
            "denoise": 1.0,
        },
        "source": "page",
        "place": None,
        "progress": None,
        "error": None,
        "images": [image(number, 0)],
        "review": None,
        "favourite": False,
        "parent_id": None,
        "child_count": 0,
        "gpu_seconds": 3.2,
        "created_at": asked,
        "submitted_at": asked,
        "started_at": begun,
        "finished_at": ended,
        "updated_at": ended,
        "trashed_at": None,
    }
    return {**whole, **facts}


def waiting(starts_at: datetime | None = None, *, own: int = 3, spread_s: float = 0, **facts: Any) -> Json:
    """What one waits for before which so many others of one's own run; it will begin about then."""
    moments = None
    if starts_at is not None:
        spread = timedelta(seconds=spread_s)
        moments = {
            "likely": stamp(starts_at),
            "earliest": stamp(starts_at - spread),
            "latest": stamp(starts_at + spread),
        }
    whole = {
        "own_before": own,
        "others_before": 0,
        "people_before": 0,
        "held_until": None,
        "starts_at": moments,
        "reason": reason("turns", own=own, others=0, people=0) if own else reason("next"),
        "why": f"Turns are shared: {own} of your own will run before it.",
    }
    return {**whole, **facts}


def reason(code: str, **facts: Any) -> Json:
    return {"code": code, "facts": facts}


def image(number: int, position: int, **facts: Any) -> Json:
    width, height = SHAPES[number % len(SHAPES)]
    whole: Json = {
        "id": f"{number:08x}-0000-7000-9000-{position:012x}",
        "generation_id": generation_id(number),
        "position": position,
        "state": "kept",
        "width": width,
        "height": height,
        "bytes": 398_123,
        "media_type": "image/png",
        "thumbhash": thumbhash_of((number + position) % PICTURES, width, height),
        "thumbnails": list(LONGEST_SIDE_PX),
    }
    return {**whole, **facts}


def opened(number: int, **facts: Any) -> Json:
    """A generation that has not ended."""
    now = stamp(datetime.now(timezone.utc))
    unknown = dict.fromkeys(("gpu_seconds", "submitted_at", "started_at", "finished_at"))
    if facts.get("place") is not None:
        facts = {"waiting": waiting(own=facts["place"]), **facts}
    return generation(number, **{**unknown, "images": [], "updated_at": now, "state": "pending", **facts})


def progress(fraction: float) -> Json:
    return {"fraction": fraction, "node_id": "5", "node_type": "KSampler", "step": round(fraction * 20), "steps": 20}


def failed(number: int, sentence: str) -> Json:
    error = {"code": "node_failed", "message": sentence, "node_id": "3", "node_type": "KSampler"}
    return generation(number, state="failed", images=[], error=error)


def generation_id(number: int) -> str:
    return f"{number:08x}-0000-7000-8000-000000000000"


def number_of(identifier: str) -> int:
    return int(identifier[:8], 16)


def stamp(moment: datetime) -> str:
    # Without its time zone it is written down much faster, which counts where there are 100 000.
    return f"{moment.replace(tzinfo=None).isoformat()}Z"


def picture(number: int, width: int, height: int) -> Image.Image:
    """Soft colours, different from picture to picture: sixteen points, drawn out."""
    points = Image.frombytes("RGB", (4, 4), hashlib.sha384(str(number).encode()).digest())
    return points.resize((width, height), Image.Resampling.BICUBIC)


@cache
def thumbhash_of(number: int, width: int, height: int) -> str:
    return make_thumbhash(picture(number, width // 8, height // 8))


@cache
def webp(number: int, width: int, height: int) -> bytes:
    with io.BytesIO() as file:
        picture(number, width, height).save(file, "WEBP", quality=80)
        return file.getvalue()


class ScriptedSidecar:
    """Serves `total` generations, numbered from 1; the highest is the newest."""

    def __init__(self, total: int = 0) -> None:
        self.total = total
        self.is_away = False
        """Does it answer as ComfyUI's proxy does when there is no sidecar?"""
        self.account = ScriptedAccount()
        self.quota = ScriptedQuota()
        self.requests: list[str] = []
        self.unchangeable: set[int] = set()
        """Numbers of generations whose workflow has no seed that can be found."""
        self.refusal: Json | None = None
        """The problem with which everything is refused that somebody submits."""
        self._pages_may_go = threading.Event()
        self._pages_may_go.set()
        self._pages_held = 0
        self._changed: dict[int, Json | None] = {}
        self._turns_told: Json = {}
        self._streams: set[queue.Queue[str | None]] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._server.block_on_close = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def open_streams(self) -> int:
        return len(self._streams)

    @contextmanager
    def serving(self) -> Iterator[ScriptedSidecar]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._end_streams()
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def put(self, changed: Json) -> Json:
        """Makes this the truth and tells who listens."""
        number = changed["number"]
        self.total = max(self.total, number)
        self._changed[number] = changed
        self.publish("generation", changed)
        self.tell_turns()
        return changed

    def add(self) -> Json:
        """One more, newer than all others."""
        return self.put(generation(self.total + 1))

    def put_unseen(self, changed: Json) -> None:
        """Makes this the truth and tells nobody."""
        self.total = max(self.total, changed["number"])
        self._changed[changed["number"]] = changed

    def remove(self, number: int) -> None:
        """Makes one disappear unseen."""
        self._changed[number] = None

    def move(self, number: int, place: int) -> None:
        """Lets one that waits have another place, because the line ahead has moved."""
        shown = self.show(number)
        assert shown is not None
        self._changed[number] = {**shown, "place": place, "waiting": waiting(own=place)}
        self.tell_turns()

    def in_turn(self) -> list[Json]:
        """What waits, the next ones first."""
        pending = [shown for shown in self._changed.values() if shown is not None and shown["state"] == "pending"]
        return sorted(pending, key=lambda shown: (shown["place"] is None, shown["place"], shown["number"]))

    def tell_turns(self) -> None:
        """Tells who listens where each of those stands whose place is known, unless they have heard it."""
        if self._streams and (turns := self.turns()) != self._turns_told:
            self._turns_told = turns
            self.publish("waiting", turns)

    def turns(self) -> Json:
        told = [shown for shown in self.in_turn() if shown["waiting"] is not None]
        items = [{name: shown[name] for name in ("id", "place", "waiting")} for shown in told]
        return {"items": items[:TOLD_AT_MOST], "count": len(told)}

    def end_unseen(self, number: int) -> None:
        """Completes one without telling anybody."""
        self._changed[number] = generation(number, updated_at="2999-01-01T00:00:00Z")

    def thumbnails_fetched(self) -> list[str]:
        return [request for request in self.requests if "/thumbnail/" in request]

    def wait_until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + HAPPENS_WITHIN_S
        while not holds():
            assert time.monotonic() < deadline, f"It did not come to pass within {HAPPENS_WITHIN_S:.0f} s."
            time.sleep(0.02)

    def quota_view(self) -> Json:
        changed = (shown for shown in self._changed.values() if shown is not None)
        return self.quota.view(sum(shown["state"] == "pending" for shown in changed))

    def limit(self, *limits: Json) -> None:
        """Lets these hold from now on, and tells who listens."""
        self.quota.limits = list(limits)
        self.publish("quota", self.quota_view())

    def publish(self, name: str, data: Json) -> None:
        for stream in list(self._streams):
            stream.put(f"event: {name}\ndata: {json.dumps(data)}\n\n")

    def go_away(self) -> None:
        self.is_away = True
        self._end_streams()

    def come_back(self) -> None:
        self.is_away = False

    @contextmanager
    def holding_pages(self) -> Iterator[None]:
        """Pages of the history are looked up at once and sent only afterwards, as a busy machine does it."""
        self._pages_may_go.clear()
        try:
            yield
        finally:
            self._pages_may_go.set()

    def wait_until_a_page_is_held(self) -> None:
        self.wait_until(lambda: self._pages_held > 0)

    def wait_for_turn(self) -> None:
        """Of a page that has been looked up."""
        self._pages_held += 1
        self._pages_may_go.wait(HELD_AT_MOST_S)
        self._pages_held -= 1

    def show(self, number: int) -> Json | None:
        if number in self._changed:
            return self._changed[number]
        return generation(number) if 1 <= number <= self.total else None

    def page(self, cursor: str | None, limit: int) -> Json:
        newest = int(cursor) - 1 if cursor else self.total
        items: list[Json] = []
        number = newest
        while number > 0 and len(items) < limit:
            shown = self.show(number)
            if shown is not None and shown["trashed_at"] is None:
                items.append(shown)
            number -= 1
        return {"items": items, "next_cursor": str(number + 1) if number > 0 else None}

    def cancel(self, number: int) -> Json:
        return self.change(number, cancel_requested=True)

    def change(self, number: int, **facts: Any) -> Json:
        """Makes it another one, later than it was before."""
        shown = self.show(number)
        assert shown is not None
        return self.put({**shown, **facts, "updated_at": stamp(datetime.now(timezone.utc))})

    def repeat(self, number: int, overrides: Json) -> Json | None:
        """None where the workflow has no place for what shall be different: those that are `unchangeable`."""
        if self.refusal is not None or (overrides and number in self.unchangeable):
            return None
        return self.put(opened(self.total + 1, parent_id=generation_id(number)))

    @contextmanager
    def stream(self) -> Iterator[queue.Queue[str | None]]:
        mine: queue.Queue[str | None] = queue.Queue()
        self._streams.add(mine)
        try:
            yield mine
        finally:
            self._streams.discard(mine)

    def _end_streams(self) -> None:
        for stream in list(self._streams):
            stream.put(None)

    def _handler(self) -> type[Handler]:
        return type("BoundHandler", (Handler,), {"sidecar": self})


class Handler(BaseHTTPRequestHandler):
    """One request to the twin."""

    sidecar: ScriptedSidecar
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        # The browser may go away in the middle of anything.
        with suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """The test asks `requests` instead."""

    def _answer(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith(API):
            self._answer_api(path.removeprefix(API))
        elif path == "/api/i18n":
            self._send_json(translations())
        else:
            self._send_file(path)

    def _answer_api(self, path: str) -> None:
        self.sidecar.requests.append(f"{self.command} {path}")
        if self.sidecar.is_away:
            self._send_problem(503, "sidecar_away", "Genonaut's sidecar does not answer.")
        elif not self.sidecar.account.logged_in:
            self._send_problem(401, "not_logged_in", "You are not logged in.")
        elif path.startswith(("/me", "/sessions")):
            self._answer_account(path)
        elif path == "/usage" and self.sidecar.quota.usage_is_broken:
            self._send_problem(500, "internal_error", "Something went wrong here.")
        elif path in ("/quota", "/usage"):
            self._send_json(self.sidecar.quota_view() if path == "/quota" else self.sidecar.quota.usage())
        else:
            self._answer_history(path)

    def _answer_history(self, path: str) -> None:
        if path == "/events":
            self._send_events()
        elif path == "/generations":
            self._send_page()
        elif found := re.fullmatch(r"/images/([^/]+)(?:/thumbnail/(\w+))?", path):
            self._send_image(found[1], found[2])
        elif found := re.fullmatch(r"/generations/([^/]+)(/cancel|/workflow|/repeat|/restore)?", path):
            self._answer_generation(number_of(found[1]), found[2])
        else:
            self._send_problem(404, "not_found", "There is no such thing here.")

    def _answer_account(self, path: str) -> None:
        status, content = self.sidecar.account.answer(self.command, path, self._body())
        if content is None:
            self._send(status, "application/json", b"", {})
        else:
            self._send_json(content, status)

    def _answer_generation(self, number: int, what: str | None) -> None:
        shown = self.sidecar.show(number)
        if shown is None:
            self._send_problem(404, "not_found", "There is no such thing here.")
        elif what == "/workflow":
            self._send_json({"workflow": {"1": {"class_type": "KSampler", "inputs": {}}}, "ui_workflow": None})
        elif what == "/repeat":
            self._answer_repeat(number)
        elif what is None or what == "/restore":
            self._send_json(self._changed_as_asked(number, what) or shown)
        elif shown["state"] in ("pending", "submitted", "running"):
            self._send_json(self.sidecar.cancel(number), 202)
        else:
            self._send_problem(409, "not_cancellable", "This generation has ended already.")

    def _changed_as_asked(self, number: int, what: str | None) -> Json | None:
        """None where it was only to be shown."""
        if what == "/restore":
            return self.sidecar.change(number, trashed_at=None)
        if self.command == "DELETE":
            return self.sidecar.change(number, trashed_at=stamp(datetime.now(timezone.utc)))
        return self.sidecar.change(number, **self._body()) if self.command == "PATCH" else None

    def _answer_repeat(self, number: int) -> None:
        repeated = self.sidecar.repeat(number, self._body().get("parameters", {}))
        if self.sidecar.refusal is not None:
            self._send_problem(**self.sidecar.refusal)
        elif repeated is None:
            self._send_problem(400, "invalid_parameters", "Some of the parameters cannot be used.")
        else:
            self._send_json(repeated, 202)

    def _body(self) -> Json:
        body: Json = json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)) or b"{}")
        return body

    def _send_page(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        limit = int(query["limit"][0])
        if query.get("sort") == ["turn"]:
            waiting = self.sidecar.in_turn()
            page = {"items": waiting[:limit], "next_cursor": "more" if len(waiting) > limit else None}
        else:
            page = self.sidecar.page(query.get("cursor", [None])[0], limit)
        self.sidecar.wait_for_turn()
        self._send_json(page)

    def _send_image(self, identifier: str, size: str | None) -> None:
        number, position = number_of(identifier), int(identifier[-12:], 16)
        width, height = SHAPES[number % len(SHAPES)]
        shrink = min(1.0, LONGEST_SIDE_PX[size] / max(width, height)) if size else 1.0
        content = webp((number + position) % PICTURES, round(width * shrink), round(height * shrink))
        self._send(200, "image/webp", content, {"Cache-Control": "private, max-age=31536000, immutable"})

    def _send_events(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        with self.sidecar.stream() as stream:
            self.wfile.write(b"event: hello\ndata: {}\n\n")
            while True:
                try:
                    text = stream.get(timeout=0.2)
                except queue.Empty:
                    text = ": still here\n\n"  # a browser that has gone away is noticed by writing
                if text is None:
                    return
                self.wfile.write(text.encode())

    def _send_file(self, path: str) -> None:
        folder = next(prefix for prefix in STATIC if path.startswith(prefix))
        file = STATIC[folder] / (unquote(path.removeprefix(folder)) or "index.html")
        if file.is_file() and file.suffix in CONTENT_TYPES:
            self._send(200, CONTENT_TYPES[file.suffix], file.read_bytes())
        else:
            self._send(404, "text/plain", b"")

    def _send_json(self, content: Json, status: int = 200) -> None:
        self._send(status, "application/json", json.dumps(content).encode())

    def _send_problem(self, status: int, code: str, detail: str, **facts: Any) -> None:
        content = {"type": "about:blank", "title": code, "status": status, "detail": detail, "code": code, **facts}
        if status == 503:
            content["retry_after_s"] = 0.3
        self._send(status, "application/problem+json", json.dumps(content).encode())

    def _send(self, status: int, content_type: str, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def translations() -> Json:
    """What ComfyUI's `/i18n` makes of `locales/`."""
    return {
        folder.name: json.loads((folder / "main.json").read_text(encoding="utf-8"))
        for folder in sorted((CHECKOUT / "locales").iterdir())
    }
