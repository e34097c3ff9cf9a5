"""
Programs that people drive ComfyUI with, as they are: pointed at ComfyUI's port, with an API token.

`docs/security.md` shows the lines by which each of them is given one.
"""

from __future__ import annotations

import base64
import io
import json
import os
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from acceptance.installation import CHECKOUT
from acceptance.members import Members, Person
from acceptance.workflows import Workflow, quick_picture
from comfy_api_simplified import ComfyApiWrapper
from comfy_api_simplified.exceptions import ComfyApiError
from PIL import Image
from real.node import fetch_client, node_program

SCRIPT = CHECKOUT / "tests" / "acceptance" / "client_of_comfyui.cjs"
TITLE = "Save Image"
WITHIN_S = 120


def picture_of(color: int) -> Workflow:
    workflow = quick_picture()
    workflow["1"]["inputs"]["color"] = color
    for node, title in (("1", "Empty Image"), ("2", TITLE)):  # as ComfyUI exports them
        workflow[node]["_meta"] = {"title": title}
    return workflow


def color_of(content: bytes) -> int:
    red, green, blue = Image.open(io.BytesIO(content)).convert("RGB").getpixel((0, 0))  # type: ignore[misc]
    return int(red) << 16 | int(green) << 8 | int(blue)


@pytest.fixture
def colors() -> dict[str, int]:
    """Whose picture has which, so that nobody can have been given another person's."""
    ada, bob = random.sample(range(2**24), 2)
    return {"ada": ada, "bob": bob}


def test_comfy_api_simplified_serves_two_people_at_once(members: Members, colors: dict[str, int]) -> None:
    """It shows name and token as Basic, on the websocket too. Each gets their own picture, and nobody else's."""
    clients = {name: client_in_python(members, members.people[name]) for name in colors}

    def make(name: str) -> dict[str, bytes]:
        made: dict[str, bytes] = clients[name].queue_and_wait_images(picture_of(colors[name]), TITLE)
        return made

    with ThreadPoolExecutor(len(colors)) as both:
        pictures = dict(zip(colors, both.map(make, colors), strict=True))

    for name, made in pictures.items():
        assert [color_of(content) for content in made.values()] == [colors[name]]
    ((filename, _),) = pictures["ada"].items()
    (subfolder,) = {each.parent.name for each in (members.house.base / "output").rglob(filename)} or {""}
    with pytest.raises(ComfyApiError):
        clients["bob"].get_image(filename, f"genonaut/{members.ada.id}/{subfolder}", "output")


def client_in_python(members: Members, person: Person) -> ComfyApiWrapper:
    return ComfyApiWrapper(members.url, user=person.name, password=person.new_token()["secret"])


def test_comfyui_client_serves_two_people_at_once(members: Members, colors: dict[str, int]) -> None:
    """It shows the token as Bearer; neither hears of the other's prompt, nor finds it in queue or history."""
    with ThreadPoolExecutor(len(colors)) as both:
        told = dict(zip(colors, both.map(lambda name: run_in_node(members, name, colors[name]), colors), strict=True))

    for name, result in told.items():
        assert result["images"] == 1
        assert color_of(base64.b64decode(result["content"])) == colors[name]
        assert result["heard"] == [result["prompt_id"]]
        assert result["prompt_id"] in result["known"]
    ids = {result["prompt_id"] for result in told.values()}
    assert not [result for result in told.values() if (ids - {result["prompt_id"]}) & set(result["known"])]


def run_in_node(members: Members, name: str, color: int) -> dict[str, Any]:
    token = members.people[name].new_token()["secret"]
    host = members.url.removeprefix("http://")
    done = subprocess.run(
        [node_program(), str(SCRIPT), host, token, json.dumps(picture_of(color))],
        env={**os.environ, "NODE_PATH": str(fetch_client())},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=WITHIN_S,
        check=False,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result
