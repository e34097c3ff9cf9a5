"""What administrators look at first: its owner sees that it is looked at, and nothing of the picture."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from sidecar.gallery.models import Image

from .conftest import API, House

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def generation_of(house: House, image_id: UUID) -> UUID:
    async with house.database.reading() as session:
        image = await session.get_one(Image, image_id)
        return image.generation_id


async def decide(house: House, generation_id: UUID, decision: str, *, by: str = "root") -> Any:
    return await house.ask_as(by, "POST", f"/admin/reviews/{generation_id}", body={"decision": decision})


async def test_what_is_hidden_its_owner_does_not_see_any_more(house: House) -> None:
    """Neither the picture nor its thumbnails, though both were just shown; administrators do."""
    image_id = await house.new_image("ada")
    generation_id = await generation_of(house, image_id)
    before = await house.ask_as("ada", "GET", f"/images/{image_id}")
    answer = await decide(house, generation_id, "hide")

    picture = await house.ask_as("ada", "GET", f"/images/{image_id}")
    small = await house.ask_as("ada", "GET", f"/images/{image_id}/thumbnail/small")
    shown = await house.ask_as("ada", "GET", f"/generations/{generation_id}")
    looked_at = await house.ask_as("root", "GET", f"/admin/reviews/{generation_id}/images/{image_id}")
    looked_at_small = await house.ask_as(
        "root", "GET", f"/admin/reviews/{generation_id}/images/{image_id}/thumbnail/small"
    )

    assert (before.status, answer.status) == (200, 200)
    for refused in (picture, small):
        assert (refused.status, refused.json["code"]) == (404, "image_under_review")
    assert (shown.json["review"], shown.json["images"]) == ("hidden", [])
    assert (looked_at.status, looked_at_small.status) == (200, 200)


async def test_what_is_released_its_owner_sees(house: House) -> None:
    """And it is no longer among what waits."""
    image_id = await house.new_image("ada")
    generation_id = await generation_of(house, image_id)
    await decide(house, generation_id, "hide")
    hidden = (await house.ask_as("root", "GET", "/admin/reviews?review=hidden")).json["items"]
    await decide(house, generation_id, "release")
    released = (await house.ask_as("root", "GET", "/admin/reviews?review=released")).json["items"]

    assert (await house.ask_as("ada", "GET", f"/images/{image_id}")).status == 200
    assert hidden[0]["generation_id"] == released[0]["generation_id"] == str(generation_id)
    assert hidden[0]["images"] == [str(image_id)]
    assert hidden[0]["user_id"] == str(house.ids["ada"])


async def test_a_decision_is_in_the_audit_once_however_often_it_is_sent(house: House) -> None:
    """With who decided, what, and on what."""
    generation_id = await generation_of(house, await house.new_image("ada"))
    for _ in range(2):
        await decide(house, generation_id, "hide")

    entries = (await house.ask_as("root", "GET", "/admin/audit?action=reviewed")).json["items"]
    about = [entry["details"] for entry in entries if entry["details"]["generation_id"] == str(generation_id)]

    assert [details["decision"] for details in about] == ["hide"]


async def test_what_has_not_ended_is_hidden_before_it_can_be_deleted(house: House) -> None:
    """Its pictures are withheld when they come."""
    generation_id = await house.new_generation("ada")

    assert (await decide(house, generation_id, "delete")).status == 409
    assert (await decide(house, generation_id, "hide")).json["review"] == "hidden"


async def test_nobody_else_decides(house: House) -> None:
    """Its owner least of all."""
    generation_id = await house.new_generation("ada")

    assert (await decide(house, generation_id, "release", by="ada")).status == 403
    assert (await house.browser().ask("POST", f"{API}/admin/reviews/{generation_id}", body={})).status == 401
