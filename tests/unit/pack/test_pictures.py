"""Thumbnails, thumbhash, and files that are whole or not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from comfy_nodes.image_tensors import make_thumbnails, to_image, whole_file, write_png
from comfy_nodes.thumbhash import thumbhash
from sidecar.gallery.thumbhash import encode


class Tensor:
    """What is used of a torch tensor."""

    def __init__(self, values: Any) -> None:
        self._values = np.asarray(values, dtype=np.float32)

    def cpu(self) -> Any:
        return self._values


@pytest.mark.parametrize("size", [(1600, 1200), (1200, 1600), (3000, 10), (1, 1), (256, 256), (1025, 1024)])
def test_thumbnails_keep_the_shape_and_are_never_larger(size: tuple[int, int]) -> None:
    """Each longest side is the one of its size, or the image's own where that is smaller; no side is ever 0."""
    thumbnails = make_thumbnails(Image.new("RGB", size))

    assert list(thumbnails) == ["large", "medium", "small"]
    for name, most in {"large": 1024, "medium": 512, "small": 256}.items():
        thumbnail = thumbnails[name]
        assert max(thumbnail.size) == min(most, max(size))
        assert min(thumbnail.size) >= 1
        if min(size) > 100:
            assert thumbnail.width / thumbnail.height == pytest.approx(size[0] / size[1], rel=0.01)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_tensors_of_one_three_and_four_channels_become_pictures(channels: int, mode: str) -> None:
    """Values outside 0..1 are cut off; what is not a number is black."""
    values = np.full((2, 3, channels), 0.5)
    values[0, 0], values[0, 1], values[0, 2] = 2.0, -1.0, np.nan
    image = to_image(Tensor(values))

    assert (image.mode, image.size) == (mode, (3, 2))
    assert np.asarray(image).reshape(2, 3, -1)[0, :, 0].tolist() == [255, 0, 0]


def test_a_png_carries_its_texts_as_json(tmp_path: Path) -> None:
    """Also words that Latin-1 cannot say, and values that JSON cannot."""
    file = tmp_path / "image.png"
    size = write_png(Image.new("RGB", (4, 4)), file, {"prompt": {"text": "Ελλάδα 🏛", "nan": float("nan")}})

    assert size == file.stat().st_size
    with Image.open(file) as image:
        assert json.loads(image.text["prompt"]) == {"text": "Ελλάδα 🏛", "nan": None}


def test_a_file_that_could_not_be_finished_is_not_there(tmp_path: Path) -> None:
    """Neither under its name nor under another one."""
    file = tmp_path / "image.png"

    def write_half() -> None:
        with whole_file(file) as part:
            part.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()

    assert list(tmp_path.iterdir()) == []


def average_of(hashed: bytes) -> tuple[float, float, float]:
    """Read the average colour back, as the format's description says."""
    head = int.from_bytes(hashed[:3], "little")
    light, yellow_blue, red_green = (head & 63) / 63, (head >> 6 & 63) / 31.5 - 1, (head >> 12 & 63) / 31.5 - 1
    blue = light - 2 / 3 * yellow_blue
    red = (3 * light - blue + red_green) / 2
    return red, red - red_green, blue


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (90, 140, 200)])
def test_a_thumbhash_gives_its_average_colour_back(colour: tuple[int, int, int]) -> None:
    """One picture of one colour has no waves, and the colour can be read from the first three bytes."""
    hashed = thumbhash(Image.new("RGB", (80, 60), colour))

    assert [round(255 * channel) for channel in average_of(hashed)] == pytest.approx(colour, abs=10)


@pytest.mark.parametrize(
    ("size", "waves", "is_landscape"),
    [((700, 100), 1, True), ((100, 700), 1, False), ((140, 100), 5, True), ((9, 9), 7, False)],
)
def test_a_thumbhash_gives_its_shape_back(size: tuple[int, int], waves: int, is_landscape: bool) -> None:
    """Which side is longer, and how many waves the shorter one has of seven."""
    shape = int.from_bytes(thumbhash(Image.new("RGB", size, (1, 2, 3)))[3:5], "little")

    assert (shape & 7, bool(shape >> 15)) == (waves, is_landscape)


def test_what_is_transparent_is_told_in_the_thumbhash() -> None:
    """One bit, and one byte with how opaque it is on average."""
    half = Image.new("RGBA", (40, 40), (200, 100, 50, 255))
    half.paste((0, 0, 0, 0), (0, 0, 20, 40))
    hashed, opaque = thumbhash(half), thumbhash(Image.new("RGB", (40, 40)))

    assert (hashed[2] >> 7, opaque[2] >> 7) == (1, 0)
    assert hashed[5] & 15 == 8
    assert average_of(hashed) == pytest.approx((200 / 255, 100 / 255, 50 / 255), abs=0.05)


@pytest.mark.parametrize("size", [(60, 100, 3), (100, 40, 4), (1, 1, 3), (33, 33, 4), (7, 99, 3)])
def test_the_pack_and_the_sidecar_hash_alike(size: tuple[int, int, int]) -> None:
    """They share no code, and each was written from the format's description: the same pixels give the same bytes."""
    height, width, channels = size
    coarse = np.random.default_rng(1).integers(0, 256, (height // 8 + 1, width // 8 + 1, channels), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)

    assert thumbhash(image) == encode(width, height, image.convert("RGBA").tobytes())
