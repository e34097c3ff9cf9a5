"""Where outputs go, and what nodes may read, for whoever the running code works."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes.comfyui_files import ADA, BOB, Inhabited

from comfy_nodes.caller import Caller, calling
from comfy_nodes.file_hooks import FileHooks, OutputWatch, WorkingFor, files_in
from comfy_nodes.ownership import OwnedFiles, SeenOutputs, acting_for
from comfy_nodes.places import Folders, Name

bob = Caller(BOB, "bob", "member", frozenset({"read", "submit"}))


class Queue:
    """Knows whose the prompts are, as the pack's queue does."""

    def __init__(self, *under_review: str, **owners: str) -> None:
        self.owners = owners
        self.under_review = under_review
        self.genonaut = SimpleNamespace(started_at=dict.fromkeys(owners, time.time()))

    def whose(self, prompt_id: str) -> str | None:
        return self.owners.get(prompt_id)

    def is_under_review(self, prompt_id: str) -> bool:
        return prompt_id in self.under_review

    def running_for(self) -> list[tuple[str, str]]:
        return list(self.owners.items())


@pytest.fixture
def house(tmp_path: Path) -> Inhabited:
    return Inhabited(tmp_path)


@pytest.fixture
def files(house: Inhabited) -> OwnedFiles:
    async def nobody(*_asked: str) -> None:
        return None

    return OwnedFiles(Folders(house.folder_paths), SeenOutputs(), nobody)


def hooks_for(files: OwnedFiles, owner: str | None, *, is_under_review: bool = False) -> FileHooks:
    return FileHooks(files, lambda: owner, lambda: is_under_review)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("ComfyUI", f"genonaut/{ADA}/{{day}}/ComfyUI"),
        ("cats/%width%/a", f"genonaut/{ADA}/{{day}}/cats/%width%/a"),
        ("a/../b", f"genonaut/{ADA}/{{day}}/b"),
        ("genonaut/image", f"genonaut/{ADA}/{{day}}/image"),
        ("genonaut", f"genonaut/{ADA}/{{day}}/ComfyUI"),
        ("", f"genonaut/{ADA}/{{day}}/ComfyUI"),
        (f"genonaut/{ADA}", f"genonaut/{ADA}/{{day}}/ComfyUI"),
        (f"genonaut/{ADA}/2026-01-01/again", f"genonaut/{ADA}/2026-01-01/again"),
    ],
)
def test_what_is_saved_lands_in_its_owners_folder_of_today(
    files: OwnedFiles, house: Inhabited, prefix: str, expected: str
) -> None:
    """Whatever the prefix is, and wherever it comes from."""
    save = hooks_for(files, ADA).save_in_own_folder(house.folder_paths.get_save_image_path)

    folder, filename, _, subfolder, _ = save(prefix, str(house.base / "output"), 64, 64)
    wanted = expected.format(day=time.strftime("%Y-%m-%d"))
    assert f"{subfolder.replace(os.sep, '/')}/{filename}" == wanted
    assert Path(folder, filename) == house.base / "output" / wanted


def test_a_node_with_a_folder_of_its_own_among_the_outputs_is_no_exception(files: OwnedFiles, house: Inhabited) -> None:
    """Its folder stays part of the way."""
    save = hooks_for(files, ADA).save_in_own_folder(house.folder_paths.get_save_image_path)

    *_, subfolder, _ = save("x", str(house.base / "output" / "grids"))
    assert subfolder.replace(os.sep, "/") == f"genonaut/{ADA}/{time.strftime('%Y-%m-%d')}/grids"


@pytest.mark.parametrize("prefix", [f"genonaut/{BOB}/x", f"a/../genonaut/{BOB}/x", f"genonaut/{BOB}"])
@pytest.mark.parametrize("kind", ["output", "temp", "input"])
def test_nothing_is_saved_in_somebody_elses_folder(files: OwnedFiles, house: Inhabited, prefix: str, kind: str) -> None:
    """Also where the prefix is put together while the workflow runs."""
    save = hooks_for(files, ADA).save_in_own_folder(house.folder_paths.get_save_image_path)

    with pytest.raises(ValueError, match="somebody else"):
        save(prefix, str(house.base / kind))


