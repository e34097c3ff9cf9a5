"""
ComfyUI's folders and its routes for files, as far as they decide which file is meant (0.3.75; `newer`: 0.30).

    FolderPaths   the module of that name
    Inhabited     both, with files of two people, shared ones, and some that are nobody's

It reads names as ComfyUI does, faults and all: an annotation is cut off with whatever stands before it, a base name is
taken of what was asked for, and nobody asks whose anything is.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from aiohttp import web

ADA = "01930000-0000-7000-8000-00000000ada0"
BOB = "01930000-0000-7000-8000-00000000b0b0"
NOT_A_USER = "01930000-0000-7000-8000-0000000000ff"
CUT = {"[output]": 9, "[input]": 8, "[temp]": 7}


class FolderPaths:
    """Where ComfyUI's folders are, and how it reads a name."""

    def __init__(self, base: Path) -> None:
        self.base = base
        for kind in ("input", "output", "temp", "models"):
            (base / kind).mkdir(parents=True, exist_ok=True)
        self.folder_names_and_paths = {"loras": ([str(base / "models"), str(base / "output")], {".pt"})}

    def get_directory_by_type(self, kind: str) -> str | None:
        return str(self.base / kind) if kind in {"input", "output", "temp"} else None

    def annotated_filepath(self, name: str) -> tuple[str, str | None]:
        for annotation, length in CUT.items():
            if name.endswith(annotation):
                return name[:-length], self.get_directory_by_type(annotation[1:-1])
        return name, None

    def get_annotated_filepath(self, name: str, default_dir: str | None = None) -> str:
        path, folder = self.annotated_filepath(name)
        return os.path.join(folder or default_dir or str(self.base / "input"), path)  # noqa: PTH118 - as ComfyUI does

    def exists_annotated_filepath(self, name: str) -> bool:
        return Path(self.get_annotated_filepath(name)).exists()

    def get_save_image_path(self, prefix: str, output_dir: str, *size: int) -> tuple[str, str, int, str, str]:
        path = os.path.normpath(prefix)
        folder = os.path.join(output_dir, os.path.dirname(path))  # noqa: PTH118, PTH120 - as ComfyUI does
        if os.path.commonpath((output_dir, os.path.abspath(folder))) != output_dir:  # noqa: PTH100 - same
            raise ValueError("outside the output folder")
        Path(folder).mkdir(parents=True, exist_ok=True)
        return folder, os.path.basename(path), 1, os.path.dirname(path), prefix  # noqa: PTH119, PTH120 - same

    def get_full_path(self, folder: str, filename: str) -> str | None:
        path = (self.base / "models" if folder == "loras" else self.base / "output" / folder) / filename
        return str(path) if path.is_file() else None


