"""
Thumbhash: a picture in about 25 bytes, to be shown while the real one loads (https://evanw.github.io/thumbhash/).

Brightness and two colour differences are each made into a few cosine waves; the strength of a wave takes four bits.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

Channel = npt.NDArray[np.float64]

LONGEST_SIDE_PX = 100  # the format's own bound; more detail than this does not reach the hash


def thumbhash(image: Image.Image) -> bytes:
    """Hash an image of any size and mode."""
    small = image.convert("RGBA")
    small.thumbnail((LONGEST_SIDE_PX, LONGEST_SIDE_PX))
    width, height = small.size
    pixels = np.asarray(small, dtype=np.float64) / 255
    alpha = pixels[..., 3]
    has_alpha = bool(alpha.min() < 1)
    red, green, blue = (over_its_average(pixels[..., channel], alpha) for channel in range(3))

    most_waves = 5 if has_alpha else 7  # alpha takes its place from brightness
    longest = max(width, height)
    waves_x = max(1, round_half_up(most_waves * width / longest))
    waves_y = max(1, round_half_up(most_waves * height / longest))
    light = Waves((red + green + blue) / 3, max(3, waves_x), max(3, waves_y))
    yellow_blue = Waves((red + green) / 2 - blue, 3, 3)
    red_green = Waves(red - green, 3, 3)

    is_landscape = width > height
    head = round_half_up(63 * light.average)
    head |= round_half_up(31.5 + 31.5 * yellow_blue.average) << 6
    head |= round_half_up(31.5 + 31.5 * red_green.average) << 12
    head |= round_half_up(31 * light.scale) << 18 | has_alpha << 23
    shape = waves_y if is_landscape else waves_x
    shape |= round_half_up(63 * yellow_blue.scale) << 3 | round_half_up(63 * red_green.scale) << 9 | is_landscape << 15
    first = head.to_bytes(3, "little") + shape.to_bytes(2, "little")
    strengths = [*light.strengths, *yellow_blue.strengths, *red_green.strengths]
    if has_alpha:
        opacity = Waves(alpha, 5, 5)
        first += bytes([round_half_up(15 * opacity.average) | round_half_up(15 * opacity.scale) << 4])
        strengths += opacity.strengths
    return first + pack_nibbles(strengths)


class Waves:
    """The cosine waves of one channel: its average, the strongest wave, and each wave's strength in 0..15."""

    def __init__(self, channel: Channel, waves_x: int, waves_y: int) -> None:
        height, width = channel.shape
        across = cosines(width, waves_x)
        down = cosines(height, waves_y)
        all_strengths = down @ channel @ across.T / (width * height)
        # The lower triangle of frequencies, row by row, without the one that does not wave.
        kept = [
            float(all_strengths[y, x])
            for y in range(waves_y)
            for x in range(0 if y else 1, waves_x)
            if x * waves_y < waves_x * (waves_y - y)
        ]
        self.average = float(all_strengths[0, 0])
        self.scale = max((abs(strength) for strength in kept), default=0.0)
        self.strengths = [round_half_up(15 * self._in_unit(strength)) for strength in kept]

    def _in_unit(self, strength: float) -> float:
        return 0.5 + 0.5 * strength / self.scale if self.scale else 0.0


def cosines(size: int, waves: int) -> Channel:
    """Make the first waves over a side, one a row."""
    angles: Channel = math.pi / size * np.outer(np.arange(waves), np.arange(size) + 0.5)
    return np.cos(angles)


def over_its_average(channel: Channel, alpha: Channel) -> Channel:
    """Lay a channel over its average colour, so that what is transparent adds no edges."""
    opaque = alpha.sum()
    average = (channel * alpha).sum() / opaque if opaque else 0.0
    return average * (1 - alpha) + channel * alpha


def pack_nibbles(values: list[int]) -> bytes:
    padded = [*values, 0] if len(values) % 2 else values
    return bytes(low | high << 4 for low, high in zip(padded[::2], padded[1::2], strict=True))


def round_half_up(value: float) -> int:
    return math.floor(value + 0.5)
