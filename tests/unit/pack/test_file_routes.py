"""ComfyUI's routes for files, each as one person may use it."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import FormData, web
from aiohttp.test_utils import TestClient, TestServer
from fakes.comfyui_files import ADA, BOB, NOT_A_USER, Inhabited, comfyui_with
from yarl import URL

from comfy_nodes.caller import ANONYMOUS, LOCAL_OWNER, Caller, calling
from comfy_nodes.file_routes import FileRoutes
from comfy_nodes.ownership import OwnedFiles, SeenOutputs
from comfy_nodes.places import Folders, Name
from comfy_nodes.sidecar_client import SidecarAway

MEMBER = frozenset({"read", "submit"})
PEOPLE: dict[str, Caller | None] = {
    "ada": Caller(ADA, "ada", "member", MEMBER),
    "bob": Caller(BOB, "bob", "member", MEMBER),
    "root": Caller(NOT_A_USER, "root", "admin", MEMBER | {"admin"}),
    "the local owner": LOCAL_OWNER,
    "the sidecar": None,
    "nobody": ANONYMOUS,
}
THEIRS = {"filename": "bob_00001_.png", "subfolder": f"genonaut/{BOB}/2026-01-01", "type": "output"}

Browser = TestClient[Any, Any]
Opened = Callable[..., AbstractAsyncContextManager[Browser]]


class Record:
    """The sidecar, as far as it is asked whose an output is."""

    def __init__(self) -> None:
        self.owners: dict[str, str] = {}
        self.is_away = False

    async def owner_of_output(self, kind: str, subfolder: str, filename: str) -> str | None:
        if self.is_away:
            raise SidecarAway("nobody answers")
        return self.owners.get(filename)


@pytest.fixture
def house(tmp_path: Path) -> Inhabited:
    return Inhabited(tmp_path)


@pytest.fixture
def record() -> Record:
    return Record()


@pytest.fixture
def files(house: Inhabited, record: Record) -> OwnedFiles:
    return OwnedFiles(Folders(house.folder_paths), SeenOutputs(), record.owner_of_output)


@pytest.fixture
def opened(house: Inhabited, files: OwnedFiles) -> Opened:
    @asynccontextmanager
    async def open_it(name: str = "ada") -> AsyncIterator[Browser]:
        @web.middleware
        async def doorkeeper(request: web.Request, handler: Any) -> web.StreamResponse:
            with calling(PEOPLE[name]):
                answer: web.StreamResponse = await handler(request)
                return answer

        app = comfyui_with(house, doorkeeper, FileRoutes(files, house.folder_paths).answer)
        async with TestClient(TestServer(app)) as browser:
            yield browser

    return open_it


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            {"filename": "ada_00001_.png", "subfolder": f"genonaut/{ADA}/2026-01-01"},
            f"output/genonaut/{ADA}/2026-01-01/ada_00001_.png",
        ),
        ({"filename": "shared.png", "type": "input"}, "input/shared.png"),
        ({"filename": "shared.png [input]", "type": "output"}, "input/shared.png"),
        ({"filename": "shared too.png", "subfolder": "folder", "type": "input"}, "input/folder/shared too.png"),
        ({"filename": "ada.png", "type": "input"}, f"input/genonaut/{ADA}/ada.png"),
        ({"filename": "ada.png", "type": "input", "subfolder": ""}, f"input/genonaut/{ADA}/ada.png"),
        ({"filename": "1.png", "subfolder": "webcam", "type": "temp"}, "ada"),
        ({"filename": "image.png", "subfolder": "pasted", "type": "input"}, "ada"),
    ],
)
async def test_one_sees_ones_own_files_and_the_shared_ones(
    opened: Opened, query: dict[str, str], expected: str
) -> None:
    """By the names that ComfyUI tells, and by those under which its page puts them there."""
    async with opened() as browser:
        for path in ("/view", "/api/view"):
            answer = await browser.get(path, params={**query, "rand": "0.5"})
            assert (answer.status, await answer.text()) == (200, expected)


HIDDEN_FILES = [
    THEIRS,
    {**THEIRS, "filename": "not there.png"},
    {**THEIRS, "subfolder": f"genonaut/{ADA}/../{BOB}/2026-01-01"},
    {**THEIRS, "subfolder": f"./genonaut//{BOB}/2026-01-01/"},
    {**THEIRS, "subfolder": f"GENONAUT/{BOB}/2026-01-01"},
    {**THEIRS, "subfolder": f"x/../genonaut/{BOB}/2026-01-01"},
    {**THEIRS, "filename": "bob_00001_.png [output]", "type": "input"},
    {**THEIRS, "filename": "bob_00001_.png[output]", "type": "input"},
    {**THEIRS, "filename": "bob_00001_.png [output] [output]"},
    {**THEIRS, "filename": f"genonaut/{BOB}/2026-01-01/bob_00001_.png"},
    {"filename": f"genonaut/{BOB}/2026-01-01/bob_00001_.png"},
    {"filename": "bob.png", "subfolder": f"genonaut/{BOB}", "type": "input"},
    {"filename": "1.png", "subfolder": f"genonaut/{BOB}/webcam", "type": "temp"},
    {"filename": "old.png"},
    {"filename": "old.png", "type": "output"},
    {"filename": "not there.png", "type": "output"},
    {"filename": "ComfyUI_temp_abcde_00001_.png", "type": "temp"},
    {"filename": "ComfyUI_temp_abcde_00001_.png [temp]"},
    {"filename": "ComfyUI_temp_abcde_00001_.png [temp]", "type": "input"},
    {"filename": "shared.png [temp] [input]"},
    {"filename": "secret.json", "subfolder": "../user/default", "type": "output"},
    {"filename": "secret.json", "subfolder": "/etc", "type": "output"},
    {"filename": "../user/default/secret.json"},
    {"filename": "/etc/passwd"},
    {"filename": "x\0.png"},
    {"filename": "x.png", "subfolder": "a\0b"},
    {"filename": "x" * 5000},
    {"filename": "", "type": "input"},
    {"filename": "x.png", "type": "user"},
    {"filename": "blake3:" + "0" * 64},
    {},
]


@pytest.mark.parametrize("query", HIDDEN_FILES)
async def test_what_is_not_ones_own_is_not_there(opened: Opened, query: dict[str, str]) -> None:
    """Byte for byte as what nobody has; for GET and for HEAD."""
    async with opened() as browser:
        answer = await browser.get("/view", params=query)
        head = await browser.head("/api/view", params=query)

        assert (answer.status, head.status) == (404, 404)
        assert await answer.json() == {
            "error": {
                "type": "not_found",
                "message": "There is no such file among yours or the shared ones.",
                "details": "",
                "extra_info": {},
            },
            "node_errors": {},
        }


@pytest.mark.parametrize(
    "address",
    [
        f"/%76iew?filename=bob_00001_.png&subfolder=genonaut/{BOB}/2026-01-01&type=output",
        f"/view?filename=bob_00001_.png&subfolder=genonaut%2F{BOB}%2F2026-01-01&type=output",
        f"/view?filename=bob_00001_.png&subfolder=%67enonaut/{BOB}/2026-01-01",
        f"/view?filename=shared.png&filename=bob.png&type=input&subfolder=genonaut/{BOB}",
        f"/view?filename=bob.png&type=input&subfolder=genonaut/{BOB}&subfolder=",
        f"/view?filename=bob.png&type=input&subfolder=genonaut/{BOB}&type=output",
    ],
)
async def test_no_way_of_writing_the_address_leads_around_it(opened: Opened, address: str) -> None:
    """Encodings, and values that are there twice: the first one is what ComfyUI reads."""
    async with opened() as browser:
        assert (await browser.get(address)).status == 404


async def test_a_value_that_is_there_twice_is_read_once(opened: Opened) -> None:
    """What was found to be theirs is what ComfyUI is asked for."""
    async with opened() as browser:
        answer = await browser.get(
            f"/view?filename=shared.png&type=input&filename=bob.png&subfolder=&subfolder=genonaut/{BOB}"
        )

        assert (answer.status, await answer.text()) == (200, "input/shared.png")


async def test_a_loose_file_is_shown_to_its_owner_alone(opened: Opened, files: OwnedFiles, record: Record) -> None:
    """A preview of a moment ago, or one that the sidecar has recorded; administrators see what is nobody's."""
    place = files.folders.place_of(Name("temp", "ComfyUI_temp_abcde_00001_.png"))
    assert place is not None
    files.seen.remember(place, ADA)
    record.owners["old.png"] = BOB

    seen: dict[tuple[str, str], int] = {}
    for name in ("ada", "bob", "root"):
        async with opened(name) as browser:
            for filename in ("ComfyUI_temp_abcde_00001_.png [temp]", "old.png [output]", "nobodys.png [output]"):
                seen[name, filename.partition(" ")[0]] = (
                    await browser.get("/view", params={"filename": filename})
                ).status
    assert [found for found, status in seen.items() if status == 200] == [
        ("ada", "ComfyUI_temp_abcde_00001_.png"),
        ("bob", "old.png"),
    ]


