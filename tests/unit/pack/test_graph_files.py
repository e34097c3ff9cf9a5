"""Which files a workflow may name, and how it runs for its owner."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from fakes.comfyui_files import ADA, BOB, Inhabited

from comfy_nodes.graph_files import OWNER_INPUT, ForeignFiles, GraphFiles
from comfy_nodes.ownership import OwnedFiles, SeenOutputs
from comfy_nodes.places import Folders, Name

posix_only = pytest.mark.skipif(os.name == "nt", reason="paths as POSIX has them")

THEIRS = f"genonaut/{BOB}/bob.png"
MINE = f"genonaut/{ADA}/ada.png"


class LoadImage:
    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        return {"required": {"image": (["shared.png"], {"image_upload": True})}}


class Load3D:
    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        return {"required": {"image": ("LOAD_3D", {}), "model_file": (["x.glb"], {"file_upload": True})}}


class Encode:
    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        return {
            "required": {
                "text": ("STRING", {"multiline": True}),
                "mode": (["euler", "../up", "/abs", "a [output]"], {}),
            },
            "optional": {"lines": ("STRING", {})},
        }


class TakesEverything(list[Any]):
    """As some packs have it, for values that are found in the browser."""

    def __contains__(self, value: object) -> bool:
        return True


class Offer:
    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        return {"required": {"anything": (TakesEverything(), {}), "listed": (["/abs"], {})}}


class Save:
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        return {"required": {"filename_prefix": ("STRING", {})}}


class Broken:
    OUTPUT_NODE = False
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        raise OSError("its folder is gone")


NODES = {node.__name__: node for node in (LoadImage, Load3D, Encode, Offer, Save, Broken)}


@pytest.fixture
def house(tmp_path: Path) -> Inhabited:
    return Inhabited(tmp_path)


@pytest.fixture
def recorded() -> dict[str, str]:
    """File name -> owner, as the sidecar knows it."""
    return {}


@pytest.fixture
def files(house: Inhabited, recorded: dict[str, str]) -> OwnedFiles:
    async def ask(kind: str, subfolder: str, filename: str) -> str | None:
        return recorded.get(filename)

    return OwnedFiles(Folders(house.folder_paths), SeenOutputs(), ask)


@pytest.fixture
def graphs(files: OwnedFiles) -> GraphFiles:
    return GraphFiles(files, NODES)


def graph_of(node: str, **inputs: Any) -> dict[str, Any]:
    return {"5": {"class_type": node, "inputs": inputs}}


async def inputs_for_ada(graphs: GraphFiles, node: str, **inputs: Any) -> dict[str, Any]:
    ready = await graphs.prepare(graph_of(node, **inputs), ADA)
    prepared: dict[str, Any] = ready["5"]["inputs"]
    return prepared


REFUSED_FILES = [
    THEIRS,
    f"{THEIRS} [input]",
    f"{THEIRS}[input]",
    f"genonaut/{BOB}/not there.png",
    f"./genonaut//{BOB}/bob.png",
    f"folder/../genonaut/{BOB}/bob.png",
    f"genonaut/{ADA}/../{BOB}/bob.png",
    f"GENONAUT/{BOB}/bob.png",
    f"genonaut\\{BOB}\\bob.png",
    f"genonaut\\{ADA}\\..\\{BOB}\\bob.png",
    f"genonaut/{BOB.upper()}/bob.png",
    f"genonaut/{BOB}/2026-01-01/bob_00001_.png [output]",
    f"genonaut/{BOB}/webcam/1.png [temp]",
    f"../output/genonaut/{BOB}/2026-01-01/bob_00001_.png",
    f"wherever/that/is/genonaut/{ADA}/../{BOB}/bob.png",
    f"../input/genonaut/{ADA}/../{BOB}/bob.png",
    "old.png [output]",
    "not there.png [output]",
    "ComfyUI_temp_abcde_00001_.png [temp]",
    "ComfyUI_temp_abcde_00002_.png [temp]",
    "ComfyUI_temp_abcde_00001_.png",
    "x.png [temp] [output]",
    "shared.png [input] [temp]",
    "a/../" * 2000 + THEIRS,
    "a/../" * 2000 + "../user/default/secret.json",
    "../output/old.png",
    "../user/default/secret.json",
    "../../nowhere/at/all.png",
    "/etc/passwd",
    "~/.ssh/id_rsa",
    "file:///etc/passwd",
    "genonaut",
    "./genonaut/",
]


@posix_only
@pytest.mark.parametrize("name", REFUSED_FILES)
async def test_a_node_is_not_given_a_file_that_is_not_its_owners(graphs: GraphFiles, name: str) -> None:
    """Somebody else's, nobody's, or outside of ComfyUI's folders: in the same words as one that is not there."""
    with pytest.raises(ForeignFiles) as refused:
        await graphs.prepare(graph_of("LoadImage", image=name), ADA)

    assert refused.value.node_errors == {
        "5": {
            "errors": [
                {
                    "type": "custom_validation_failed",
                    "message": "There is no such file among yours or the shared ones.",
                    "details": f"image - {name[:200]}",
                    "extra_info": {"input_name": "image"},
                }
            ],
            "dependent_outputs": [],
            "class_type": "LoadImage",
        }
    }