@pytest.mark.parametrize("prefix", ["../../x", "/x"])
def test_what_leads_out_is_comfyuis_to_refuse(files: OwnedFiles, house: Inhabited, prefix: str) -> None:
    """It does so in its own words."""
    save = hooks_for(files, ADA).save_in_own_folder(house.folder_paths.get_save_image_path)

    with pytest.raises(ValueError, match="outside"):
        save(prefix, str(house.base / "output"))


def test_previews_lie_in_their_owners_folder_too(files: OwnedFiles, house: Inhabited) -> None:
    """Their names can be guessed; ComfyUI empties that folder itself, so there is no day."""
    save = hooks_for(files, ADA).save_in_own_folder(house.folder_paths.get_save_image_path)

    _, filename, _, subfolder, _ = save("ComfyUI_temp_abcde", str(house.base / "temp"))
    assert (filename, subfolder.replace(os.sep, "/")) == ("ComfyUI_temp_abcde", f"genonaut/{ADA}")


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("ComfyUI", "ComfyUI"),
        ("cats/%width%/a", "cats/%width%/a"),
        ("genonaut/image", "image"),
        (f"genonaut/{ADA}/2026-01-01/again", "2026-01-01/again"),
        (f"genonaut/{ADA}", "ComfyUI"),
    ],
)
def test_what_is_under_review_is_saved_where_administrators_look(
    files: OwnedFiles, house: Inhabited, prefix: str, expected: str
) -> None:
    """Previews, too; its owner's own folder is no way around it."""
    save = hooks_for(files, ADA, is_under_review=True).save_in_own_folder(house.folder_paths.get_save_image_path)

    for kind, day in (("output", f"{time.strftime('%Y-%m-%d')}/"), ("temp", "")):
        folder, filename, *_ = save(prefix, str(house.base / kind), 64, 64)
        assert Path(folder, filename) == house.base / kind / "genonaut" / "review" / f"{day}{expected}"


def test_what_works_for_nobody_saves_where_it_always_did(files: OwnedFiles, house: Inhabited) -> None:
    """Where nobody is to be told apart, nothing changes; nor among the inputs, which are there to be shared."""
    own = hooks_for(files, ADA).save_in_own_folder(house.folder_paths.get_save_image_path)
    nobodys = hooks_for(files, None).save_in_own_folder(house.folder_paths.get_save_image_path)

    assert own("cats/x", str(house.base / "input"))[1:4] == ("x", 1, "cats")
    assert nobodys("cats/x", str(house.base / "output"))[1:4] == ("x", 1, "cats")


@pytest.mark.parametrize(
    ("name", "may_be_read"),
    [
        ("shared.png", True),
        (f"genonaut/{ADA}/ada.png", True),
        (f"genonaut/{BOB}/bob.png", False),
        (f"genonaut/{BOB}/2026-01-01/bob_00001_.png [output]", False),
        ("old.png [output]", False),
        ("ComfyUI_temp_abcde_00001_.png [temp]", False),
        ("../user/default/secret.json", False),
        ("/etc/passwd", False),
    ],
)
def test_a_node_reads_only_what_its_owner_may(
    files: OwnedFiles, house: Inhabited, name: str, may_be_read: bool
) -> None:
    """By ComfyUI's own function, also for names that are put together while the workflow runs."""
    hooks = hooks_for(files, ADA)
    find = hooks.find_own(house.folder_paths.get_annotated_filepath)
    exists = hooks.only_own_exist(house.folder_paths.exists_annotated_filepath)

    assert exists(name) is may_be_read
    if may_be_read:
        assert find(name) == house.folder_paths.get_annotated_filepath(name)
    else:
        with pytest.raises(ValueError, match="Invalid file path"):
            find(name)


def test_nothing_is_refused_to_what_works_for_nobody(files: OwnedFiles, house: Inhabited) -> None:
    """The sidecar validates what the gate has looked at already; other packs' own prompts are nobody's."""
    hooks = hooks_for(files, None)
    name = f"genonaut/{BOB}/bob.png"

    assert hooks.only_own_exist(house.folder_paths.exists_annotated_filepath)(name)
    assert hooks.find_own(house.folder_paths.get_annotated_filepath)(name).endswith("bob.png")


