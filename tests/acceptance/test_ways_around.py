"""
Ways around: what somebody tries who wants what is not theirs, at a real ComfyUI.

ada has pictures, uploads and saved workflows, and something of hers runs; bob is a member, too, and curious.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from acceptance.installation import Json, until
from acceptance.members import PASSWORD, Members, Person, running
from acceptance.workflows import Workflow, quick_picture
from fakes.folders import png
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

SECRET = "lighthouse-at-dusk"
SHARED = "shared.png"
SHARED_CONTENT = b"everybody's"


@dataclass(frozen=True)
class Belongings:
    """What is ada's, by the words in which ComfyUI names it."""

    prompt_id: str
    picture: Json
    preview: Json
    upload: Json
    folders: tuple[Path, ...]

    def contents(self) -> dict[str, bytes]:
        """Every file in her folders."""
        files = (file for folder in self.folders for file in folder.rglob("*") if file.is_file())
        return {str(file): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def belongings(members: Members) -> Belongings:
    ada, base = members.ada, members.house.base
    (base / "input" / SHARED).write_bytes(SHARED_CONTENT)
    workflow = quick_picture()
    workflow["2"]["inputs"]["filename_prefix"] = SECRET
    workflow["3"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    prompt_id = ada.submit(workflow)
    outputs = ada.wait_until_made(prompt_id)
    upload = ada.upload(f"{SECRET}.png").json()
    assert ada.ask("POST", f"/userdata/{SECRET}.json", params={"overwrite": "true"}, json=SECRET).is_success
    folders = (*(base / kind / "genonaut" / ada.id for kind in ("input", "output")), base / "user" / ada.id)
    return Belongings(prompt_id, outputs["2"]["images"][0], outputs["3"]["images"][0], upload, folders)


# Addresses

QUEUE_IN_OTHER_WORDS = [
    "/%71ueue",
    "//queue",
    "/queue/",
    "/QUEUE",
    "/api/queue",
    "/api//queue",
    "/api/api/queue",
    "/./queue",
    "/%2e/queue",
    "/scripts/../queue",
    "/scripts/%2e%2e/queue",
    "/scripts/..%2fqueue",
    "/%5cqueue",
    "\\queue",
    "/queue;x=1",
    "/queue%00",
    "/queue?/genonaut/login",
    "/genonaut/login/../../queue",
    "/genonaut/login%2f..%2f..%2fqueue",
    "http://127.0.0.1/queue",
]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"])
def test_no_way_to_write_an_address_leads_in(members: Members, belongings: Belongings, method: str) -> None:
    """Encoded, doubled, with dots, in capitals: whoever is nobody gets nothing, and hears of it as JSON."""
    with running(members.ada, note=SECRET):
        for address in QUEUE_IN_OTHER_WORDS:
            status, headers, content = members.nobody.ask_as_written(method, address)

            assert status in {400, 401, 404, 405}, (address, status)
            assert SECRET.encode() not in content
            assert status == 400 or method == "HEAD" or "json" in headers.get_content_type(), address


@pytest.mark.parametrize(
    "address",
    [
        "/internal/logs",
        "/internal/%6cogs",
        "//internal/logs",
        "/internal//logs",
        "/INTERNAL/logs",
        "/internal/logs/",
        "/internal/./logs/raw",
        "/internal/files/../logs",
        "/internal/files/%2e%2e/logs",
        "/internal/folder_paths",
        "/api/internal/logs",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PATCH"])
def test_what_is_for_administrators_has_no_other_address(members: Members, address: str, method: str) -> None:
    """A member is refused, or there is nothing."""
    status, _, content = members.bob.ask_as_written(method, address)

    assert status in {400, 403, 404, 405}
    assert str(members.house.base).encode() not in content


@pytest.mark.parametrize("address", ["/free", "/%66ree", "//free", "/api/free", "/api/api/free", "/free/", "/FREE"])
def test_a_member_frees_nothing(members: Members, address: str) -> None:
    """What ends everybody's models is for administrators, however it is written."""
    status, _, _ = members.bob.ask_as_written("POST", address, b"{}")

    assert status in {403, 404, 405}


@pytest.mark.parametrize(
    "address",
    [
        "/genonaut/internal/access",
        "/genonaut/%69nternal/access",
        "/genonaut//internal/access",
        "/genonaut/INTERNAL/access",
        "/genonaut/./internal/access",
        "/genonaut/api/../internal/access",
        "/genonaut/api/%2e%2e/internal/access",
        "/genonaut/api%2f..%2finternal/access",
        "/genonaut/%5cinternal/access",
        "/api/genonaut/internal/access",
        "/genonaut/genonaut/internal/access",
    ],
)
def test_what_pack_and_sidecar_say_to_each_other_is_not_passed_on(members: Members, address: str) -> None:
    """Whoever asks, and whatever they show."""
    for person in (members.nobody, members.root):
        status, _, content = person.ask_as_written("GET", address, X_Genonaut_Pairing="guessed")

        assert status == 404  # 401 would be the sidecar's own word, which it was asked for then
        assert b"needs_first_administrator" not in content


@pytest.mark.parametrize(
    "address",
    [
        "/../main.py",
        "/%2e%2e/main.py",
        "/..%2fmain.py",
        "/..%5cmain.py",
        "/scripts/..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd",
        "/scripts/%2fetc/passwd",
        "/%00",
        "/extensions/comfyui-genonaut/..%2f..%2fcomfy_nodes/caller.py",
        "/templates/..%2f..%2fmain.py",
        "/docs/..%2f..%2fmain.py",
    ],
)
def test_static_folders_have_no_way_out(members: Members, address: str) -> None:
    """The frontend's files are everybody's; what lies beside them is nobody's."""
    for person in (members.nobody, members.bob):
        status, _, content = person.ask_as_written("GET", address)

        assert status in {400, 401, 403, 404}
        assert not {b"import", b"root:"} & set(content.split())


# Files


def ways_to_name(theirs: Json, owner: Person, asking: Person) -> Iterator[dict[str, str]]:
    """The words by which somebody else's file might be had from /view."""
    name, folder, kind = theirs["filename"], theirs["subfolder"], theirs["type"]
    yield {"filename": name, "subfolder": folder, "type": kind}
    yield {"filename": f"{folder}/{name}", "type": kind}
    yield {"filename": f"../{kind}/{folder}/{name}", "type": kind}
    yield {"filename": f"{folder}/{name} [{kind}]"}
    yield {"filename": f"{name} [{kind}]", "subfolder": folder, "type": "input"}
    yield {"filename": f"{name}[{kind}]", "subfolder": folder, "type": "input"}
    yield {"filename": name, "subfolder": f"../{kind}/{folder}", "type": "input"}
    yield {"filename": name, "subfolder": f"/{folder}", "type": kind}
    yield {"filename": name, "subfolder": f"./{folder}/.", "type": kind}
    yield {"filename": name, "subfolder": folder.replace("/", "//"), "type": kind}
    yield {"filename": name, "subfolder": folder.replace("/", "\\"), "type": kind}
    yield {"filename": name, "subfolder": folder.replace(owner.id, f"{asking.id}/../{owner.id}"), "type": kind}
    yield {"filename": name, "subfolder": folder.upper(), "type": kind}
    yield {"filename": name, "subfolder": quote(folder, safe=""), "type": kind}
    yield {"filename": name + ".", "subfolder": folder, "type": kind}
    yield {"filename": f"{name}\0", "subfolder": folder, "type": kind}
    yield {"filename": name, "subfolder": folder, "type": kind, "preview": "webp;90"}
    yield {"filename": name, "subfolder": folder, "type": kind, "channel": "a"}
    yield {"filename": name, "subfolder": "", "type": kind}


@pytest.mark.parametrize("which", ["picture", "preview", "upload"])
@pytest.mark.parametrize("who", ["bob", "gus", "root"])
def test_nobody_views_a_file_of_somebody_else(members: Members, belongings: Belongings, which: str, who: str) -> None:
    """Outputs, previews, uploads: whatever it is called, it is not there."""
    theirs = getattr(belongings, which)
    theirs = {"filename": theirs.get("filename", theirs.get("name")), **theirs}
    theirs = {name: theirs[name] for name in ("filename", "subfolder", "type")}
    person = members.people[who]

    assert members.ada.ask("GET", "/view", params=theirs).status_code == 200
    for words in ways_to_name(theirs, members.ada, person):
        for path, method in (("/view", "GET"), ("/api/view", "GET"), ("/view", "HEAD")):
            assert person.ask(method, path, params=words).status_code in {400, 403, 404}, words


@pytest.mark.skipif(os.name == "nt", reason="Links need a right there that people do not have.")
def test_a_link_in_ones_own_folder_leads_nowhere(members: Members, belongings: Belongings) -> None:
    """Some pack may make one; what counts is where it leads."""
    own = members.house.base / "output" / "genonaut" / members.bob.id
    own.mkdir(parents=True, exist_ok=True)
    theirs = members.house.base / "output" / belongings.picture["subfolder"]
    for name, target in (("folder", theirs), ("file.png", theirs / belongings.picture["filename"])):
        with suppress(FileExistsError):
            (own / name).symlink_to(target)

    for subfolder, name in (("folder", belongings.picture["filename"]), ("", "file.png")):
        words = {"filename": name, "subfolder": f"genonaut/{members.bob.id}/{subfolder}", "type": "output"}
        assert members.bob.ask("GET", "/view", params=words).status_code == 404
        assert members.bob.ask("GET", "/view", params={**words, "subfolder": subfolder}).status_code == 404


def places_to_write(ada: Person, bob: Person, belongings: Belongings) -> Iterator[tuple[str, dict[str, str]]]:
    """File names and forms by which somebody else's file, or a shared one, might be overwritten."""
    name, picture = f"{SECRET}.png", belongings.picture
    for subfolder in (
        f"genonaut/{ada.id}",
        f"GENONAUT/{ada.id}",
        f"./genonaut/{ada.id}",
        f"genonaut\\{ada.id}",
        f"../input/genonaut/{ada.id}",
        f"genonaut/{bob.id}/../{ada.id}",
        f"../{ada.id}",
        f"/genonaut/{ada.id}",
    ):
        yield name, {"subfolder": subfolder}
        yield picture["filename"], {"subfolder": subfolder, "type": "output"}
    yield picture["filename"], {"subfolder": picture["subfolder"], "type": "output"}
    yield f"genonaut/{ada.id}/{name}", {}
    yield f"../{ada.id}/{name}", {}
    yield SHARED, {}
    yield SHARED, {"shared": "1"}
    yield SHARED, {"subfolder": "../.."}
    yield f"../../{SHARED}", {}


def test_an_upload_overwrites_nothing_of_somebody_else(members: Members, belongings: Belongings) -> None:
    """It lands in the sender's own folder, or it is refused."""
    before = belongings.contents()
    for filename, form in places_to_write(members.ada, members.bob, belongings):
        answer = members.bob.upload(filename, b"mine now", overwrite="1", **form)
        answer_of_guest = members.gus.upload(filename, b"mine now", overwrite="1", **form)

        assert answer.status_code in {200, 400}, (filename, form, answer.text)
        assert answer_of_guest.status_code == 403
        if answer.is_success:
            assert answer.json()["subfolder"].split("/")[:2] == ["genonaut", members.bob.id]

    assert belongings.contents() == before
    assert (members.house.base / "input" / SHARED).read_bytes() == SHARED_CONTENT


def test_a_mask_shows_no_picture_of_somebody_else(members: Members, belongings: Belongings) -> None:
    """ComfyUI puts the mask into a copy of the picture that `original_ref` names."""
    for words in ways_to_name(belongings.picture, members.ada, members.bob):
        image = {"image": ("mask.png", png(64, 64, mode="RGBA"), "image/png")}
        answer = members.bob.ask("POST", "/upload/mask", files=image, data={"original_ref": json.dumps(words)})

        assert answer.status_code in {400, 404}, words


def file_names(members: Members, belongings: Belongings) -> list[str]:
    ada, upload, picture = members.ada, belongings.upload, belongings.picture
    whole = f"{picture['subfolder']}/{picture['filename']}"
    return [
        f"{upload['subfolder']}/{upload['name']}",
        f"{upload['subfolder']}/{upload['name']} [input]",
        f"genonaut/{members.bob.id}/../{ada.id}/{upload['name']}",
        f"genonaut\\{ada.id}\\{upload['name']}",
        f"./genonaut//{ada.id}/{upload['name']}",
        f"{whole} [output]",
        f"{whole}[output]",
        f"../output/{whole}",
        str(members.house.base / "output" / whole),
        f"{belongings.preview['subfolder']}/{belongings.preview['filename']} [temp]",
        "../user/__genonaut/pairing-secret",
    ]


@pytest.mark.parametrize("node", ["LoadImage", "LoadImageMask", "LoadImageOutput"])
def test_no_graph_reads_a_file_of_somebody_else(members: Members, belongings: Belongings, node: str) -> None:
    """The page marks the node and its input, as for any other mistake."""
    for name in file_names(members, belongings):
        workflow: Workflow = {
            "7": {"class_type": node, "inputs": {"image": name, "channel": "red"}},
            "8": {"class_type": "PreviewImage", "inputs": {"images": ["7", 0]}},
        }
        answer = members.bob.ask("POST", "/prompt", json={"prompt": workflow})

        assert answer.status_code == 400, name
        assert answer.json()["node_errors"]["7"]["errors"], name


def test_no_graph_saves_into_the_folder_of_somebody_else(members: Members, belongings: Belongings) -> None:
    """Whatever prefix it names."""
    before = belongings.contents()
    for prefix in (f"genonaut/{members.ada.id}/x", f"../genonaut/{members.ada.id}/x", f"genonaut\\{members.ada.id}\\x"):
        workflow = quick_picture()
        workflow["2"]["inputs"]["filename_prefix"] = prefix
        answer = members.bob.ask("POST", "/prompt", json={"prompt": workflow})
        if answer.is_success:
            members.bob.wait_until_made(answer.json()["prompt_id"])

    assert belongings.contents() == before


# Settings and saved workflows


@pytest.mark.parametrize("claimed", ["", "default", "ada"])
def test_settings_and_workflows_are_of_whoever_is_logged_in(
    members: Members, belongings: Belongings, claimed: str
) -> None:
    """Also where a header names somebody else, as ComfyUI's own several users do."""
    who = members.ada.id if claimed == "ada" else claimed
    before = belongings.contents()
    outside = [
        f"../{members.ada.id}/{SECRET}.json",
        f"..\\{members.ada.id}\\{SECRET}.json",
        f"./../{members.ada.id}/{SECRET}.json",
    ]
    absolute = str(belongings.folders[-1] / f"{SECRET}.json")
    for name in (*outside, absolute, "../__genonaut/pairing-secret", "../comfy.settings.json"):
        file = quote(name, safe="")
        for method, path in (
            ("GET", f"/userdata/{file}"),
            ("POST", f"/userdata/{file}?overwrite=true"),
            ("DELETE", f"/userdata/{file}"),
            ("POST", f"/userdata/{file}/move/mine.json?overwrite=true"),
            ("POST", f"/userdata/{file}/move/{file}?overwrite=true"),
        ):
            status, _, content = members.bob.ask_as_written(method, path, b"{}", comfy_user=who)

            is_plain_name = "%5C" in file and os.name != "nt"  # of a file of one's own
            assert status in {400, 403, 404} or is_plain_name, (method, path)
            assert SECRET.encode() not in content or is_plain_name
    for query in (
        f"/userdata?dir=../{members.ada.id}",
        f"/v2/userdata?path=../{members.ada.id}",
        "/v2/userdata?path=..",
        "/userdata?dir=..%2f..&recurse=true",
        f"/userdata?dir={quote(str(belongings.folders[-1]))}",
    ):
        status, _, content = members.bob.ask_as_written("GET", query, comfy_user=who)

        assert SECRET.encode() not in content

    assert belongings.contents() == before


# Queue, history, events


def test_what_somebody_else_has_running_or_waiting_stays(members: Members, belongings: Belongings) -> None:
    """Interrupting, deleting and clearing reach one's own; the ids that are shown of others are good for nothing."""
    ada, bob = members.ada, members.bob
    with running(ada) as prompt_id:
        waiting = ada.submit(quick_picture())
        shown = [entry[1] for entries in bob.ask("GET", "/queue").json().values() for entry in entries]
        attempts: list[tuple[str, Json]] = [
            ("/interrupt", {}),
            ("/queue", {"clear": True}),
            ("/history", {"clear": True}),
        ]
        for target in (prompt_id, waiting, belongings.prompt_id, *shown):
            attempts += [("/interrupt", {"prompt_id": target})]
            attempts += [(path, {"delete": [target]}) for path in ("/queue", "/history")]
        for path, body in attempts:
            for form in (path, f"/api{path}"):
                assert bob.ask("POST", form, json=body).status_code in {200, 404}
        assert bob.ask("POST", "/interrupt").status_code == 200

        assert ada.queue() == ([prompt_id], [waiting])
        assert belongings.prompt_id in ada.ask("GET", "/history").json()
        assert not {prompt_id, waiting} & set(shown)
        assert len(shown) == 2
    ada.wait_until_made(waiting)


def test_placeholders_tell_nothing(members: Members) -> None:
    """That somebody waits, and where; no word of what, nor by whom."""
    with running(members.ada, note=SECRET) as prompt_id:
        told = members.bob.ask("GET", "/queue").text

        assert SECRET not in told
        assert prompt_id not in told
        assert members.ada.id not in told
        assert "RunsUntilInterrupted" not in told


def events_heard(socket: ClientConnection, *, until_s: float = 1.0) -> list[str]:
    """Everything that comes until nothing more does."""
    heard = []
    with suppress(TimeoutError):
        while True:
            message = socket.recv(until_s)
            heard.append(message if isinstance(message, str) else message.decode("latin-1"))
    return heard


def hear_end_of(socket: ClientConnection, prompt_id: str) -> None:
    while True:
        message = socket.recv(60)
        if isinstance(message, str) and '"execution_success"' in message and prompt_id in message:
            return


@pytest.mark.parametrize("named", ["the same id", "no id at all"])
def test_events_are_heard_by_their_owner_alone(members: Members, named: str) -> None:
    """Whoever opens a websocket under somebody else's client id, before them or after them, gets another one."""
    client_id = "" if named == "no id at all" else "a-tab-of-adas"
    with (
        members.ada.socket("a-tab-of-adas") as hers,
        members.bob.socket("a-tab-of-adas") as his,
        members.root.socket("a-tab-of-adas") as roots,
    ):
        prompt_id = members.ada.submit(quick_picture(), **({"client_id": client_id} if client_id else {}))
        if client_id:
            hear_end_of(hers, prompt_id)
        members.ada.wait_until_made(prompt_id)

        for socket in (his, roots):
            heard = events_heard(socket)
            assert not [event for event in heard if prompt_id in event]
            # As they connected; once more where ComfyUI cannot know if an older one is still on its way.
            assert len([event for event in heard if '"type": "status"' in event]) <= 2


def test_nobody_sends_events_to_somebody_else(members: Members) -> None:
    """A prompt that names another person's client id tells its events to whoever submitted it."""
    with members.ada.socket("hers") as hers:
        prompts = [
            members.bob.submit(quick_picture(), client_id="hers"),
            members.bob.submit(quick_picture(), extra_data={"client_id": "hers"}),
        ]
        for prompt_id in prompts:
            members.bob.wait_until_made(prompt_id)

        heard = " ".join(events_heard(hers))
        assert not [prompt_id for prompt_id in prompts if prompt_id in heard]


def test_a_prompt_belongs_to_whoever_sends_it(members: Members) -> None:
    """Whatever owner its extra data names."""
    tag = {"owner_id": members.ada.id, "generation_id": "00000000-0000-7000-8000-00000000dead"}
    prompt_id = members.bob.submit(quick_picture(), extra_data={"genonaut": tag, "extra_pnginfo": {"genonaut": tag}})
    members.bob.wait_until_made(prompt_id)

    assert members.ada.ask("GET", f"/history/{prompt_id}").json() == {}
    assert members.ada.api("GET", f"/generations/{prompt_id}").status_code == 404
    assert members.bob.api("GET", f"/generations/{prompt_id}").status_code == 200


# Credentials

FORGED = [
    {"X-Genonaut-Pairing": "guessed"},
    {"X-Genonaut-Pairing": ""},
    {"X-Genonaut-User": "root"},
    {"X-Genonaut-Owner": "ada"},
    {"X-Forwarded-User": "root"},
    {"X-Forwarded-User": "root", "X-Forwarded-For": "127.0.0.1"},
    {"Forwarded": "for=127.0.0.1;host=localhost"},
    {"X-Real-IP": "127.0.0.1"},
    {"X-Forwarded-Prefix": "/genonaut"},
    {"X-Original-URL": "/genonaut/login"},
    {"X-HTTP-Method-Override": "OPTIONS"},
    {"Comfy-User": "default"},
    {"Cookie": "genonaut_session="},
    {"Cookie": "genonaut_session=gno_x; genonaut_session=y"},
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer gno_" + "A" * 43},
    {"Authorization": "Basic " + base64.b64encode(b"root:").decode()},
    {"Authorization": "Basic !!!"},
    {"Authorization": "Digest username=root"},
]


@pytest.mark.parametrize("headers", FORGED, ids=lambda headers: "; ".join(map(str, headers.items())))
def test_nothing_that_anybody_can_write_makes_them_somebody(members: Members, headers: dict[str, str]) -> None:
    """At ComfyUI's routes, at the sidecar's through it, and at the pack's own."""
    for path in ("/queue", "/genonaut/api/v1/me", "/genonaut/outcomes"):
        assert members.nobody.ask("GET", path, headers=headers).status_code == 401


def test_a_token_in_an_address_is_good_only_where_nothing_else_goes(members: Members, belongings: Belongings) -> None:
    """Addresses are written into logs; so it is taken for pictures and the websocket alone."""
    token = {"token": members.ada.new_token()["secret"]}
    nobody = members.nobody

    assert nobody.ask("GET", "/view", params={**belongings.picture, **token}).status_code == 200
    for path in ("/queue", "/history", "/object_info/LoadImage", "/internal/files/output", "/genonaut/api/v1/me"):
        assert nobody.ask("GET", path, params=token).status_code == 401
    for path in ("/prompt", "/queue", "/upload/image"):
        assert nobody.ask("POST", path, params=token, json={}).status_code == 401


def as_program(members: Members, token: str) -> Person:
    return Person("a program", "", members.new_browser(headers={"Authorization": f"Bearer {token}"}))


def test_a_token_for_reading_changes_nothing(members: Members) -> None:
    """On /prompt it is a 401, since ComfyUI's page takes a 403 there for something else."""
    program = as_program(members, members.ada.new_token("read")["secret"])

    assert program.ask("GET", "/queue").status_code == 200
    assert program.ask("POST", "/prompt", json={"prompt": quick_picture()}).status_code == 401
    for path in ("/queue", "/interrupt", "/history", "/upload/image", "/settings", "/userdata/x.json"):
        assert program.ask("POST", path, json={}).status_code == 403


def test_a_token_that_is_revoked_is_good_for_nothing_at_once(members: Members) -> None:
    """Also its websocket ends."""
    token = members.ada.new_token()
    program = as_program(members, token["secret"])
    assert program.ask("GET", "/queue").status_code == 200
    with members.nobody.socket("revoked", Authorization=f"Bearer {token['secret']}") as socket:
        assert members.ada.api("DELETE", f"/me/tokens/{token['id']}").status_code == 204
        until(lambda: program.ask("GET", "/queue").status_code == 401, within_s=30, what="The token is refused")
        assert has_ended(socket)


def test_a_token_that_has_expired_is_good_for_nothing(members: Members) -> None:
    """To the second, however well it is remembered."""
    ends = time.time() + 4  # a busy machine asks once until then
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends))
    program = as_program(members, members.ada.new_token("read", expires_at=at)["secret"])
    assert program.ask("GET", "/queue").status_code == 200
    until(lambda: program.ask("GET", "/queue").status_code == 401, within_s=30, what="The token has expired")


def has_ended(socket: ClientConnection) -> bool:
    try:
        while True:
            socket.recv(10)
    except ConnectionClosed:
        return True
    except TimeoutError:
        return False


def test_whoever_is_disabled_is_out_at_once(members: Members) -> None:
    """With a page open: its websocket and its event stream end, and nothing is answered any more."""
    eve = members.newcomer()
    with eve.socket("eves") as socket, eve.http.stream("GET", "/genonaut/api/v1/events") as stream:
        lines = stream.iter_lines()
        next(lines)
        members.root.api("PATCH", f"/admin/users/{eve.id}", json={"disabled": True}).raise_for_status()

        assert has_ended(socket)
        assert len(list(lines)) < 50  # and then it has ended
    assert eve.ask("GET", "/queue").status_code == 401
    assert eve.api("GET", "/me").status_code == 401
    assert eve.ask("POST", "/prompt", json={"prompt": quick_picture()}).status_code == 401
    with pytest.raises(InvalidStatus), eve.socket("eves"):
        pass


FOREIGN = [
    {"Origin": "https://elsewhere.example"},
    {"Origin": "null"},
    {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:1"},
    {"Sec-Fetch-Site": "cross-site", "X-Forwarded-Host": "elsewhere.example", "Origin": "https://elsewhere.example"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=lambda headers: "; ".join(map(str, headers.items())))
def test_pages_of_other_websites_do_nothing_with_a_persons_cookie(members: Members, headers: dict[str, str]) -> None:
    """Nor with a password that the browser remembers."""
    shown: list[dict[str, Any]] = [{}, {"auth": ("ada", PASSWORD)}]
    for person, more in zip((members.ada, members.nobody), shown, strict=True):
        for path in ("/queue", "/interrupt", "/free", "/settings", "/genonaut/api/v1/me/tokens"):
            assert person.ask("POST", path, json={}, headers=headers, **more).status_code == 403, path
        assert person.ask("POST", "/prompt", json={}, headers=headers, **more).status_code in {401, 403}
    with pytest.raises(InvalidStatus) as refused, members.ada.socket("hers", **headers):
        pass

    assert refused.value.response.status_code == 403
