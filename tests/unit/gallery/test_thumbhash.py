"""ThumbHash, held against its own description: what is drawn from it looks like the picture."""

from __future__ import annotations

import base64
import math
from typing import Any

import pytest
from PIL import Image

from sidecar.gallery.thumbhash import encode, make_thumbhash


def mean_colour(thumbhash: bytes) -> tuple[int, int, int, int]:
    """The format's own way back from the header to a colour."""
    head = int.from_bytes(thumbhash[:3], "little")
    lightness = (head & 63) / 63
    yellow_blue = ((head >> 6) & 63) / 31.5 - 1
    red_green = ((head >> 12) & 63) / 31.5 - 1
    opacity = (thumbhash[5] & 15) / 15 if head >> 23 else 1.0
    blue = lightness - 2 / 3 * yellow_blue
    red = (3 * lightness - blue + red_green) / 2
    red, green, blue = (round(255 * min(1.0, max(0.0, value))) for value in (red, red - red_green, blue))
    return red, green, blue, round(255 * opacity)


def shape(thumbhash: bytes) -> float:
    """Width to height, as near as the format tells it."""
    landscape, translucent = thumbhash[4] & 0x80, thumbhash[2] & 0x80
    longest, shortest = 5 if translucent else 7, thumbhash[3] & 7
    return longest / shortest if landscape else shortest / longest


def draw_lightness(thumbhash: bytes, side: int) -> list[list[float]]:
    """The opaque picture's lightness at side x side points, from the terms in the hash."""
    landscape = bool(thumbhash[4] & 0x80)
    short = thumbhash[3] & 7
    across, down = max(3, 7 if landscape else short), max(3, short if landscape else 7)
    scale = ((int.from_bytes(thumbhash[:3], "little") >> 18) & 31) / 31
    places = [(x, y) for y in range(down) for x in range(across) if (x or y) and x * down < across * (down - y)]
    nibbles = [value >> shift & 15 for value in thumbhash[5:] for shift in (0, 4)]
    terms = {place: (nibble / 7.5 - 1) * scale for place, nibble in zip(places, nibbles, strict=False)}
    mean = (thumbhash[0] & 63) / 63

    def at(column: int, row: int) -> float:
        return mean + sum(
            value
            * (2 if x else 1)
            * (2 if y else 1)
            * math.cos(math.pi * x * (column + 0.5) / side)
            * math.cos(math.pi * y * (row + 0.5) / side)
            for (x, y), value in terms.items()
        )

    return [[at(column, row) for column in range(side)] for row in range(side)]


def hash_of(picture: Image.Image) -> bytes:
    return base64.b64decode(make_thumbhash(picture), validate=True)


@pytest.mark.parametrize(
    "colour", [(255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 200, 40), (10, 20, 230), (128, 128, 128)]
)
def test_the_mean_colour_comes_back(colour: tuple[int, int, int]) -> None:
    """
    6 bits a channel: near enough for a blurred placeholder.
    """
    found = mean_colour(hash_of(Image.new("RGB", (120, 80), colour)))

    assert all(abs(left - right) <= 12 for left, right in zip(found[:3], colour, strict=True))
    assert found[3] == 255


def test_white_is_written_as_the_format_says() -> None:
    """
    Worked out by hand: lightness 63, both colours in their middle (32), no differences, 7 terms up and across.
    """
    assert encode(4, 4, b"\xff" * 64)[:5] == (63 | 32 << 6 | 32 << 12).to_bytes(3, "little") + (7).to_bytes(2, "little")


@pytest.mark.parametrize(
    ("size", "meant"), [((700, 100), 7), ((100, 700), 1 / 7), ((300, 300), 1), ((1024, 768), 7 / 5)]
)
def test_the_shape_comes_back(size: tuple[int, int], meant: float) -> None:
    """
    The panel lays out the page before any picture has come.
    """
    assert shape(hash_of(Image.new("RGB", size, "teal"))) == pytest.approx(meant, rel=0.01)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (2, 3), (4096, 4096)])
def test_any_size_has_a_hash(size: tuple[int, int]) -> None:
    """
    Between 5 bytes and 25.
    """
    assert 5 < len(hash_of(Image.new("RGB", size, "teal"))) <= 25


def test_what_is_bright_on_the_left_is_drawn_bright_on_the_left() -> None:
    """
    The terms are in the order and of the sign that every reader of the format expects.
    """
    picture = Image.new("L", (320, 320), 30)
    picture.paste(230, (0, 0, 160, 320))
    drawn = draw_lightness(hash_of(picture.convert("RGB")), 8)

    assert all(row[1] - row[6] > 0.4 for row in drawn)


def test_what_is_bright_above_is_drawn_bright_above() -> None:
    """
    Rows and columns are not exchanged.
    """
    picture = Image.new("L", (320, 200), 30)
    picture.paste(230, (0, 0, 320, 100))
    drawn = draw_lightness(hash_of(picture.convert("RGB")), 8)

    assert all(above - below > 0.4 for above, below in zip(drawn[1], drawn[6], strict=True))


def test_opacity_is_told() -> None:
    """
    A half-transparent picture says so, and an invisible one has a hash too.
    """
    assert mean_colour(hash_of(Image.new("RGBA", (60, 60), (200, 100, 50, 128))))[3] == pytest.approx(128, abs=12)
    assert mean_colour(hash_of(Image.new("RGBA", (60, 60), (0, 0, 0, 0))))[3] == 0


@pytest.mark.parametrize("size", [(256, 256), (17, 256), (256, 99)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_noise_never_overflows_a_field(size: tuple[int, int], mode: Any) -> None:
    """
    The loudest picture there is still fits into its bits.
    """
    channels = [Image.effect_noise(size, 200) for _ in mode]
    thumbhash = hash_of(Image.merge(mode, channels))

    assert len(thumbhash) <= 25
