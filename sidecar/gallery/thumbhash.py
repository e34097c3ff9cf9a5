"""
ThumbHash: about 25 bytes that a browser draws as a blurred picture until the real one is there.

The format is Evan Wallace's (https://evanw.github.io/thumbhash/): the first terms of a cosine transform of lightness,
of two colour axes, and of opacity where there is any.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

LONGEST_SIDE_PX = 32  # the highest term has 7 half waves; more pixels say nothing more

Plane = Sequence[float]


class Terms(NamedTuple):
    """One channel: its mean, the terms after it in 0..1, and the factor that they were divided by."""

    mean: float
    rest: list[float]
    scale: float


def make_thumbhash(picture: Image.Image) -> str:
    """The hash of a picture of any size and mode RGB or RGBA, as base64 text."""
    small = picture.convert("RGBA")
    small.thumbnail((LONGEST_SIDE_PX, LONGEST_SIDE_PX), Image.Resampling.BOX, reducing_gap=None)
    return base64.b64encode(encode(small.width, small.height, small.tobytes())).decode("ascii")


def encode(width: int, height: int, rgba: bytes) -> bytes:
    opacity = [value / 255 for value in rgba[3::4]]
    covered = sum(opacity)
    translucent = covered < width * height
    lightness, yellow_blue, red_green = to_axes(rgba, opacity, covered)

    longest = max(width, height)
    terms_at_most = 5 if translucent else 7  # opacity takes the room of some of the lightness
    across = max(1, round_half_up(terms_at_most * width / longest))
    down = max(1, round_half_up(terms_at_most * height / longest))

    transform = Transform(width, height)
    light = transform.terms(lightness, max(3, across), max(3, down))
    yellow = transform.terms(yellow_blue, 3, 3)
    red = transform.terms(red_green, 3, 3)
    landscape = width > height

    first = (
        round_half_up(63 * light.mean)
        | round_half_up(31.5 + 31.5 * yellow.mean) << 6
        | round_half_up(31.5 + 31.5 * red.mean) << 12
        | round_half_up(31 * light.scale) << 18
        | translucent << 23
    )
    second = (
        (down if landscape else across)
        | round_half_up(63 * yellow.scale) << 3
        | round_half_up(63 * red.scale) << 9
        | landscape << 15
    )
    head = first.to_bytes(3, "little") + second.to_bytes(2, "little")
    rest = [*light.rest, *yellow.rest, *red.rest]
    if translucent:
        cover = transform.terms(opacity, 5, 5)
        head += bytes([round_half_up(15 * cover.mean) | round_half_up(15 * cover.scale) << 4])
        rest += cover.rest
    return head + pack_nibbles(rest)


def to_axes(rgba: bytes, opacity: Plane, covered: float) -> tuple[Plane, Plane, Plane]:
    """Lightness, yellow-blue and red-green of each pixel, laid over the picture's own mean colour."""
    channels = [[value / 255 for value in rgba[channel::4]] for channel in range(3)]
    laid: list[list[float]] = []
    for values in channels:
        mean = sum(map(float.__mul__, values, opacity)) / covered if covered else 0.0
        laid.append([mean * (1 - cover) + value * cover for value, cover in zip(values, opacity, strict=True)])
    reds, greens, blues = laid
    pixels = list(zip(reds, greens, blues, strict=True))
    return (
        [(red + green + blue) / 3 for red, green, blue in pixels],
        [(red + green) / 2 - blue for red, green, blue in pixels],
        [red - green for red, green, _blue in pixels],
    )


class Transform:
    """The cosine transform of planes of one size: first along each row, then down the columns."""

    def __init__(self, width: int, height: int) -> None:
        self._width, self._height = width, height
        self._across = [waves(width, index) for index in range(7)]
        self._down = [waves(height, index) for index in range(7)]

    def terms(self, plane: Plane, across: int, down: int) -> Terms:
        """The terms of a triangle: the fewer half waves down, the more across."""
        width = self._width
        rows = [plane[start : start + width] for start in range(0, width * self._height, width)]
        by_row = [[dot(row, wave) for row in rows] for wave in self._across[:across]]
        values = [
            dot(by_row[x], self._down[y]) / (width * self._height)
            for y in range(down)
            for x in range(across)
            if x * down < across * (down - y)
        ]
        mean, rest = values[0], values[1:]
        scale = max(map(abs, rest))
        return Terms(mean, [0.5 + 0.5 / scale * value for value in rest] if scale else [0.0] * len(rest), scale)


def waves(length: int, index: int) -> list[float]:
    return [math.cos(math.pi / length * index * (place + 0.5)) for place in range(length)]


def dot(left: Plane, right: Plane) -> float:
    return sum(map(float.__mul__, left, right))


def pack_nibbles(values: Sequence[float]) -> bytes:
    nibbles = [round_half_up(15 * value) for value in values]
    if len(nibbles) % 2:
        nibbles.append(0)
    return bytes(low | high << 4 for low, high in zip(nibbles[::2], nibbles[1::2], strict=True))


def round_half_up(value: float) -> int:
    """As JavaScript's Math.round, which the format was written with."""
    return math.floor(value + 0.5)
