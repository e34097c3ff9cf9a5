"""How long something takes is known from what the real ComfyUI has made before."""

from __future__ import annotations

from functools import partial
from typing import Any

from acceptance.installation import Installation, Json, until
from real.models import CHECKPOINT

FAR_OFF = 20  # a machine that is at work on other things as well
SIZES = ((64, 2), (128, 2), (64, 8))


def test_what_was_made_tells_how_long_the_next_one_takes(genonaut: Installation) -> None:
    """With a range, from what that is known, and when it would begin; how right it was is told afterwards."""
    for number, (side, steps) in enumerate(SIZES):
        post(genonaut, "/generations", picture(number, side=side, steps=steps))
    made = [one for one in genonaut.wait_until_nothing_is_open() if one["checkpoint"] == CHECKPOINT]
    asked = picture(len(SIZES), side=64, steps=4)
    forecast = until(partial(forecast_by_its_like, genonaut, asked), what="What was learned counts")
    submitted = post(genonaut, "/generations", asked)["id"]
    (took_s,) = (one["gpu_seconds"] for one in genonaut.wait_until_nothing_is_open() if one["id"] == submitted)
    accuracy = genonaut.http.get(f"{genonaut.api}/admin/estimates").json()["items"]

    assert len(made) >= len(SIZES)
    assert forecast["outcome"] == "enters"
    assert 0 < forecast["low_s"] <= forecast["seconds"] <= forecast["high_s"]
    assert forecast["seconds"] / FAR_OFF <= took_s <= forecast["seconds"] * FAR_OFF
    assert forecast["starts_at"]["earliest"] <= forecast["starts_at"]["likely"] <= forecast["ends_at"]["likely"]
    (of_checkpoint,) = (item for item in accuracy if item["checkpoint"] == CHECKPOINT)
    assert of_checkpoint["count"] > len(SIZES)


def forecast_by_its_like(genonaut: Installation, asked: dict[str, Any]) -> Json | None:
    """None while what was known before is still remembered."""
    forecast = post(genonaut, "/generations/estimate", asked)
    return forecast if " generations like this on " in forecast["basis"] else None


def picture(seed: int, *, side: int, steps: int) -> dict[str, Any]:
    size = {"width": side, "height": side, "steps": steps}
    return {"parameters": {"prompt": "a fox", "checkpoint": CHECKPOINT, "seed": seed, **size}}


def post(genonaut: Installation, path: str, body: dict[str, Any]) -> Json:
    answer = genonaut.http.post(f"{genonaut.api}{path}", json=body)
    answer.raise_for_status()
    found: Json = answer.json()
    return found