class Inhabited:
    """A ComfyUI that two people use."""

    def __init__(self, base: Path, *, newer: bool = False) -> None:
        self.folder_paths = FolderPaths(base)
        if newer:
            self.folder_paths.is_within_directory = lambda: None  # type: ignore[attr-defined] # only that it is there
        self.base = base
        self.newer = newer
        for user, name in ((ADA, "ada"), (BOB, "bob")):
            self.write(f"input/genonaut/{user}/{name}.png")
            self.write(f"input/genonaut/{user}/pasted/image.png", name)
            self.write(f"output/genonaut/{user}/2026-01-01/{name}_00001_.png")
            self.write(f"temp/genonaut/{user}/webcam/1.png", name)
        self.write("input/shared.png")
        self.write("input/folder/shared too.png")
        self.write("output/old.png")
        self.write("temp/ComfyUI_temp_abcde_00001_.png")
        self.write("user/default/secret.json")

    def write(self, path: str, content: str | None = None) -> Path:
        """Write a file; what is in it is its own path, unless something else is said."""
        file = self.base / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path if content is None else content, encoding="utf-8")
        return file

    def add_routes(self, app: web.Application) -> None:
        internal = web.Application()
        internal.router.add_get("/files/{directory_type}", self.list_files)
        app.add_subapp("/internal", internal)
        for prefix in ("", "/api"):
            app.router.add_get(f"{prefix}/view", self.view)
            app.router.add_get(f"{prefix}/view_metadata/{{folder_name}}", self.view_metadata)
            app.router.add_get(
                f"{prefix}/experiment/models/preview/{{folder}}/{{path_index}}/{{filename:.*}}", self.view_preview
            )
            app.router.add_post(f"{prefix}/upload/image", self.upload)
            app.router.add_post(f"{prefix}/upload/mask", self.upload)
            app.router.add_get(f"{prefix}/object_info", self.describe)
            app.router.add_get(f"{prefix}/object_info/{{node_class}}", self.describe)

    async def view(self, request: web.Request) -> web.StreamResponse:
        query = request.rel_url.query
        if query.get("filename", "").startswith("blake3:"):
            return web.FileResponse(self.base / f"output/genonaut/{BOB}/2026-01-01/bob_00001_.png")
        filename, folder = self.folder_paths.annotated_filepath(query.get("filename", ""))
        folder = folder or self.folder_paths.get_directory_by_type(query.get("type", "output"))
        if not filename or filename[0] == "/" or ".." in filename or folder is None:
            return web.Response(status=400)
        inside = os.path.join(folder, query.get("subfolder", ""))  # noqa: PTH118 - as ComfyUI does
        if os.path.commonpath((os.path.abspath(inside), folder)) != folder:  # noqa: PTH100 - same
            return web.Response(status=403)
        file = Path(inside, os.path.basename(filename))  # noqa: PTH119 - same
        return web.FileResponse(file) if file.is_file() else web.Response(status=404)

    async def view_metadata(self, request: web.Request) -> web.Response:
        path = self.folder_paths.get_full_path(request.match_info["folder_name"], request.query["filename"])
        return web.Response(status=404) if path is None else web.json_response({"path": path})

    async def view_preview(self, request: web.Request) -> web.StreamResponse:
        folders, _ = self.folder_paths.folder_names_and_paths[request.match_info["folder"]]
        beside = Path(folders[int(request.match_info["path_index"])], request.match_info["filename"])
        file = beside.with_suffix(".png")
        return web.FileResponse(file) if file.is_file() else web.Response(status=404)

    async def list_files(self, request: web.Request) -> web.Response:
        kind = request.match_info["directory_type"]
        if self.folder_paths.get_directory_by_type(kind) is None:
            return web.json_response({"error": "Invalid directory type"}, status=400)
        names = [entry.name for entry in (self.base / kind).iterdir() if entry.is_file()]
        return web.json_response([f"{name} [{kind}]" if self.newer else name for name in names])

    async def upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        image: Any = form["image"]
        folder = self.folder_paths.get_directory_by_type(str(form.get("type", "input")))
        subfolder = str(form.get("subfolder", ""))
        file = Path(folder or "", subfolder, image.filename)
        file.parent.mkdir(parents=True, exist_ok=True)
        content = image.file.read()
        if "original_ref" in form:
            original = json.loads(str(form["original_ref"]))
            folder = self.folder_paths.get_directory_by_type(original["type"])
            content += Path(folder or "", original["subfolder"], original["filename"]).read_bytes()
        if file.exists() and form.get("overwrite") not in {"1", "true"}:
            file = file.with_stem(f"{file.stem} (1)")
        file.write_bytes(content)
        return web.json_response({"name": file.name, "subfolder": subfolder, "type": form.get("type", "input")})

    async def describe(self, request: web.Request) -> web.Response:
        return web.json_response(self.description())

    def description(self) -> dict[str, Any]:
        images = sorted(file.name for file in (self.base / "input").iterdir() if file.suffix == ".png")
        folders = sorted(str(path.relative_to(self.base / "input")) for path in self.base.glob("input/**/") if path)
        return {
            "LoadImage": {"input": {"required": {"image": [images, {"image_upload": True}]}}},
            "KSampler": {"input": {"required": {"seed": ["INT", {"max": float("inf")}]}}, "name": "KSampler"},
            "LoadVideo": {"input": {"required": {"file": ["COMBO", {"options": [], "video_upload": True}]}}},
            "LoadImageOutput": {
                "input": {"required": {"image": ["COMBO", {"image_upload": True, "image_folder": "output"}]}}
            },
            "Walker": {"input": {"optional": {"folder": ["COMBO", {"options": folders, "default": folders[-1]}]}}},
        }


def comfyui_with(house: Inhabited, *middlewares: Any) -> web.Application:
    app = web.Application(middlewares=middlewares)
    house.add_routes(app)
    return app