@pytest.mark.parametrize(
    "value",
    [
        [THEIRS],
        {"a": [1, {"b": THEIRS}]},
        [[THEIRS, 1, 2]],
        {"__value__": [THEIRS]},
        {"__value__": [THEIRS, 0]},
        [[THEIRS, 0]],
        {"a": [THEIRS, 0.5]},
        {"": {"": {"": [[[THEIRS]]]}}},
    ],
)
async def test_a_file_is_found_however_deep_it_lies(graphs: GraphFiles, value: Any) -> None:
    """Widgets of other packs hand over lists and objects; only the whole of an input is a link."""
    with pytest.raises(ForeignFiles):
        await graphs.prepare(graph_of("Load3D", image=value), ADA)


@posix_only
@pytest.mark.parametrize(
    "text",
    [
        THEIRS,
        f"output/genonaut/{BOB}/2026-01-01",
        f"a line\n/comfyui/output/genonaut/{BOB}/x.png",
        "old.png",
        "old.png [output]",
        "old folder/of cats",
        "ComfyUI_temp_abcde_00001_.png",
        "../user/default/secret.json",
        "/etc/passwd",
        "/etc",
        "/etc/cron.d/mine",
        "~/.bashrc.of.nobody",
        "~nobody.is.called.so/x",
        "/etc/nothing is there/nor/here",
        "../../../nothing/is/there",
        "file:///etc/passwd",
    ],
)
async def test_a_text_that_leads_to_a_file_is_refused_even_where_anything_may_be_written(
    graphs: GraphFiles, house: Inhabited, text: str
) -> None:
    """
    Only the node knows whether it takes a text for a path. What lies elsewhere on the computer is not looked for: so
    nobody finds out by trying whether it is there.
    """
    house.write("output/old folder/of cats/1.png")
    with pytest.raises(ForeignFiles):
        await graphs.prepare(graph_of("Encode", text=text), ADA)


@pytest.mark.parametrize(
    "text",
    [
        "a cat, and/or a dog",
        "/imagine a cat",
        "a/../b",
        "w/o a hat, 16:9, .. and so on...",
        "//",
        "/",
        "..",
        "./",
        ",",
        "genonaut",
        "genonaut/image",
        "Answer: [input] -> [output]",
        "x.png [temp]",
        "x [temp] [output]",
        "null\0byte",
        "C:\\nowhere",
        "~ approximately",
        "https://example.org/a.png",
        "shared.png",
        "cats",
        "model",
        "ü/ä\\ö",
        "a/" * 5000,
        "",
    ],
)
async def test_a_text_that_only_looks_like_a_path_is_left_alone(
    graphs: GraphFiles, house: Inhabited, text: str
) -> None:
    """Prompts hold slashes, dots and brackets; and a word may be the name of a folder."""
    house.write("output/cats/1.png")
    assert await inputs_for_ada(graphs, "Encode", text=text, lines=text) == {"text": text, "lines": text}


