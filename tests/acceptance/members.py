"""A real ComfyUI in which people have accounts, and these people."""

from __future__ import annotations

import json
import random
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage
from pathlib import Path
from typing import Any

import httpx
from acceptance.installation import Installation, Json, until
from acceptance.workflows import Workflow, quick_picture
from fakes.folders import png
from websockets.sync.client import ClientConnection, connect

PASSWORD = "a lighthouse at dawn"
PACK_OF_THE_TESTS = Path(__file__).parent / "packs" / "of_the_tests"
FIRST = re.compile(r"/genonaut/login#first=([\w-]+)")


@dataclass(frozen=True)
class Person:
    """Somebody in front of a browser in which they are logged in; or a program that nobody has given credentials."""

    name: str
    id: str
    http: httpx.Client

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.http.request(method, path, **more)

    def ask_as_written(
        self, method: str, address: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, HTTPMessage, bytes]:
        """The same with an address that nothing on the way makes tidy. Gives status, headers and content."""
        connection = HTTPConnection(self.http.base_url.host, self.http.base_url.port or 80, timeout=30)
        try:
            connection.putrequest(method, address, skip_accept_encoding=True)
            for name, value in {**self.cookies, **headers}.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.putheader("Content-Length", str(len(body or b"")))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    @property
    def cookies(self) -> dict[str, str]:
        """As the header that the browser sends."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())
        return {"Cookie": cookies} if cookies else {}

    def api(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.http.request(method, f"/genonaut/api/v1{path}", **more)

    def submit(self, workflow: Workflow, **more: Any) -> str:
        answer = self.ask("POST", "/prompt", json={"prompt": workflow, **more})
        assert answer.status_code == httpx.codes.OK, answer.text
        return str(answer.json()["prompt_id"])

    def queue(self) -> tuple[list[str], list[str]]:
        """Ids of what runs and of what is pending, as ComfyUI shows them this person."""
        lists = self.ask("GET", "/queue").json()
        return [item[1] for item in lists["queue_running"]], [item[1] for item in lists["queue_pending"]]

    def wait_until_made(self, prompt_id: str) -> Json:
        """It is in ComfyUI's history; gives its outputs."""
        found = until(lambda: self.ask("GET", f"/history/{prompt_id}").json(), what=f"Prompt {prompt_id} has ended")
        outputs: Json = found[prompt_id]["outputs"]
        return outputs

    def make_picture(self, workflow: Workflow | None = None) -> Json:
        """Have a picture made; gives the words by which ComfyUI names the file."""
        outputs = self.wait_until_made(self.submit(workflow or quick_picture()))
        named: Json = next(iter(outputs.values()))["images"][0]
        return named

    def upload(self, filename: str, content: bytes = b"", **form: str) -> httpx.Response:
        image = {"image": (filename, content or png(8, 8), "image/png")}
        return self.ask("POST", "/upload/image", files=image, data=form)

    @contextmanager
    def socket(self, client_id: str = "", *, path: str = "/ws", **headers: str) -> Iterator[ClientConnection]:
        """The websocket of this person's page."""
        query = f"?clientId={client_id}" if client_id else ""
        address = f"{self.http.base_url}".rstrip("/").replace("http", "ws", 1) + path + query
        shown = {**self.cookies, **headers}
        with connect(address, proxy=None, max_size=None, additional_headers=shown) as connection:
            yield connection

    def new_token(self, *scopes: str, **more: str) -> Json:
        """One of this person's API tokens; its `secret` is what a program shows."""
        body = {"name": "a program", "scopes": list(scopes or ("read", "submit")), **more}
        answer = self.api("POST", "/me/tokens", json=body)
        assert answer.status_code == httpx.codes.CREATED, answer.text
        return {"id": answer.json()["token"]["id"], "secret": answer.json()["secret"]}