async def test_an_administrator_sees_what_is_nobodys(opened: Opened) -> None:
    """What lay there before there were accounts; never what is somebody else's, nor what 0.30 finds by its content."""
    async with opened("root") as browser:
        assert await (await browser.get("/view", params={"filename": "old.png"})).text() == "output/old.png"
        assert (await browser.get("/view", params=THEIRS)).status == 404
        assert (await browser.get("/view", params={"filename": "blake3:" + "0" * 64})).status == 404


async def test_pictures_are_shown_so_that_they_cannot_do_anything(opened: Opened) -> None:
    """An SVG may hold a script, and a browser may be used by several people."""
    async with opened() as browser:
        answer = await browser.get("/view", params={"filename": "shared.png", "type": "input"})

        assert answer.headers["Content-Security-Policy"] == "sandbox"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "private, no-cache"


async def test_nobody_is_shown_anything_while_nobody_can_say_whose_it_is(opened: Opened, record: Record) -> None:
    """With when to try again; what a folder tells is shown all the same."""
    record.is_away = True
    async with opened() as browser:
        loose = await browser.get("/view", params={"filename": "old.png"})
        own = await browser.get("/view", params={"filename": "ada.png", "type": "input"})

        assert (loose.status, loose.headers["Retry-After"], own.status) == (503, "5", 200)


