"""
Every route of a running ComfyUI, of the sidecar behind it and the websocket, asked by everybody.

Which routes there are, ComfyUI's own router says, and the sidecar's description of itself. One that no row speaks of
fails the test, so that none can be forgotten.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from acceptance.installation import Json
from acceptance.members import Members, Person, running
from acceptance.workflows import quick_picture
from fakes.folders import png
from websockets.exceptions import InvalidStatus

from comfy_nodes.access_rules import FRONTEND_FILES, rule_for

Recorder = Callable[[str, object], None]

CALLERS = ("nobody", "bob", "gus", "root", "ada")
"""Whose things are asked for is ada, a member, as bob is; gus is a guest, and root administrates."""

SECRET = f"only-adas-{uuid.uuid4().hex}"
"""Stands in everything that is ada's: names of files, workflows, settings. Whoever reads it has seen something."""

TABLE = """
                                                                    nobody  bob   gus   root  ada
GET    /                                                               401  200   200   200   200
GET    (files of the frontend)                                         200  200   200   200   200
GET    /docs                                                           401  200   200   200   200
GET    /extensions                                                     401  200   200   200   200
GET    /extensions/comfyui-genonaut                                    401  200   200   200   200
GET    /features                                                       401  200   200   200   200
GET    /global_subgraphs                                               401  200   200   200   200
GET    /global_subgraphs/{id}                                          401  200   200   200   200
GET    /i18n                                                           401  200   200   200   200
GET    /templates/{path}                                               401  200   200   200   200
GET    /workflow_templates                                             401  200   200   200   200
GET    /workflow_templates/comfyui-genonaut                            401  200   200   200   200
GET    /ws                                                             401  400   400   400   400

GET    /embeddings                                                     401  200   200   200   200
GET    /models                                                         401  200   200   200   200
GET    /models/{folder}                                                401  200   200   200   200
GET    /experiment/models                                              401  200   200   200   200
GET    /experiment/models/{folder}                                     401  200   200   200   200
GET    /experiment/models/preview/{folder}/{path_index}/{filename}     401  404   404   404   404
GET    /view_metadata/{folder_name}                                    401  404   404   404   404

GET    /prompt                                                         401  200   200   200   200
POST   /prompt                                                         401  400   400   400   400
GET    /queue                                                          401  200   200   200   200+
POST   /queue                                                          401  200   200   200   200
POST   /interrupt                                                      401  200   200   200   200
GET    /history                                                        401  200   200   200   200+
POST   /history                                                        401  200   200   200   200
GET    /history/{prompt_id}                                            401  200   200   200   200+

GET    /view                                                           401  404   404   404   200+
GET    /internal/files/{directory_type}                                401  200   200   200   200+
GET    /object_info                                                    401  200   200   200   200+
GET    /object_info/{node_class}                                       401  200   200   200   200+
POST   /upload/image                                                   401  200   403   200   200
POST   /upload/mask                                                    401  404   403   404   200

GET    /users                                                          401  200   200   200   200
POST   /users                                                          401  403   403   400   403
GET    /settings                                                       401  200   200   200   200+
POST   /settings                                                       401  200   403   200   200
GET    /settings/{id}                                                  401  200   200   200   200+
POST   /settings/{id}                                                  401  200   403   200   200
GET    /userdata                                                       401  200   200   200   200+
GET    /v2/userdata                                                    401  200   200   200   200+
GET    /userdata/{file}                                                401  404   404   404   200+
POST   /userdata/{file}                                                401  200   403   200   200
DELETE /userdata/{file}                                                401  404   403   404   204
POST   /userdata/{file}/move/{dest}                                    401  404   403   404   200+

GET    /system_stats                                                   401  200   200   200   200
POST   /free                                                           401  403   403   200   403
GET    /internal/logs                                                  401  403   403   200+  403
GET    /internal/logs/raw                                              401  403   403   200+  403
PATCH  /internal/logs/subscribe                                        401  403   403   200   403
GET    /internal/folder_paths                                          401  403   403   200   403

GET    /genonaut/login                                                 200  200   200   200   200
GET    /genonaut/pairing                                               401  401   401   401   401
GET    /genonaut/observer                                              401  401   401   401   401
GET    /genonaut/outcomes                                              401  401   401   401   401
POST   /genonaut/outcomes/confirm                                      401  401   401   401   401
POST   /genonaut/cancel                                                401  401   401   401   401
*      /genonaut/{path}                                                404  404   404   404   404

GET    /of_another_pack                                                401  200   200   200   200
POST   /of_another_pack                                                401  403   403   200   403
"""
"""
What each is answered; with a + where something of ada's is in it. No row has ``/api`` in front: what ComfyUI has with
and without it is asked both ways, and what can be looked at with HEAD, too.
"""