@pytest.mark.parametrize("value", ["euler", "../up", "/abs", "a [output]"])
async def test_what_comfyui_itself_offers_may_be_chosen(graphs: GraphFiles, value: str) -> None:
    """Some packs have paths in their lists; a list that takes everything offers nothing."""
    assert await inputs_for_ada(graphs, "Encode", mode=value) == {"mode": value}
    for name in ("anything", "listed"):
        with pytest.raises(ForeignFiles):
            await graphs.prepare(graph_of("Offer", **{name: "/etc/hosts"}), ADA)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (MINE, MINE),
        (f"{MINE} [input]", f"{MINE} [input]"),
        (f"genonaut/{ADA}/2026-01-01/ada_00001_.png [output]", f"genonaut/{ADA}/2026-01-01/ada_00001_.png [output]"),
        ("shared.png", "shared.png"),
        ("folder/shared too.png", "folder/shared too.png"),
        ("not there.png", "not there.png"),
        # As ComfyUI's page names an upload, whatever it was answered
        ("ada.png", MINE),
        ("ada.png [input]", f"{MINE} [input]"),
        ("pasted/image.png", f"genonaut/{ADA}/pasted/image.png"),
        ("webcam/1.png [temp]", f"genonaut/{ADA}/webcam/1.png [temp]"),
    ],
)
async def test_ones_own_and_shared_files_are_named_in_full(graphs: GraphFiles, name: str, expected: str) -> None:
    """Two people's files of one name are two files to ComfyUI's cache as well."""
    assert await inputs_for_ada(graphs, "LoadImage", image=name) == {"image": expected}


async def test_nested_files_of_ones_own_are_named_in_full(graphs: GraphFiles) -> None:
    """The 3D loader hands over several at once."""
    given = {"image": {"image": "webcam/1.png [temp]", "camera": {"fov": 35}}, "model_file": "x.glb"}

    assert await inputs_for_ada(graphs, "Load3D", **given) == {
        "image": {"image": f"genonaut/{ADA}/webcam/1.png [temp]", "camera": {"fov": 35}},
        "model_file": "x.glb",
    }


async def test_a_word_is_no_file_of_ones_own(graphs: GraphFiles, house: Inhabited) -> None:
    """Somebody's upload may be called like a sampler, or like what they write."""
    for name in ("euler", "cat"):
        house.write(f"input/genonaut/{ADA}/{name}")

    assert await inputs_for_ada(graphs, "Encode", text="cat", mode="euler") == {"text": "cat", "mode": "euler"}


async def test_a_link_stays_a_link(graphs: GraphFiles, house: Inhabited) -> None:
    """Also where somebody has a file of that name."""
    house.write(f"input/genonaut/{ADA}/1")

    assert await inputs_for_ada(graphs, "LoadImage", image=["1", 0]) == {"image": ["1", 0]}


async def test_a_loose_output_of_ones_own_may_be_used(
    graphs: GraphFiles, files: OwnedFiles, recorded: dict[str, str]
) -> None:
    """The preview of a moment ago, or what the sidecar has recorded."""
    preview = "ComfyUI_temp_abcde_00001_.png [temp]"
    place = files.folders.place_of(Name("temp", preview.partition(" ")[0]))
    assert place is not None
    files.seen.remember(place, ADA)
    recorded["old.png"] = ADA

    assert await inputs_for_ada(graphs, "LoadImage", image=preview) == {"image": preview}
    assert await inputs_for_ada(graphs, "LoadImage", image="old.png [output]") == {"image": "old.png [output]"}
    with pytest.raises(ForeignFiles):
        await graphs.prepare(graph_of("LoadImage", image=preview), BOB)


async def test_output_nodes_carry_their_owner(graphs: GraphFiles) -> None:
    """So that ComfyUI's cache never hands one person what was made for another; what leads to it stays shared."""
    workflow: dict[str, Any] = {
        "1": {"class_type": "Encode", "inputs": {"text": "a cat"}},
        "2": {"class_type": "Save", "inputs": {"filename_prefix": "x", OWNER_INPUT: BOB, "images": ["1", 0]}},
        "3": {"class_type": "Broken", "inputs": {}},
        "4": {"class_type": "Unknown", "inputs": {}},
    }

    ready = await graphs.prepare(workflow, ADA)
    assert [node["inputs"].get(OWNER_INPUT) for node in ready.values()] == [None, ADA, ADA, None]
    assert workflow["2"]["inputs"][OWNER_INPUT] == BOB  # what was asked for is recorded as it was asked for
    looked_at = await graphs.prepare(workflow, ADA, is_under_review=True)
    assert looked_at["2"]["inputs"][OWNER_INPUT] not in {ADA, BOB}  # it is saved elsewhere