@pytest.mark.parametrize("name", ["the local owner", "the sidecar"])
async def test_where_nobody_is_told_apart_nothing_changes(opened: Opened, house: Inhabited, name: str) -> None:
    """Open access, and what the sidecar asks for."""
    async with opened(name) as browser:
        assert (await browser.get("/view", params=THEIRS)).status == 200
        assert (await browser.get("/view", params={"filename": "old.png"})).status == 200
        assert await (await browser.get("/object_info")).json(content_type=None) == house.description()
        assert await (await browser.get("/internal/files/output")).json() == ["old.png"]
        answer = await upload(browser, "new.png")
        assert answer == {"name": "new.png", "subfolder": "", "type": "input"}


@pytest.mark.parametrize("path", ["/view", "/object_info", "/internal/files/output"])
async def test_nobody_has_nothing(opened: Opened, path: str) -> None:
    """The doorkeeper lets nobody in here who has not logged in; even so, nothing is theirs."""
    async with opened("nobody") as browser:
        answer = await browser.get(path, params=THEIRS)

        assert BOB not in await answer.text()


async def test_the_header_of_a_model_is_shown_unless_it_is_anothers(opened: Opened, house: Inhabited) -> None:
    """Models are shared; what a person has had saved among the outputs is not."""
    house.write("models/style.safetensors")
    house.write(f"output/checkpoints/genonaut/{BOB}/x.safetensors")
    house.write(f"output/genonaut/{BOB}/mine.safetensors")
    async with opened() as browser:
        shared = await browser.get("/view_metadata/loras", params={"filename": "style.safetensors"})
        theirs = await browser.get("/view_metadata/genonaut", params={"filename": f"{BOB}/mine.safetensors"})
        missing = await browser.get("/view_metadata/loras", params={"filename": "no.safetensors"})

        assert (shared.status, theirs.status, missing.status) == (200, 404, 404)
        assert await theirs.json() == await missing.json()