ROWS = {
    f"{method} {path}": tuple(cells.split())
    for method, path, cells in re.findall(r"^(\S+) +(.+?)  +(\S.*)$", TABLE, re.MULTILINE)
}
NOT_THERE = "00000000-0000-7000-8000-00000000dead"
VALUES = {
    "dest": quote(f"workflows/{SECRET}-moved.json", safe=""),
    "directory_type": "output",
    "file": quote(f"workflows/{SECRET}.json", safe=""),
    "filename": "none.safetensors",
    "folder": "checkpoints",
    "folder_name": "checkpoints",
    "id": "Comfy.Test",
    "node_class": "LoadImage",
    "path_index": "0",
}
QUESTIONS: dict[str, Any] = {
    "POST /free": {"json": {}},
    "POST /history": {"json": {"delete": [NOT_THERE]}},
    "POST /interrupt": {"json": {"prompt_id": NOT_THERE}},
    "POST /prompt": {"json": {"prompt": {}}},
    "POST /queue": {"json": {"delete": [NOT_THERE]}},
    "POST /settings": {"json": {}},
    "POST /settings/{id}": {"json": "something"},
    "GET /userdata": {"params": {"dir": "workflows"}},
    "GET /v2/userdata": {"params": {"path": "workflows"}},
    "POST /userdata/{file}": {"content": b"{}"},
    "POST /userdata/{file}/move/{dest}": {"params": {"overwrite": "true"}},
    "POST /users": {"json": {"username": "default"}},
    "GET /view_metadata/{folder_name}": {"params": {"filename": "none.safetensors"}},
    "PATCH /internal/logs/subscribe": {"json": {"clientId": "x", "enabled": False}},
}
"""How they are asked so that nothing changes by it."""
FILES_IN = {
    FRONTEND_FILES: "/scripts/app.js",
    "/docs": "/KSampler/en.md",
    "/extensions/comfyui-genonaut": "/main.js",
    "/workflow_templates/comfyui-genonaut": "/text_to_image.json",
}
OF_ANOTHER_PACK = {"GET /of_another_pack", "POST /of_another_pack"}


@dataclass(frozen=True)
class Things:
    """What is ada's."""

    prompt_id: str
    picture: Json
    workflow_file: Path


@pytest.fixture(scope="module")
def things(members: Members) -> Iterator[Things]:
    """Everything that can be somebody's is hers and has her secret in it; one prompt of hers runs all the while."""
    ada = members.ada
    folders = ["default", *(person.id for person in members.people.values())]  # the first administrator has `default`
    for folder in folders:  # some of ComfyUI's routes make it, others miss it
        (members.house.base / "user" / folder / "workflows").mkdir(parents=True, exist_ok=True)
    workflow = quick_picture()
    workflow["2"]["inputs"]["filename_prefix"] = SECRET
    prompt_id = ada.submit(workflow)
    picture = ada.wait_until_made(prompt_id)["2"]["images"][0]
    assert ada.upload(f"{SECRET}.png").is_success
    assert ada.ask("POST", "/settings", json={"Comfy.Test": SECRET}).is_success
    assert ada.ask("POST", "/userdata/draft", json=SECRET).is_success
    # ComfyUI writes this into its log, which administrators may read.
    assert ada.ask("POST", f"/userdata/draft/move/{VALUES['file']}").is_success
    (workflow_file,) = (members.house.base / "user").glob(f"*/workflows/{SECRET}.json")
    with running(ada, note=SECRET):
        yield Things(prompt_id, picture, workflow_file)


def row_of(route: Json) -> str:
    """Which row speaks of a route."""
    path: str = route["path"]
    while path.startswith("/api/"):
        path = path.removeprefix("/api")
    method = "GET" if route["method"] == "HEAD" else route["method"]
    return f"{method} {path or FRONTEND_FILES}"


def ask(person: Person, route: Json, things: Things) -> str:
    """Ask for something of ada's by this route."""
    row = row_of(route)
    values = {**VALUES, "prompt_id": things.prompt_id, "path": "index.json"}
    if row in {"POST /settings/{id}", "POST /userdata/{file}"}:
        values["id"] = values["file"] = "of-whoever-asks"
    path = re.sub(r"{(\w+)}", lambda name: values[name[1]], route["path"])
    path += FILES_IN[row.partition(" ")[2]] if route["is_static"] else ""
    things.workflow_file.write_text(json.dumps(SECRET), encoding="utf-8")
    method = "GET" if route["method"] == "*" else route["method"]
    answer = person.ask(method, path, **question_of(row, things))
    return f"{answer.status_code}{'+' if SECRET.encode() in answer.content else ''}"