def test_a_node_may_look_into_a_folder_of_its_own_choice(files: OwnedFiles, house: Inhabited) -> None:
    """Models lie elsewhere."""
    find = hooks_for(files, ADA).find_own(house.folder_paths.get_annotated_filepath)
    models = str(house.base / "models")

    assert find("x.safetensors", models) == str(house.base / "models" / "x.safetensors")
    with pytest.raises(ValueError, match="Invalid file path"):
        find("../user/default/secret.json", models)


async def test_the_code_works_for_the_prompts_owner_else_for_who_asks() -> None:
    """A prompt that is nobody's, as one of another pack, works for nobody."""
    context: Any = None
    working_for = WorkingFor(Queue(adas=ADA, nobodys=""), lambda: context)

    assert working_for() is None
    with calling(bob):
        assert working_for() == BOB
        context = SimpleNamespace(prompt_id="adas")
        assert working_for() == ADA
        context = SimpleNamespace(prompt_id="being validated")
        assert working_for() == BOB
    context = SimpleNamespace(prompt_id="nobodys")
    assert working_for() is None


async def test_what_runs_may_be_under_review() -> None:
    """Whether something that a person asks for is, their own prompt does not say."""
    context: Any = None
    working_for = WorkingFor(Queue("looked at", **{"looked at": ADA, "not": ADA}), lambda: context)

    with calling(bob):
        assert not working_for.is_under_review()
    for prompt_id, expected in (("looked at", True), ("not", False), ("not known", False)):
        context = SimpleNamespace(prompt_id=prompt_id)
        assert working_for.is_under_review() is expected
    context = None
    in_a_thread = WorkingFor(Queue("looked at", **{"looked at": ADA}), lambda: None).is_under_review
    assert await asyncio.to_thread(in_a_thread)


@pytest.mark.parametrize(("running", "expected"), [({"a": ADA}, ADA), ({"a": ADA, "b": BOB}, None), ({}, None)])
def test_a_nodes_own_thread_works_for_the_one_prompt_that_runs(running: dict[str, str], expected: str | None) -> None:
    """It has forgotten what it works for; ComfyUI runs one prompt at a time."""
    found: list[str | None] = []
    thread = threading.Thread(target=lambda: found.append(WorkingFor(Queue(**running), lambda: None)()))
    thread.start()
    thread.join()

    assert found == [expected]


def owner_seen(files: OwnedFiles, kind: str, path: str) -> str | None:
    place = files.folders.place_of(Name(kind, path))
    assert place is not None
    return files.owner_at_sight(place)


def tell(watch: OutputWatch, prompt_id: str, filename: str, **more: str) -> None:
    watch.executed({"prompt_id": prompt_id, "output": {"images": [{"filename": filename, "type": "temp", **more}]}})


def test_a_preview_belongs_to_whose_prompt_wrote_it(files: OwnedFiles, house: Inhabited) -> None:
    """Its name can be guessed, so nothing but this tells whose it is."""
    watch = OutputWatch(files, Queue(adas=ADA))
    house.write("temp/new.png")

    tell(watch, "adas", "new.png")
    assert owner_seen(files, "temp", "new.png") == ADA


def test_a_node_does_not_make_a_file_its_owners_by_naming_it(files: OwnedFiles, house: Inhabited) -> None:
    """Old ones, which ComfyUI's cache names again as well; those in people's folders; and those that are not there."""
    queue = Queue(bobs=BOB, adas=ADA, nobodys="")
    watch = OutputWatch(files, queue)
    os.utime(house.base / "temp/ComfyUI_temp_abcde_00001_.png", (1, 1))
    house.write("temp/adas.png")
    tell(watch, "adas", "adas.png")
    queue.genonaut.started_at["bobs"] = time.time() + 0.5

    tell(watch, "bobs", "ComfyUI_temp_abcde_00001_.png")
    tell(watch, "bobs", "adas.png")
    tell(watch, "bobs", "not there.png")
    tell(watch, "bobs", "ada_00001_.png", subfolder=f"genonaut/{ADA}/2026-01-01", type="output")
    tell(watch, "bobs", "shared.png", type="input")
    tell(watch, "bobs", "../user/default/secret.json")
    tell(watch, "nobodys", "adas.png")
    tell(watch, "not known", "adas.png")

    assert owner_seen(files, "temp", "ComfyUI_temp_abcde_00001_.png") is None
    assert owner_seen(files, "temp", "adas.png") == ADA
    assert owner_seen(files, "temp", "not there.png") is None
    assert owner_seen(files, "output", f"genonaut/{ADA}/2026-01-01/ada_00001_.png") == ADA