@pytest.mark.parametrize(
    "way",
    [
        "loras/0/..%2foutput%2fgenonaut%2f{BOB}%2f2026-01-01%2fbob_00001_.png",
        "loras/0/../output/genonaut/{BOB}/2026-01-01/bob_00001_.png",
        "loras/-1/..%2fold.png",
        "loras/0/{base}/output/old.png",
        "loras/0/%2e%2e/input/genonaut/{BOB}/bob.png",
        "loras/1/genonaut/{BOB}/x.png",
        "loras/2/style.png",
        "loras/x/style.png",
        "nothing/0/style.png",
    ],
)
async def test_no_picture_is_shown_as_that_of_a_model_but_those_beside_models(
    opened: Opened, house: Inhabited, way: str
) -> None:
    """ComfyUI goes wherever the name leads, and shows what lies there."""
    house.write("models/style.png")
    house.write(f"output/genonaut/{BOB}/x.png")
    async with opened() as browser:
        for prefix in ("", "/api"):
            path = f"{prefix}/experiment/models/preview/{way.format(BOB=BOB, base=house.base)}"
            refused = await browser.get(URL(path, encoded=True))
            shown = await browser.get(f"{prefix}/experiment/models/preview/loras/0/style.safetensors")

            assert (refused.status, await refused.json()) == (404, await (await browser.get("/view")).json())
            assert (shown.status, await shown.text()) == (200, "models/style.png")


@pytest.mark.parametrize("newer", [False, True])
async def test_files_are_listed_as_nodes_take_them(tmp_path: Path, record: Record, newer: bool) -> None:
    """One's own from one's folder, the shared ones; of what lies loose only what is known to be one's own."""
    house = Inhabited(tmp_path, newer=newer)
    files = OwnedFiles(Folders(house.folder_paths), SeenOutputs(), record.owner_of_output)
    place = files.folders.place_of(Name("output", "old.png"))
    assert place is not None
    routes = FileRoutes(files, house.folder_paths)

    @web.middleware
    async def doorkeeper(request: web.Request, handler: Any) -> web.StreamResponse:
        with calling(PEOPLE[request.query["as"]]):
            answer: web.StreamResponse = await handler(request)
            return answer

    async with TestClient(TestServer(comfyui_with(house, doorkeeper, routes.answer))) as browser:

        async def listed(name: str, kind: str) -> list[str]:
            told: list[str] = await (await browser.get(f"/internal/files/{kind}", params={"as": name})).json()
            return [entry.removesuffix(f" [{kind}]") if newer else entry for entry in told]

        assert await listed("ada", "output") == [f"genonaut/{ADA}/2026-01-01/ada_00001_.png"]
        files.seen.remember(place, ADA)
        assert await listed("ada", "output") == [f"genonaut/{ADA}/2026-01-01/ada_00001_.png", "old.png"]
        assert set(await listed("bob", "input")) == {
            f"genonaut/{BOB}/bob.png",
            f"genonaut/{BOB}/pasted/image.png",
            "shared.png",
        }
        assert await listed("root", "temp") == ["ComfyUI_temp_abcde_00001_.png"]
        assert (await browser.get("/internal/files/models", params={"as": "ada"})).status == 400


async def test_lists_of_input_files_hold_ones_own_and_the_shared_ones(opened: Opened) -> None:
    """Of the folders of people only one's own; and what nodes tell otherwise stays as it is."""
    async with opened() as browser:
        told = json.loads(await (await browser.get("/api/object_info")).text())
        one = json.loads(await (await browser.get("/object_info/LoadImage")).text())

    images = told["LoadImage"]["input"]["required"]["image"][0]
    assert images[0] == "shared.png"
    assert set(images[1:]) == {f"genonaut/{ADA}/ada.png", f"genonaut/{ADA}/pasted/image.png"}
    assert one["LoadImage"] == told["LoadImage"]
    assert told["Walker"]["input"]["optional"]["folder"][1] == {
        "options": [".", "folder", f"genonaut/{ADA}", f"genonaut/{ADA}/pasted"]
    }
    assert told["KSampler"] == {"input": {"required": {"seed": ["INT", {"max": float("inf")}]}}, "name": "KSampler"}
    assert told["LoadVideo"]["input"]["required"]["file"][1]["options"] == []
    assert BOB not in json.dumps(told)


