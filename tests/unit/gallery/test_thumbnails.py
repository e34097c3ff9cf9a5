"""Small pictures of everything that ComfyUI's nodes can write."""

from __future__ import annotations

import io
import zlib
from contextlib import suppress
from typing import Any

import pytest
from PIL import Image

from sidecar.gallery.thumbnails import (
    OPENED,
    PIXELS_AT_MOST,
    ImageFacts,
    Thumbnail,
    UnreadableImage,
    accept_thumbnail,
    fit,
    inspect,
    make_thumbnails,
)


def encode(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def decode(thumbnail: Thumbnail) -> Image.Image:
    picture = Image.open(io.BytesIO(thumbnail.content))
    picture.load()
    return picture


@pytest.mark.parametrize("kind", OPENED)
def test_every_format_becomes_webp(kind: str) -> None:
    """
    Whatever a node saves is shown.
    """
    pictures = make_thumbnails(encode(Image.new("RGB", (600, 300), "teal"), kind))

    assert (pictures.facts.width, pictures.facts.height) == (600, 300)
    for thumbnail in pictures.thumbnails.values():
        assert decode(thumbnail).format == "WEBP"


@pytest.mark.parametrize(
    ("size", "small", "medium", "large"),
    [
        ((2048, 1024), (256, 128), (512, 256), (1024, 512)),
        ((1500, 1000), (256, 171), (512, 341), (1024, 683)),
        ((300, 600), (128, 256), (256, 512), (300, 600)),
        ((40, 30), (40, 30), (40, 30), (40, 30)),
        ((1, 1), (1, 1), (1, 1), (1, 1)),
        ((4000, 2), (256, 1), (512, 1), (1024, 1)),
    ],
)
def test_thumbnails_keep_the_shape_and_never_grow(
    size: tuple[int, int], small: tuple[int, int], medium: tuple[int, int], large: tuple[int, int]
) -> None:
    """
    The longest side is 256, 512 and 1024 pixels, or what the image has.
    """
    thumbnails = make_thumbnails(encode(Image.new("RGB", size, "teal"))).thumbnails

    sizes = {name: (thumbnail.width, thumbnail.height) for name, thumbnail in thumbnails.items()}
    assert sizes == {"small": small, "medium": medium, "large": large}
    assert {name: decode(thumbnail).size for name, thumbnail in thumbnails.items()} == sizes


def near(found: Any, meant: tuple[int, ...], tolerance: int = 6) -> bool:
    return all(abs(left - right) <= tolerance for left, right in zip(found, meant, strict=True))


def test_sixteen_bit_grey_keeps_its_brightness() -> None:
    """
    Depth maps and masks: Pillow's own conversion would make everything above 255 of 65535 white.
    """
    picture = Image.new("I;16", (64, 64), 32768)
    thumbnail = make_thumbnails(encode(picture)).thumbnails["small"]

    assert near(decode(thumbnail).getpixel((32, 32)), (128, 128, 128))


def test_floating_point_pictures_are_seen() -> None:
    """
    Their brightest value is white.
    """
    picture = Image.new("F", (64, 64), 0.25)
    picture.paste(0.5, (0, 0, 32, 64))
    thumbnail = make_thumbnails(encode(picture, "TIFF")).thumbnails["small"]

    assert near(decode(thumbnail).getpixel((8, 32)), (255, 255, 255))
    assert near(decode(thumbnail).getpixel((56, 32)), (128, 128, 128))


def test_a_float_picture_of_nothing_is_black() -> None:
    """
    Without a brightest value there is nothing to measure by.
    """
    thumbnail = make_thumbnails(encode(Image.new("F", (8, 8), 0.0), "TIFF")).thumbnails["small"]

    assert near(decode(thumbnail).getpixel((4, 4)), (0, 0, 0))


def test_palettes_become_colours() -> None:
    """
    A GIF or an 8-bit PNG is scaled in colours, not in numbers of its palette.
    """
    picture = Image.new("RGB", (600, 600), (200, 30, 90)).convert("P", palette=Image.Palette.ADAPTIVE)
    thumbnail = make_thumbnails(encode(picture)).thumbnails["small"]

    assert near(decode(thumbnail).getpixel((128, 128)), (200, 30, 90))


def half_cut_out(mode: str) -> bytes:
    """A picture whose left half is transparent."""
    if mode == "P":
        palette = Image.new("P", (400, 400), 1)
        palette.putpalette([0, 0, 0, 0, 128, 255])
        palette.paste(0, (0, 0, 200, 400))
        return encode(palette, transparency=0)
    picture = Image.new("RGBA", (400, 400), (0, 128, 255, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 200, 400))
    return encode(picture.convert(mode))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_stays(mode: str) -> None:
    """
    Cut-out figures are shown cut out.
    """
    thumbnail = decode(make_thumbnails(half_cut_out(mode)).thumbnails["small"])

    assert thumbnail.mode == "RGBA"
    opacity = thumbnail.getchannel("A")
    assert (opacity.getpixel((20, 128)), opacity.getpixel((230, 128))) == (0, 255)


def test_print_colours_are_shown_as_colours() -> None:
    """
    CMYK files come from elsewhere and are shown all the same, without the profile of their old channels.
    """
    picture = Image.new("CMYK", (300, 300), (0, 255, 255, 0))
    thumbnail = decode(make_thumbnails(encode(picture, "JPEG", icc_profile=b"profile" * 20)).thumbnails["small"])

    assert near(thumbnail.getpixel((128, 128)), (255, 0, 0), tolerance=12)
    assert not thumbnail.info.get("icc_profile")


@pytest.mark.parametrize(
    ("orientation", "corner"),
    list(enumerate([(0, 0), (1, 0), (1, 1), (0, 1)] * 2, start=1)),
)
def test_the_cameras_orientation_is_honoured(orientation: int, corner: tuple[int, int]) -> None:
    """
    Width and height are those that people see, and so is the thumbnail.
    """
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.new("RGB", (400, 200), "black")
    picture.paste("white", (0, 0, 200, 100))
    pictures = make_thumbnails(encode(picture, "JPEG", exif=exif))

    meant = (400, 200) if orientation < 5 else (200, 400)
    assert (pictures.facts.width, pictures.facts.height) == meant
    small = pictures.thumbnails["small"]
    assert (small.width > small.height) == (meant[0] > meant[1])
    place = tuple(side // 4 + side // 2 * far for side, far in zip((small.width, small.height), corner, strict=True))
    assert near(decode(small).getpixel((place[0], place[1])), (255, 255, 255))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_is_shown_by_its_first_frame(kind: str) -> None:
    """
    Still, and the same picture that the page shows first.
    """
    frames = [Image.new("RGB", (300, 300), colour) for colour in ("red", "blue")]
    content = encode(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)
    thumbnail = decode(make_thumbnails(content).thumbnails["small"])

    assert getattr(thumbnail, "n_frames", 1) == 1
    assert near(thumbnail.convert("RGB").getpixel((128, 128)), (255, 0, 0), tolerance=12)


def test_a_thumbnail_is_like_the_picture_made_small_at_once() -> None:
    """
    Each size is made from the larger one; nobody sees the difference.
    """
    picture = Image.radial_gradient("L").resize((1600, 1600)).convert("RGB")
    chained = decode(make_thumbnails(encode(picture)).thumbnails["small"]).convert("L")
    at_once = picture.resize((256, 256), Image.Resampling.LANCZOS).convert("L")

    worst = max(abs(a - b) for a, b in zip(chained.tobytes(), at_once.tobytes(), strict=True))
    assert worst <= 8


def test_the_metadata_of_the_image_stays_out_of_the_thumbnail() -> None:
    """
    Workflows of a hundred kilobytes do not belong into a picture of ten.
    """
    exif = Image.Exif()
    exif[0x0110] = "workflow:" + "x" * 50_000
    thumbnail = make_thumbnails(encode(Image.new("RGB", (300, 300)), "WEBP", exif=exif)).thumbnails["small"]

    assert len(thumbnail.content) < 5_000
    assert not decode(thumbnail).info.get("exif")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        b"<svg/>",
        encode(Image.new("RGB", (300, 300), "red"))[:200],
        encode(Image.new("L", (64, 64)), "PPM"),
    ],
    ids=["empty", "text", "svg", "truncated", "a format that no node writes"],
)
def test_what_cannot_be_read_is_told_apart(content: bytes) -> None:
    """
    One error, whatever Pillow raised, with words for the reason.
    """
    with pytest.raises(UnreadableImage, match=r"it is"):
        make_thumbnails(content)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # outside of tests it stops nothing