async def test_sets_for_training_under_review_lie_with_the_others_under_review(graphs: GraphFiles) -> None:
    """What is read goes on being one's own."""
    folders = []
    for node in ("SaveTrainingDataset", "LoadTrainingDataset"):
        workflow = {"1": {"class_type": node, "inputs": {"folder_name": "cats"}}}
        ready = await graphs.prepare(workflow, ADA, is_under_review=True)
        folders.append(ready["1"]["inputs"]["folder_name"])

    assert folders == [f"genonaut/review/{ADA}/cats", f"genonaut/{ADA}/cats"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cats", f"genonaut/{ADA}/cats"),
        (f"genonaut/{ADA}/cats", f"genonaut/{ADA}/cats"),
        ("cats/../nowhere/dogs", f"genonaut/{ADA}/nowhere/dogs"),
        ("", f"genonaut/{ADA}/"),
        (["1", 0], ["1", 0]),
    ],
)
async def test_sets_for_training_lie_in_ones_own_folder(graphs: GraphFiles, name: Any, expected: Any) -> None:
    """Their nodes ask nobody where to save: two people with one name for theirs would write over each other's."""
    for node in ("SaveImageDataSetToFolder", "SaveTrainingDataset", "LoadTrainingDataset"):
        assert (await inputs_for_ada(graphs, node, folder_name=name))["folder_name"] == expected
    assert (await inputs_for_ada(graphs, "Encode", folder_name=name))["folder_name"] == name


async def test_every_node_at_fault_is_named(graphs: GraphFiles) -> None:
    """ComfyUI's page marks them all at once."""
    workflow = {
        "1": {"class_type": "LoadImage", "inputs": {"image": THEIRS}},
        "2": {"class_type": "Encode", "inputs": {"text": "fine", "lines": THEIRS}},
        "3": {"class_type": "Unknown", "inputs": {"anything": THEIRS}},
        "4": {"inputs": {"anything": THEIRS}},
    }

    with pytest.raises(ForeignFiles) as refused:
        await graphs.prepare(workflow, ADA)
    faults = {
        node_id: node["errors"][0]["extra_info"]["input_name"] for node_id, node in refused.value.node_errors.items()
    }
    assert faults == {"1": "image", "2": "lines", "3": "anything", "4": "anything"}


@posix_only
async def test_links_of_an_administrator_do_not_lead_out(graphs: GraphFiles, house: Inhabited) -> None:
    """A link among the shared files is as good as what it leads to."""
    (house.base / "input" / "to bob").symlink_to(house.base / f"output/genonaut/{BOB}")
    (house.base / "input" / "to users").symlink_to(house.base / "user")

    for name in ("to bob/2026-01-01/bob_00001_.png", "to users/default/secret.json"):
        with pytest.raises(ForeignFiles):
            await graphs.prepare(graph_of("LoadImage", image=name), ADA)


@posix_only
async def test_paths_from_where_comfyui_was_started_are_looked_at(
    graphs: GraphFiles, house: Inhabited, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many packs open whatever path they are given."""
    monkeypatch.chdir(house.base)

    for text in ("user/default/secret.json", "output/old.png", f"./input/genonaut/{BOB}"):
        with pytest.raises(ForeignFiles):
            await graphs.prepare(graph_of("Encode", text=text), ADA)
    assert await inputs_for_ada(graphs, "Encode", text="user") == {"text": "user"}


@posix_only
async def test_folders_that_an_administrator_has_named_are_for_everybody(house: Inhabited, tmp_path: Path) -> None:
    """Fonts and data sets lie elsewhere; what lies beside them, and people's folders among them, do not."""
    house.write("elsewhere/fonts/a.ttf")
    (house.base / "input" / "fonts").symlink_to(house.base / "elsewhere/fonts")

    async def nobody(*_asked: str) -> None:
        return None

    files = OwnedFiles(
        Folders(house.folder_paths, [tmp_path / "elsewhere/fonts", tmp_path / "input"]), SeenOutputs(), nobody
    )
    graphs = GraphFiles(files, NODES)
    font = str(tmp_path / "elsewhere/fonts/a.ttf")

    assert await inputs_for_ada(graphs, "Encode", text=font) == {"text": font}
    assert await inputs_for_ada(graphs, "LoadImage", image="fonts/a.ttf") == {"image": "fonts/a.ttf"}
    for name in (f"{tmp_path}/elsewhere", f"{font}/../../../user/default/secret.json", f"{tmp_path}/input/{THEIRS}"):
        with pytest.raises(ForeignFiles):
            await graphs.prepare(graph_of("Encode", text=name), ADA)