async def upload(
    browser: Browser, filename: str, content: str = "new", route: str = "/upload/image", **fields: str
) -> dict[str, Any]:
    form = FormData(quote_fields=False)
    form.add_field("image", content.encode(), filename=filename, content_type="image/png")
    for name, value in fields.items():
        form.add_field(name, value)
    answer = await browser.post(route, data=form)
    told: dict[str, Any] = await answer.json(content_type=None)
    return told if answer.status == 200 else {"status": answer.status, **told["error"]}


@pytest.mark.parametrize(
    ("fields", "subfolder"),
    [
        ({}, ""),
        ({"subfolder": ""}, ""),
        ({"subfolder": "pasted"}, "/pasted"),
        ({"subfolder": "clipspace/./deep/"}, "/clipspace/deep"),
        ({"subfolder": "by\\windows"}, "/by/windows"),
        ({"subfolder": f"genonaut/{ADA}/pasted"}, "/pasted"),
        ({"subfolder": "webcam", "type": "temp"}, "/webcam"),
        ({"type": "output"}, ""),
        ({"type": "input", "shared": "1"}, ""),
    ],
)
async def test_an_upload_lands_in_its_senders_folder(
    opened: Opened, house: Inhabited, fields: Any, subfolder: str
) -> None:
    """And the answer says so: as it stands, a node loads it, and `/view` shows it."""
    async with opened() as browser:
        for route in ("/upload/image", "/api/upload/image"):
            told = await upload(browser, "new.png", route, route, **fields)
            shown = await browser.get("/view", params={"filename": told["name"], **told})

            assert (told["subfolder"], told["type"]) == (f"genonaut/{ADA}{subfolder}", fields.get("type", "input"))
            assert await shown.text() == route
            assert (house.base / told["type"] / told["subfolder"] / told["name"]).is_file()


async def test_one_overwrites_only_ones_own(opened: Opened, house: Inhabited) -> None:
    """A shared file of the same name, and another person's, stay as they are."""
    async with opened() as browser:
        for name in ("shared.png", "ada.png", "bob.png"):
            told = await upload(browser, name, overwrite="true")
            assert told == {"name": name, "subfolder": f"genonaut/{ADA}", "type": "input"}

    assert (house.base / "input/shared.png").read_text(encoding="utf-8") == "input/shared.png"
    assert (house.base / f"input/genonaut/{BOB}/bob.png").read_text(encoding="utf-8").endswith("bob.png")
    assert (house.base / f"input/genonaut/{ADA}/ada.png").read_text(encoding="utf-8") == "new"


@pytest.mark.parametrize(
    ("filename", "fields"),
    [
        ("new.png", {"subfolder": ".."}),
        ("new.png", {"subfolder": "../../user"}),
        ("new.png", {"subfolder": f"../{BOB}"}),
        ("new.png", {"subfolder": f"..\\{BOB}"}),
        ("new.png", {"subfolder": f"genonaut/{BOB}"}),
        ("new.png", {"subfolder": f"genonaut/{ADA}/../{BOB}"}),
        ("new.png", {"subfolder": f"GENONAUT/{BOB}"}),
        ("new.png", {"subfolder": "a\x01b"}),
        ("new.png", {"type": "user"}),
        ("new.png", {"type": ""}),
        ("../new.png", {}),
        (f"../{BOB}/new.png", {}),
        ("/etc/new.png", {}),
        ("a/b.png", {}),
        ("..", {}),
    ],
)
async def test_an_upload_that_would_land_elsewhere_is_refused(
    opened: Opened, house: Inhabited, filename: str, fields: dict[str, str]
) -> None:
    """Before anything is written."""
    before = sorted(house.base.rglob("*"))
    async with opened() as browser:
        told = await upload(browser, filename, **fields)

    assert (told["status"], told["type"]) == (400, "upload_refused")
    assert sorted(house.base.rglob("*")) == before


@pytest.mark.parametrize("fields", [{"image": "text"}, {"type": "input"}, {}])
async def test_an_upload_without_a_file_is_refused(opened: Opened, fields: dict[str, str]) -> None:
    """In ComfyUI itself it ends in a server error, or in nothing."""
    async with opened() as browser:
        answer = await browser.post("/upload/image", data=fields)

        assert (answer.status, (await answer.json())["error"]["type"]) == (400, "upload_refused")


