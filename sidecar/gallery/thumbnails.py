"""Is this an image, what are its facts, and how does it look small?"""

from __future__ import annotations

import errno
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from PIL import Image, ImageOps, UnidentifiedImageError

from sidecar.gallery.thumbhash import make_thumbhash

SIZES_PX = {"small": 256, "medium": 512, "large": 1024}  # the longest side; from the smallest
QUALITY = 80
METHOD = 2  # a third quicker than Pillow's 4 for 4 % more bytes
PIXELS_AT_MOST = 200_000_000  # 600 MB while it is read; a file of a few kilobytes can claim any size

# All that ComfyUI's nodes write. Nothing else is opened: Pillow's rarer readers are its weaker ones.
MEDIA_TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
}

# What the system says of a file, whatever is in it. Not every number: damaged offsets make for EINVAL.
NOT_THE_PICTURES_FAULT = frozenset(
    {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
)

Image.MAX_IMAGE_PIXELS = PIXELS_AT_MOST
Image.init()  # now, rather than by the first thread that meets a rarer format
# Pillow opens MPO as JPEG; AVIF is missing from some of its builds.
OPENED = [name for name in MEDIA_TYPES if name in Image.OPEN]


class UnreadableImage(Exception):
    """This is not an image that can be read. The message says why, as the rest of a sentence."""


class Thumbnail(Struct, frozen=True):
    """A small WebP of an image."""

    width: int
    height: int
    content: bytes


class ImageFacts(Struct, frozen=True):
    """What an image is. Width and height are those that people see: after the camera's orientation."""

    width: int
    height: int
    media_type: str


class Pictures(Struct, frozen=True):
    """Everything that is made of one image."""

    facts: ImageFacts
    thumbnails: dict[str, Thumbnail]
    thumbhash: str


def make_thumbnails(content: bytes | Path) -> Pictures:
    """
    Read an image whole, and make its three thumbnails and its thumbhash. Takes tens of milliseconds: use a thread.

    Raises:
        UnreadableImage: No image, a damaged one, or one that is too large.
        OSError: The file is gone, or the system cannot read it.
    """
    with opened(content) as image:
        facts = facts_of(image)
        picture = to_picture(image)
    thumbnails: dict[str, Thumbnail] = {}
    for size in reversed(SIZES_PX):  # each from the larger one before it
        picture = shrink(picture, fit(facts.width, facts.height, SIZES_PX[size]))
        thumbnails[size] = to_thumbnail(picture)
    return Pictures(facts, thumbnails, make_thumbhash(picture))


def inspect(content: bytes | Path) -> ImageFacts:
    """
    Read an image whole and tell what it is.

    Raises:
        UnreadableImage: As `make_thumbnails`.
        OSError: As `make_thumbnails`.
    """
    with opened(content) as image:
        facts = facts_of(image)
        image.load()
    return facts


def accept_thumbnail(content: bytes, image: ImageFacts, size: str) -> Thumbnail:
    """
    Take over a thumbnail that somebody else made of this image.

    Raises:
        UnreadableImage: It is no WebP, damaged, or not of the size that it should have.
    """
    facts = inspect(content)
    if facts.media_type != "image/webp":
        raise UnreadableImage("it is no WebP")
    width, height = fit(image.width, image.height, SIZES_PX[size])
    if abs(facts.width - width) > 1 or abs(facts.height - height) > 1:  # others may round otherwise
        raise UnreadableImage(f"it is {facts.width} x {facts.height} instead of {width} x {height}")
    return Thumbnail(facts.width, facts.height, content)


def thumbhash_of(thumbnail: Thumbnail) -> str:
    """
    Raises:
        UnreadableImage: The thumbnail cannot be read.
    """
    with opened(thumbnail.content) as image:
        return make_thumbhash(to_picture(image))


@contextmanager
def opened(content: bytes | Path) -> Iterator[Image.Image]:
    """An open image, its pixels not read yet; what is wrong with it inside the block is `UnreadableImage`."""
    try:
        with Image.open(io.BytesIO(content) if isinstance(content, bytes) else content, formats=OPENED) as image:
            check_size(image)
            yield image
    except UnreadableImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise UnreadableImage("it has too many pixels") from exc
    except UnidentifiedImageError as exc:
        raise UnreadableImage("it is not an image") from exc
    except MemoryError:
        raise  # this machine's trouble; with more memory the picture may well be read
    # Pillow's readers raise whatever their parsing trips over (struct.error, zlib.error, AttributeError ...).
    except Exception as exc:
        if isinstance(exc, OSError) and exc.errno in NOT_THE_PICTURES_FAULT:
            raise
        raise UnreadableImage(f"it is damaged ({exc})") from exc


def check_size(image: Image.Image) -> None:
    if image.width * image.height > PIXELS_AT_MOST:
        raise UnreadableImage(f"{image.width} x {image.height} pixels are too many")


def facts_of(image: Image.Image) -> ImageFacts:
    orientation = image.getexif().get(0x0112, 1)  # EXIF's tag; 5 to 8 lie on their side
    width, height = image.size if orientation not in {5, 6, 7, 8} else image.size[::-1]
    return ImageFacts(width, height, MEDIA_TYPES[str(image.format)])


def to_picture(image: Image.Image) -> Image.Image:
    """The pixels as people see them: the first frame, upright, 8 bits a channel, RGB or RGBA."""
    upright = ImageOps.exif_transpose(image)
    if upright.mode in {"I", "F"} or upright.mode.startswith("I;16"):
        return to_8_bits(upright).convert("RGB")
    return upright.convert("RGBA" if upright.has_transparency_data else "RGB")


def to_8_bits(grey: Image.Image) -> Image.Image:
    """A grey picture of 16 bits or of floats; Pillow's own conversion would cut off everything above 255."""
    values = grey.convert("F")
    brightest = values.getextrema()[1]
    white = 65535.0 if grey.mode != "F" else brightest if isinstance(brightest, float) and brightest > 0 else 1.0
    return values.point(lambda value: value * (255.0 / white) + 0).convert("L")


def fit(width: int, height: int, longest_side_px: int) -> tuple[int, int]:
    """The size that fits, of the same shape; never larger than the image."""
    scale = min(1.0, longest_side_px / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def shrink(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    return picture if size == picture.size else picture.resize(size, Image.Resampling.LANCZOS)


def to_thumbnail(picture: Image.Image) -> Thumbnail:
    buffer = io.BytesIO()
    # Without a colour profile: it may describe channels that the conversion has replaced.
    picture.save(buffer, "WEBP", quality=QUALITY, method=METHOD, icc_profile=b"", exif=b"")
    return Thumbnail(picture.width, picture.height, buffer.getvalue())