def test_who_writes_a_file_anew_owns_it(files: OwnedFiles, house: Inhabited) -> None:
    """Some nodes save under one name for ever: what was there before is gone."""
    queue = Queue(adas=ADA, bobs=BOB)
    watch = OutputWatch(files, queue)
    for prompt_id in ("adas", "bobs"):
        at = queue.genonaut.started_at[prompt_id] + 1
        os.utime(house.write("temp/latest.png"), (at, at))
        tell(watch, prompt_id, "latest.png")

    assert owner_seen(files, "temp", "latest.png") == BOB


def test_what_is_written_anew_under_review_is_its_owners_no_longer(files: OwnedFiles, house: Inhabited) -> None:
    """The sidecar is asked, and knows that it is withheld."""
    house.write("temp/latest.png")
    tell(OutputWatch(files, Queue(adas=ADA)), "adas", "latest.png")
    before = owner_seen(files, "temp", "latest.png")

    tell(OutputWatch(files, Queue("adas", adas=ADA)), "adas", "latest.png")
    assert (before, owner_seen(files, "temp", "latest.png")) == (ADA, None)


class TakesEverything(list[Any]):
    """As some packs have it, for values that are found in the browser."""

    def __contains__(self, value: object) -> bool:
        return True


def choices_for(files: OwnedFiles, owner: str | None, *spec: Any) -> Any:
    offered = hooks_for(files, owner).offer_own(lambda *_: (spec[0], "required", spec[1] if len(spec) > 1 else {}))
    return offered("class", "input")


def test_ones_own_uploads_may_be_chosen_though_they_are_not_listed(files: OwnedFiles) -> None:
    """Some nodes have ComfyUI validate against the list; it knows only what lies at the top."""
    for spec in ((["shared.png"], {"file_upload": True}), ("COMBO", {"options": ["shared.png"], "video_upload": True})):
        kind, category, more = choices_for(files, ADA, *spec)
        choices = kind if isinstance(kind, list) else more["options"]

        assert (category, choices) == ("required", ["shared.png"])
        assert "shared.png" in choices
        assert f"genonaut/{ADA}/x.glb" in choices
        assert f"genonaut/{BOB}/x.glb" not in choices
        assert f"genonaut/{ADA}/../{BOB}/x.glb" not in choices
        assert "other.png" not in choices
        assert 7 not in choices


def test_nobody_is_told_of_folders_of_others(files: OwnedFiles) -> None:
    """ComfyUI tells the whole list in its errors."""
    listed = [".", "genonaut", f"genonaut/{ADA}", f"genonaut/{BOB}", f"genonaut/{BOB}/pasted", 7]

    assert choices_for(files, ADA, listed)[0] == [".", f"genonaut/{ADA}", 7]
    assert f"genonaut/{ADA}/x.png" not in choices_for(files, ADA, listed)[0]
    assert choices_for(files, None, listed)[0] is listed
    assert choices_for(files, ADA, everything := TakesEverything())[0] is everything
    assert choices_for(files, ADA, "INT", {"max": 7}) == ("INT", "required", {"max": 7})
    assert choices_for(files, ADA, None, None) == (None, "required", None)


def test_what_the_sidecar_hands_over_is_looked_at_for_its_owner() -> None:
    """Nobody asks for it as a person; and ComfyUI validates before it runs."""
    working_for = WorkingFor(Queue(), lambda: SimpleNamespace(prompt_id="being validated"))
    with acting_for(ADA):
        assert working_for() == ADA
        with calling(bob):
            assert working_for() == ADA
    assert working_for() is None


def test_every_file_that_a_node_tells_of_is_found() -> None:
    """Pictures, films, sounds and meshes alike; whatever else a node tells is left out."""
    told = {
        "images": [{"filename": "a.png", "subfolder": "x", "type": "temp"}, {"filename": 7}, "text", None],
        "gifs": [{"filename": "b.mp4"}],
        "text": ["c.png"],
        "animated": (True,),
        "3d": None,
    }

    assert files_in(told) == [Name("temp", "x/a.png"), Name("output", "b.mp4")]