async def test_an_administrator_may_share_a_file(opened: Opened, house: Inhabited) -> None:
    """By saying so; and replace one, but not put anything into a person's folder."""
    async with opened("root") as browser:
        mine = await upload(browser, "mine.png")
        shared = await upload(
            browser, "shared.png", shared="true", overwrite="true", type="output", subfolder="./folder"
        )
        theirs = await upload(browser, "new.png", shared="true", subfolder=f"genonaut/{BOB}")

    assert mine["subfolder"] == f"genonaut/{NOT_A_USER}"
    assert shared == {"name": "shared.png", "subfolder": "folder", "type": "input"}
    assert (house.base / "input/folder/shared.png").read_text(encoding="utf-8") == "new"
    assert theirs["status"] == 400


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ({"filename": "ada.png", "type": "input"}, f"input/genonaut/{ADA}/ada.png"),
        ({"filename": "ada.png [input]", "subfolder": ""}, f"input/genonaut/{ADA}/ada.png"),
        ({"filename": "image.png", "subfolder": "pasted", "type": "input"}, "ada"),
        ({"filename": f"genonaut/{ADA}/ada.png", "type": "input"}, f"input/genonaut/{ADA}/ada.png"),
        ({"filename": "shared.png", "type": "input", "subfolder": None}, "input/shared.png"),
    ],
)
async def test_a_mask_is_put_onto_ones_own_picture(
    opened: Opened, house: Inhabited, reference: Any, expected: str
) -> None:
    """The mask editor names the picture as the page knows it."""
    async with opened() as browser:
        fields = {"original_ref": json.dumps(reference), "subfolder": "clipspace", "type": "input"}
        told = await upload(browser, "mask.png", "mask of ", "/upload/mask", **fields)

    masked = house.base / "input" / told["subfolder"] / told["name"]
    assert masked.read_text(encoding="utf-8") == f"mask of {expected}"


@pytest.mark.parametrize(
    ("reference", "status"),
    [
        (json.dumps(THEIRS), 404),
        (json.dumps({**THEIRS, "filename": "not there.png"}), 404),
        (json.dumps({"filename": f"genonaut/{BOB}/bob.png", "type": "input"}), 404),
        (json.dumps({"filename": f"../{BOB}/bob.png", "subfolder": f"genonaut/{ADA}", "type": "input"}), 404),
        (json.dumps({"filename": "old.png"}), 404),
        (json.dumps({"filename": "ComfyUI_temp_abcde_00001_.png [temp]"}), 404),
        (json.dumps({"filename": "secret.json", "subfolder": "../user/default"}), 404),
        (json.dumps({"filename": "/etc/passwd"}), 404),
        (json.dumps({"filename": "x.png [temp] [input]"}), 404),
        ("not json", 400),
        ("[]", 400),
        ("{}", 400),
        ('"text"', 400),
    ],
)
async def test_a_mask_is_put_onto_nobody_elses_picture(
    opened: Opened, house: Inhabited, reference: str, status: int
) -> None:
    """It would show what is in it."""
    before = sorted(house.base.rglob("*"))
    async with opened() as browser:
        told = await upload(browser, "mask.png", "mask", "/upload/mask", original_ref=reference, type="input")

    assert told["status"] == status
    assert sorted(house.base.rglob("*")) == before


async def test_a_large_description_is_taken_apart_once(opened: Opened, house: Inhabited) -> None:
    """Some MB for every page that is opened: what is the same for everybody is written once."""
    description = house.description()
    inputs = {f"input{number}": ["FLOAT", {"default": 1.0, "tooltip": "x" * 60}] for number in range(12)}
    description.update({f"Node{number}": {"input": {"required": inputs}} for number in range(1000)})
    house.description = lambda: description  # type: ignore[method-assign] # a ComfyUI with many packs
    spent: list[float] = []
    async with opened() as browser:
        for _ in range(4):
            before = time.process_time()
            await (await browser.get("/object_info")).read()
            spent.append(time.process_time() - before)

    assert min(spent[1:]) < spent[0]
