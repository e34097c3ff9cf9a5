"""Save Image (Genonaut): the full-size PNG, and beside it what the history shows first."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import folder_paths
from comfy.cli_args import args
from comfy_api.latest import io
from PIL import Image

# ComfyUI gives the pack a package name of its own, so what lies beside this folder is reached relatively.
from ..image_tensors import make_thumbnails, to_image, write_png, write_webp  # noqa: TID252
from ..thumbhash import thumbhash  # noqa: TID252

log = logging.getLogger("genonaut.save")

THUMBNAIL_FOLDER = ".thumbnails"

# One thread: it works while ComfyUI's own compresses the PNG, which takes longer than all thumbnails together.
in_background = ThreadPoolExecutor(max_workers=1, thread_name_prefix="genonaut-thumbnails")


class SaveImage(io.ComfyNode):  # type: ignore[misc] # known only inside ComfyUI
    """Saves images with everything that Genonaut wants to know of them."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="GenonautSaveImage",
            display_name="Save Image (Genonaut)",
            category="Genonaut",
            description=(
                "Saves images at full size, with the workflow in the file, "
                "and writes small, medium and large thumbnails beside them."
            ),
            inputs=[
                io.Image.Input("images", tooltip="The images to save."),
                io.String.Input(
                    "filename_prefix",
                    default="genonaut/image",
                    tooltip=(
                        "How file names begin; a / makes a folder. %year%, %month%, %day% and %width% are replaced."
                    ),
                ),
            ],
            outputs=[],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, images: Any, filename_prefix: str) -> io.NodeOutput:
        height, width = images[0].shape[0], images[0].shape[1]
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
            filename_prefix, folder_paths.get_output_directory(), width, height
        )
        metadata = {} if args.disable_metadata else metadata_of(cls.hidden.prompt, cls.hidden.extra_pnginfo)
        saved = []
        for index, tensor in enumerate(images):
            stem = f"{name.replace('%batch_num%', str(index))}_{counter + index:05}_"
            saved.append(save(tensor, Place(Path(folder), subfolder, stem), metadata))
        return io.NodeOutput(
            ui={"images": [one.as_comfyui_shows_it() for one in saved], "genonaut": [one.report() for one in saved]}
        )


@dataclass(frozen=True)
class Place:
    """Where one image and its thumbnails go."""

    folder: Path
    subfolder: str
    stem: str

    def thumbnail_name(self, size: str) -> str:
        return f"{self.stem}.{size}.webp"

    def thumbnail_subfolder(self) -> str:
        return f"{self.subfolder}/{THUMBNAIL_FOLDER}" if self.subfolder else THUMBNAIL_FOLDER


@dataclass(frozen=True)
class Thumbnails:
    """What could be made to be shown first; empty where it could not be made."""

    hash: str | None
    sizes: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Saved:
    """One image as it was saved."""

    place: Place
    size: tuple[int, int]
    size_bytes: int
    thumbnails: Thumbnails

    def as_comfyui_shows_it(self) -> dict[str, str]:
        return {"filename": f"{self.place.stem}.png", "subfolder": self.place.subfolder, "type": "output"}

    def report(self) -> dict[str, Any]:
        return {
            "width": self.size[0],
            "height": self.size[1],
            "bytes": self.size_bytes,
            "media_type": "image/png",
            "thumbhash": self.thumbnails.hash,
            "thumbnails": {
                name: {
                    "filename": self.place.thumbnail_name(name),
                    "subfolder": self.place.thumbnail_subfolder(),
                    "type": "output",
                    "width": width,
                    "height": height,
                }
                for name, (width, height) in self.thumbnails.sizes.items()
            },
        }


def metadata_of(prompt: Any, extra_pnginfo: Any) -> dict[str, Any]:
    """Collect what the file tells about itself; Genonaut's own tag is among ``extra_pnginfo``."""
    texts = {} if prompt is None else {"prompt": prompt}
    return {**texts, **(extra_pnginfo or {})}


def save(tensor: Any, place: Place, metadata: Mapping[str, Any]) -> Saved:
    image = to_image(tensor)
    thumbnails: Future[Thumbnails] = in_background.submit(write_thumbnails, image, place)
    size_bytes = write_png(image, place.folder / f"{place.stem}.png", metadata)
    return Saved(place, image.size, size_bytes, thumbnails.result())


def write_thumbnails(image: Image.Image, place: Place) -> Thumbnails:
    """Write every thumbnail. An image saved without them is worth more than none: the sidecar makes them later."""
    folder = place.folder / THUMBNAIL_FOLDER
    try:
        folder.mkdir(exist_ok=True)
        made = make_thumbnails(image)
        for size, thumbnail in made.items():
            write_webp(thumbnail, folder / place.thumbnail_name(size))
        hashed = base64.b64encode(thumbhash(made["small"])).decode("ascii")
        return Thumbnails(hashed, {size: thumbnail.size for size, thumbnail in made.items()})
    except (OSError, ValueError):
        log.warning("The thumbnails of %s.png could not be made here.", place.stem, exc_info=True)
        return Thumbnails(None, {})