def question_of(row: str, things: Things) -> Json:
    if row == "GET /view":
        return {"params": things.picture}
    if row.startswith("POST /upload/"):
        image = {"image": ("mine.png", png(64, 64, mode="RGBA"), "image/png")}
        reference = {"original_ref": json.dumps(things.picture)} if row.endswith("mask") else {}
        return {"files": image, "data": {"overwrite": "1", **reference}}
    return dict(QUESTIONS.get(row, {}))


def test_every_route_of_comfyui(members: Members, things: Things, record_property: Recorder) -> None:
    """One table says who may what. It names every route that ComfyUI's router has, and no other."""
    people = {"nobody": members.nobody, **members.people}
    routes, found = members.routes(), {}
    for route in routes:
        cells = tuple(ask(people[name], route, things) for name in CALLERS)
        row = row_of(route)
        wanted = ROWS.get(row, ())
        if route["method"] == "HEAD":
            wanted = tuple(cell.rstrip("+") for cell in wanted)
        if cells != wanted:
            found[f"{route['method']} {route['path']}"] = cells
    record_property("checked", f"{len(routes)} routes of ComfyUI, each asked by {len(CALLERS)} callers")

    assert found == {}, "What is answered differs from the table."
    assert {row_of(route) for route in routes} == set(ROWS)


def test_every_route_of_comfyui_has_its_rule(members: Members) -> None:
    """The pack's own table knows each of them; only what another pack adds it does not."""
    rows = [row_of(route) for route in members.routes()]

    assert {row for row in rows if rule_for(*row.split(" ", 1)) is None} == OF_ANOTHER_PACK


@pytest.mark.parametrize("path", ["/ws", "/api/ws"])
def test_a_websocket_is_for_whoever_has_logged_in(members: Members, path: str) -> None:
    """Whoever has not is answered in JSON, as any program can read it."""
    for person in members.people.values():
        with person.socket(path=path) as socket:
            assert json.loads(socket.recv(30))["type"] == "status"
    with pytest.raises(InvalidStatus) as refused, members.nobody.socket(path=path):
        pass

    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body)["error"]["type"] == "not_logged_in"


FOR_EVERYBODY = {
    "/api/v1/first-administrator",
    "/api/v1/invites/accept",
    "/api/v1/invites/look",
    "/api/v1/sessions",
    "/health/live",
    "/health/ready",
}
FOR_ADMINISTRATORS = {"POST /api/v1/models/refresh", "PATCH /api/v1/models/{model_id}"}
NOT_FOR_GUESTS = {"POST /api/v1/me/tokens"}
ENDS_THE_SESSION = "DELETE /api/v1/sessions/current"
REFUSED = {401, 403}


def lets_in(operation: str) -> tuple[bool, ...]:
    """Whom a route of the sidecar's does not send away, in the order of CALLERS."""
    path = operation.partition(" ")[2]
    if path in FOR_EVERYBODY:
        return (True,) * len(CALLERS)
    if path.startswith("/api/v1/admin/") or operation in FOR_ADMINISTRATORS:
        return tuple(name == "root" for name in CALLERS)
    return tuple(name not in {"nobody", *({"gus"} if operation in NOT_FOR_GUESTS else ())} for name in CALLERS)


def test_every_route_of_the_sidecar_through_comfyui(members: Members, record_property: Recorder) -> None:
    """
    ComfyUI's port lets nobody in whom the sidecar would not, and takes nobody for somebody else.

    Asked for what there is not, so that nothing changes; whose things are whose the sidecar's own table says.
    """
    people = {"nobody": members.nobody, **members.people}
    described = members.nobody.ask("GET", "/genonaut/schema/openapi.json").json()["paths"]
    operations = [f"{method.upper()} {path}" for path, methods in described.items() for method in methods]
    found = {}
    for operation in operations:
        if operation == ENDS_THE_SESSION:
            continue  # test_logging_in.py does that
        method, _, path = operation.partition(" ")
        address = "/genonaut" + re.sub(r"{\w+}", NOT_THERE, path)
        statuses = tuple(status_of(people[name], method, address) for name in CALLERS)
        if tuple(status not in REFUSED for status in statuses) != lets_in(operation):
            found[operation] = statuses
    record_property("checked", f"{len(operations)} routes of the sidecar, each asked by {len(CALLERS)} callers")

    assert found == {}


def status_of(person: Person, method: str, address: str) -> int:
    """As it begins to answer: event streams would go on for ever."""
    content = None if method in {"GET", "HEAD"} else b"{}"
    with person.http.stream(method, address, content=content, headers={"Content-Type": "application/json"}) as answer:
        return answer.status_code
