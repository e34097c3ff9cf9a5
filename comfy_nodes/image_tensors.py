"""
From the tensors that nodes hand over to files: the full-size PNG, and what is shown before it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from .files import put_in_place
from .wire import encode_json

THUMBNAIL_SIDES_PX = {"large": 1024, "medium": 512, "small": 256}
"""Longest side of each thumbnail, largest first: each one is made from the one before it."""

PNG_COMPRESSION = 4  # what ComfyUI's own Save Image takes
WEBP_QUALITY = 80
WEBP_EFFORT = 2  # of 6; more takes twice the time for 3 % of the bytes


def to_image(tensor: Any) -> Image.Image:
    """
    Turn one image into a picture.

    Args:
        tensor: ``[height, width, channel]``, float in 0..1, one, three or four channels, on any device.
    """
    # Not a number and infinite would be any colour; black and white are at least the same ones each time.
    values = np.nan_to_num(np.asarray(tensor.cpu()), nan=0.0, posinf=1.0, neginf=0.0)
    pixels = np.clip(values * 255.0, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def write_png(image: Image.Image, file: Path, texts: Mapping[str, Any]) -> int:
    """
    Write a PNG whose text chunks carry the given values as JSON.

    Returns:
        The size of the file in bytes.
    """
    chunks = PngInfo()
    for key, value in texts.items():
        chunks.add_text(key, encode_json(value).decode("utf-8"))
    with whole_file(file) as part:
        image.save(part, format="PNG", pnginfo=chunks, compress_level=PNG_COMPRESSION)
    return file.stat().st_size


def make_thumbnails(image: Image.Image) -> dict[str, Image.Image]:
    """Make every size of thumbnail; none is larger than the image itself."""
    thumbnails = {}
    shown = image if image.mode in {"RGB", "RGBA"} else image.convert("RGB")
    for size, longest_side_px in THUMBNAIL_SIDES_PX.items():
        shown = shrink(shown, longest_side_px)
        thumbnails[size] = shown
    return thumbnails


def shrink(image: Image.Image, longest_side_px: int) -> Image.Image:
    scale = longest_side_px / max(image.size)
    if scale >= 1:
        return image
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def write_webp(image: Image.Image, file: Path) -> None:
    with whole_file(file) as part:
        image.save(part, format="WEBP", quality=WEBP_QUALITY, method=WEBP_EFFORT)


@contextlib.contextmanager
def whole_file(file: Path) -> Iterator[Path]:
    """Give another name to write to; the file gets its own name once it is whole, so nobody ever sees half of it."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        yield part
        put_in_place(part, file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
