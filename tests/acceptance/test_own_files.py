"""Files in a real ComfyUI that several people use: uploads, outputs, previews, and what its cache remembers."""

from __future__ import annotations

import io
import random
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from acceptance.installation import Json, until
from acceptance.members import Members, Person
from acceptance.workflows import Workflow, quick_picture
from PIL import Image


def one_colour(colour: str) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(content, "PNG")
    return content.getvalue()


def loading(name: str) -> Workflow:
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": name}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "loaded"}},
    }


def colour_of(person: Person, picture: Json) -> Any:
    shown = person.ask("GET", "/view", params=picture)
    assert shown.status_code == httpx.codes.OK
    return Image.open(io.BytesIO(shown.content)).convert("RGB").getpixel((0, 0))


def cached_nodes(person: Person, prompt_id: str) -> list[str]:
    messages = dict(person.ask("GET", f"/history/{prompt_id}").json()[prompt_id]["status"]["messages"])
    return sorted(messages["execution_cached"]["nodes"])


def test_two_people_have_files_of_one_name(members: Members) -> None:
    """Programs upload, overwrite, and load by the name that they gave: each finds their own, in whatever order."""
    for person, colour in ((members.ada, "blue"), (members.bob, "lime")):
        told = person.upload("same.png", one_colour(colour), overwrite="true").json()
        assert told == {"name": "same.png", "subfolder": f"genonaut/{person.id}", "type": "input"}

    for name in ("same.png", "same.png [input]"):
        assert colour_of(members.ada, members.ada.make_picture(loading(name))) == (0, 0, 255)
        assert colour_of(members.bob, members.bob.make_picture(loading(name))) == (0, 255, 0)
    listed = members.bob.ask("GET", "/object_info/LoadImage").json()["LoadImage"]["input"]["required"]["image"][0]
    assert f"genonaut/{members.bob.id}/same.png" in listed
    assert members.ada.id not in str(listed)


def test_the_cache_hands_nobody_what_was_made_for_somebody_else(members: Members) -> None:
    """What leads to an output is made once; the file and the preview are each person's own, and so is the history."""
    workflow: Workflow = {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": random.randrange(2**24)},
        },
        "2": {"class_type": "GenonautSaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "cats/same"}},
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    made = {}
    for person, cached in ((members.ada, []), (members.bob, ["1"]), (members.ada, ["1", "2", "3"])):
        prompt_id = person.submit(workflow)
        outputs = person.wait_until_made(prompt_id)
        made[person.name] = [outputs[node]["images"][0] for node in ("2", "3")]
        if person.name == "bob" or cached == []:
            assert cached_nodes(person, prompt_id) == cached
        kept = until(lambda: kept_images(person, prompt_id), what="The images are in the gallery")  # noqa: B023 - at once
        assert [image["thumbnails"] for image in kept] == [["small", "medium", "large"]] * 2

    for owner, other in ((members.ada, members.bob), (members.bob, members.ada)):
        for picture in made[owner.name]:
            assert picture["subfolder"].replace("\\", "/").startswith(f"genonaut/{owner.id}")
            assert owner.ask("GET", "/view", params=picture).status_code == httpx.codes.OK
            for stranger in (other, members.root, members.gus):
                assert stranger.ask("GET", "/view", params=picture).status_code == httpx.codes.NOT_FOUND


@pytest.fixture
def looked_at(members: Members) -> Iterator[str]:
    """A word that a rule flags."""
    word = f"lookedat{uuid.uuid4().hex[:8]}"
    rule = {"kind": "content", "name": "To be looked at", "definition": {"words": [word]}, "action": "flag"}
    made = members.root.api("POST", "/admin/rules", json=rule)
    assert made.status_code == httpx.codes.CREATED, made.text
    yield word
    members.root.api("DELETE", f"/admin/rules/{made.json()['id']}")


def test_what_is_under_review_is_for_administrators_until_it_is_released(members: Members, looked_at: str) -> None:
    """Pictures and previews. In ComfyUI its owner sees that it has ended; the panel has the pictures at last."""
    workflow = quick_picture()
    workflow["2"]["inputs"]["filename_prefix"] = looked_at
    workflow["3"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    prompt_id = members.ada.submit(workflow)
    told = members.ada.wait_until_made(prompt_id)
    pictures = {"output": f"genonaut/review/{time.strftime('%Y-%m-%d')}", "temp": "genonaut/review"}
    saved = {kind: list((members.house.base / kind / folder).iterdir()) for kind, folder in pictures.items()}
    until(lambda: review_of(members.root, prompt_id)["state"] == "completed", what="It is recorded")

    assert [node["images"] for node in told.values()] == [[], []]
    for kind, folder in pictures.items():
        (file,) = (file for file in saved[kind] if kind == "temp" or file.name.startswith(looked_at))
        shown = {"filename": file.name, "subfolder": folder, "type": kind}
        assert members.ada.ask("GET", "/view", params=shown).status_code == httpx.codes.NOT_FOUND
        assert members.root.ask("GET", "/view", params=shown).status_code == httpx.codes.OK
    assert members.ada.api("GET", f"/generations/{prompt_id}").json()["images"] == []
    decision = members.root.api("POST", f"/admin/reviews/{prompt_id}", json={"decision": "release"})
    assert decision.status_code == httpx.codes.OK
    kept = until(lambda: kept_images(members.ada, prompt_id), what="The images are in the gallery")
    assert [members.ada.api("GET", f"/images/{image['id']}").status_code for image in kept] == [httpx.codes.OK] * 2


def review_of(administrator: Person, generation_id: str) -> Json:
    reviews: list[Json] = administrator.api("GET", "/admin/reviews").json()["items"]
    return next(review for review in reviews if review["generation_id"] == generation_id)


def kept_images(person: Person, generation_id: str) -> list[Json]:
    generation = person.api("GET", f"/generations/{generation_id}").json()
    images: list[Json] = generation["images"]
    return images if generation["state"] == "completed" and all(image["state"] == "kept" for image in images) else []


@pytest.mark.parametrize("spelling", ["{name}", "{name} [input]", "./{name}", "x/../{name}", "../input/{name}"])
def test_nobody_loads_what_is_somebody_elses(members: Members, spelling: str) -> None:
    """Refused at the node, as ComfyUI refuses what is not there; the API's door is another one to the same gate."""
    assert members.ada.upload("private.png", overwrite="true").is_success
    name = spelling.format(name=f"genonaut/{members.ada.id}/private.png")
    before = members.bob.api("GET", "/generations").json()["items"]
    refused = members.bob.ask("POST", "/prompt", json={"prompt": loading(name)})
    through_the_api = members.bob.api("POST", "/generations", json={"workflow": loading(name)})

    assert refused.status_code == httpx.codes.BAD_REQUEST
    assert list(refused.json()["node_errors"]) == ["1"]
    assert refused.json()["node_errors"]["1"]["errors"][0]["extra_info"]["input_name"] == "image"
    ended = until(lambda: failed(members.bob, through_the_api.json()["id"]), what="It is refused there, too")
    assert "LoadImage (node 1): There is no such file" in ended["error"]["message"]
    assert members.bob.api("GET", "/generations").json()["items"][1:] == before[:49]


def failed(person: Person, generation_id: str) -> Json | None:
    generation: Json = person.api("GET", f"/generations/{generation_id}").json()
    return generation if generation["state"] == "failed" else None