def test_camera_facts_that_end_too_early_make_a_picture_unreadable() -> None:
    """
    Pillow's reader ends with `struct.error`, which is none of its usual errors.
    """
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    whole = buffer.getvalue()
    chunk = b"eXIfExif\0\0MM\0*"
    short = (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")

    with pytest.raises(UnreadableImage):
        make_thumbnails(whole[:33] + short + whole[33:])


def test_a_bomb_is_refused_before_it_takes_memory() -> None:
    """
    A few kilobytes may claim any number of pixels; the claim is enough.
    """
    side = int(PIXELS_AT_MOST**0.5) + 1
    bomb = encode(Image.new("1", (side, side)))

    assert len(bomb) < 100_000
    with pytest.raises(UnreadableImage, match="too many"):
        inspect(bomb)


@pytest.mark.parametrize("tenths", range(10))
@pytest.mark.parametrize("kind", OPENED)
def test_a_damaged_file_of_any_format_is_unreadable_and_nothing_else(kind: str, tenths: int) -> None:
    """
    Cut off anywhere, it is whole enough or `UnreadableImage`; no other error comes out.
    """
    content = encode(Image.effect_noise((64, 64), 60).convert("RGB"), kind)

    with suppress(UnreadableImage):
        make_thumbnails(content[: len(content) * tenths // 10])


def test_a_thumbnail_made_elsewhere_is_taken_as_it_is() -> None:
    """
    Its bytes are not touched.
    """
    pictures = make_thumbnails(encode(Image.new("RGB", (900, 600), "teal")))
    content = pictures.thumbnails["small"].content

    assert accept_thumbnail(content, pictures.facts, "small") == Thumbnail(256, 171, content)


def test_a_thumbnail_of_another_shape_is_not_taken() -> None:
    """
    It would be of another picture.
    """
    content = make_thumbnails(encode(Image.new("RGB", (900, 600), "teal"))).thumbnails["small"].content

    with pytest.raises(UnreadableImage, match="256 x 171 instead of 171 x 256"):
        accept_thumbnail(content, ImageFacts(600, 900, "image/png"), "small")


def test_fitting_never_gives_a_side_of_zero() -> None:
    """
    However thin the picture is.
    """
    assert fit(100_000, 1, 256) == (256, 1)