class Members:
    """The installation, and who is there by name: `ada` and `bob` are members, `gus` a guest, `root` administrates."""

    def __init__(self, house: Installation) -> None:
        self.house = house
        self.people: dict[str, Person] = {}
        self._browsers: list[httpx.Client] = []
        self.nobody = Person("nobody", "", self.new_browser())

    def __enter__(self) -> Members:
        return self

    def __exit__(self, *error: object) -> None:
        for browser in self._browsers:
            browser.close()

    def __getattr__(self, name: str) -> Person:
        if name in self.__dict__["people"]:
            found: Person = self.__dict__["people"][name]
            return found
        raise AttributeError(name)

    @property
    def url(self) -> str:
        return self.house.url

    def routes(self) -> list[Json]:
        """Every route that ComfyUI's router has."""
        routes: list[Json] = json.loads((self.house.base / "routes.json").read_text(encoding="utf-8"))
        return routes

    def new_person(self, name: str, role: str = "member") -> Person:
        """Somebody with an account, logged in. Nothing limits what they make but where a test is about that."""
        body = {"name": name, "role": role, "plan": "unlimited", "password": PASSWORD}
        assert self.root.api("POST", "/admin/users", json=body).status_code == httpx.codes.CREATED
        return self.log_in(name)

    def newcomer(self) -> Person:
        """A member whom no other test knows."""
        return self.new_person(f"newcomer-{uuid.uuid4().hex[:8]}")

    def log_in(self, name: str) -> Person:
        http = self.new_browser()
        answer = http.post("/genonaut/api/v1/sessions", json={"name": name, "password": PASSWORD})
        assert answer.status_code == httpx.codes.CREATED, answer.text
        return Person(name, answer.json()["id"], http)

    def new_browser(self, **more: Any) -> httpx.Client:
        """One in which nobody is logged in."""
        browser = httpx.Client(base_url=self.url, timeout=30.0, trust_env=False, **more)
        self._browsers.append(browser)
        return browser


@contextmanager
def members_of(folder: Path) -> Iterator[Members]:
    settings = {"GENONAUT_ACCESS": "accounts", "GENONAUT_TESTS_ROUTES": str(folder / "routes.json")}
    shutil.copytree(
        PACK_OF_THE_TESTS, folder / "custom_nodes" / "of_the_tests", ignore=shutil.ignore_patterns("__pycache__")
    )
    with ExitStack() as stack:
        house = stack.enter_context(Installation(folder, pack_starts_sidecar=True, settings=settings))
        house.start_comfyui()
        house.wait_for_sidecar()
        members = stack.enter_context(Members(house))
        members.people["root"] = first_administrator(members)
        until(lambda: is_connected(members.root), what="The sidecar is connected to ComfyUI")
        for name, role in (("ada", "member"), ("bob", "member"), ("gus", "guest")):
            members.people[name] = members.new_person(name, role)
        yield members


def first_administrator(members: Members) -> Person:
    """Whoever follows the link in the log."""
    log = members.house.data / "sidecar.log"
    link = until(lambda: FIRST.search(log.read_text(encoding="utf-8")), what="The log has the link")
    body = {"secret": link[1], "name": "root", "password": PASSWORD}
    http = members.new_browser()
    answer = http.post("/genonaut/api/v1/first-administrator", json=body)
    assert answer.status_code == httpx.codes.CREATED, answer.text
    return Person("root", answer.json()["id"], http)


def is_connected(administrator: Person) -> bool:
    instances = administrator.ask("GET", "/genonaut/health/ready").json()["instances"]
    return {instance["state"] for instance in instances} == {"connected"}


@contextmanager
def running(person: Person, **inputs: str) -> Iterator[str]:
    """Something of this person's that runs for as long as this lasts. Gives its id."""
    node = {"class_type": "RunsUntilInterrupted", "inputs": {"number": random.getrandbits(62), **inputs}}
    prompt_id = person.submit({"1": node})
    try:
        until(lambda: prompt_id in person.queue()[0], within_s=60, what="The prompt runs")
        yield prompt_id
    finally:
        person.api("POST", f"/generations/{prompt_id}/cancel")
        until(lambda: prompt_id not in person.queue()[0], within_s=60, what="The prompt is interrupted")
