"""
ComfyUI's routes for files, each as one person may use it.

    GET  /view, /view_metadata/{folder_name}     what is theirs or shared; anything else is not there
    GET  /experiment/models/preview/...          pictures beside models, and no others
    GET  /internal/files/{directory_type}        the same, as a list
    GET  /object_info, /object_info/{class}      lists of input files: theirs and the shared ones
    POST /upload/image, /upload/mask             into their own folder, whatever folder was named

ComfyUI's own handlers go on doing the work: they are asked for exactly what was found to be this person's. Where
nobody is to be told apart (open access, the sidecar), requests pass as they came.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from multidict import MultiDict, MultiDictProxy

from .access_rules import path_of
from .caller import Caller, only_theirs
from .input_combos import InputCombos
from .ownership import SHARED, OwnedFiles, may_see
from .places import KINDS, OWN_FOLDER, Name, is_plain_name, is_plain_path, is_user_id, plainly
from .refusals import mark_refused
from .sidecar_client import SidecarAway
from .wire import Handler, away, away_answer, error_answer

Answer = Callable[[web.Request, Handler, Caller], Awaitable[web.StreamResponse]]

BY_CONTENT = "blake3:"
"""How 0.30 names a file by what is in it, wherever it lies and whosever it is."""

YES = frozenset({"1", "true"})
NOT_FOUND = "There is no such file among yours or the shared ones."
AWAY = away("nobody can say whose file that is")


class SomebodyElses(FileNotFoundError):
    """It is there, or would be, and it is not theirs."""


class UploadRefused(Exception):
    """This cannot be uploaded. The message is one sentence for people."""


class OwnUpload(web.Request):
    """An upload whose form ComfyUI reads as it was changed for whoever sends it."""

    ATTRS = web.Request.ATTRS | {"change", "changed"}
    change: Callable[[MultiDictProxy[Any]], Awaitable[MultiDictProxy[Any]]]
    changed: MultiDictProxy[Any] | None = None

    async def post(self) -> MultiDictProxy[Any]:
        if self.changed is None:
            self.changed = await self.change(await super().post())
        return self.changed


class FileRoutes:
    """The second middleware, behind the doorkeeper. One a process."""

    def __init__(self, files: OwnedFiles, folder_paths: Any) -> None:
        self._files = files
        self._folder_paths = folder_paths
        self._combos = InputCombos()
        self._answers: dict[str, Answer] = {
            "/view": self._view,
            "/view_metadata/{folder_name}": self._view_metadata,
            "/experiment/models/preview/{folder}/{path_index}/{filename}": self._view_preview,
            "/internal/files/{directory_type}": self._list,
            "/object_info": self._describe,
            "/object_info/{node_class}": self._describe,
            "/upload/image": self._upload,
            "/upload/mask": self._upload,
        }

    @web.middleware
    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        person = only_theirs()
        own_answer = self._answers.get(path_of(request) or "") if person is not None else None
        if own_answer is None or person is None:
            return await handler(request)
        if not is_user_id(person.user_id):
            return not_found()
        try:
            return await own_answer(request, handler, person)
        except UploadRefused as exc:
            return error_answer(400, "upload_refused", str(exc))
        except SomebodyElses:
            mark_refused(request, "somebody_elses_file")  # to the person it looks like one that is not there
            return not_found()
        except FileNotFoundError:
            return not_found()
        except SidecarAway:
            return away_answer(AWAY)

    async def _view(self, request: web.Request, handler: Handler, person: Caller) -> web.StreamResponse:
        query = request.rel_url.query
        name = self._read_view(query)
        found = None if name is None else await self._files.find(person, name)
        if name is None or found is None:
            raise self._missing(name, person)
        # Asked anew in the words in which it was found, so that there is no second way to read them.
        answer = await handler(request.clone(rel_url=request.rel_url.update_query(found.as_view())))
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Content-Security-Policy"] = "sandbox"  # pictures with scripts in them (SVG)
        answer.headers.setdefault("Cache-Control", "private, no-cache")  # a browser may be several people's
        return answer

    def _read_view(self, query: Mapping[str, str]) -> Name | None:
        """Read the query as ComfyUI does (server.py, view_image)."""
        filename = query.get("filename", "")
        read = self._files.folders.read(filename, query.get("type", "output"))
        if read is None or filename.startswith(BY_CONTENT):
            return None
        name = read[0]
        if not name.path or name.path[0] == "/" or ".." in name.path:
            return None
        filename = os.path.basename(name.path)
        return Name(name.kind, os.path.join(query.get("subfolder", ""), filename)) if filename else None

    async def _view_metadata(self, request: web.Request, handler: Handler, person: Caller) -> web.StreamResponse:
        filename = request.rel_url.query.get("filename", "")
        try:
            path = self._folder_paths.get_full_path(request.match_info.get("folder_name"), filename)
        except (OSError, ValueError):  # a null byte
            path = None
        if path is None:
            raise FileNotFoundError
        if self._is_of_somebody_else(path, person):
            raise SomebodyElses
        return await handler(request)

    async def _view_preview(self, request: web.Request, handler: Handler, person: Caller) -> web.StreamResponse:
        """ComfyUI itself would show any picture of this computer to which a way leads from the folder of models."""
        filename = request.match_info["filename"]
        try:
            folders, _ = self._folder_paths.folder_names_and_paths[request.match_info["folder"]]
            path = os.path.join(folders[int(request.match_info["path_index"])], filename)
        except (KeyError, ValueError, IndexError):
            raise FileNotFoundError from None
        if not is_plain_path(filename):
            raise FileNotFoundError
        if self._is_of_somebody_else(path, person):
            raise SomebodyElses
        return await handler(request)

    def _missing(self, name: Name | None, person: Caller) -> FileNotFoundError:
        """Tell what is not there from what is somebody else's; whoever asks is told the same of both."""
        place = None if name is None else self._files.folders.place_of(name)
        owner = None if place is None else self._files.owner_at_sight(place)
        return FileNotFoundError() if owner is None or owner == SHARED else SomebodyElses()

    def _is_of_somebody_else(self, path: str, person: Caller) -> bool:
        place = self._files.folders.place_at(path)  # models that nodes have saved lie among the outputs
        return place is not None and place.is_among_peoples_folders and not person.owns(place.owner_by_folder)

    async def _list(self, request: web.Request, handler: Handler, person: Caller) -> web.StreamResponse:
        kind = request.match_info["directory_type"]
        answer = await handler(request)
        if kind not in KINDS or not isinstance(answer, web.Response) or answer.status != web.HTTPOk.status_code:
            return answer
        told = [name for name in json.loads(answer.text or "[]") if isinstance(name, str)]
        own = await asyncio.to_thread(self._files.folders.list_own, kind, person.user_id)
        # 0.30 writes each name as a node takes it: with the folder that it is in.
        is_annotated = hasattr(self._folder_paths, "is_within_directory")
        own = [f"{name} [{kind}]" if is_annotated else name for name in own]
        answer.text = json.dumps([*own, *(name for name in told if self._may_list(person, kind, name))])
        return answer

    def _may_list(self, person: Caller, kind: str, listed: str) -> bool:
        place = self._files.folders.place_of(Name(kind, listed.removesuffix(f" [{kind}]")))
        return place is not None and may_see(person, self._files.owner_at_sight(place), place)

    async def _describe(self, request: web.Request, handler: Handler, person: Caller) -> web.StreamResponse:
        answer = await handler(request)
        if not isinstance(answer, web.Response) or answer.status != web.HTTPOk.status_code:
            return answer
        own = await asyncio.to_thread(self._files.folders.list_own, "input", person.user_id)
        told = answer.body if isinstance(answer.body, bytes) else (answer.text or "{}").encode()
        is_whole = path_of(request) == "/object_info"
        answer.body = self._combos.written_for(told, person.user_id, own, keep=is_whole)
        return answer

    async def _upload(self, request: web.Request, handler: Handler, person: Caller) -> web.StreamResponse:
        async def change(form: MultiDictProxy[Any]) -> MultiDictProxy[Any]:
            return await self._change_form(form, person)

        upload: Any = request  # itself: aiohttp closes the files of this one when it is done
        upload.__class__ = OwnUpload
        upload.change = change
        await upload.post()  # whatever is wrong with it is said before anything is written
        return await handler(upload)

    async def _change_form(self, form: MultiDictProxy[Any], person: Caller) -> MultiDictProxy[Any]:
        """
        Have it saved in the sender's own folder, of the name and in the sub-folder that they chose.

        Raises:
            UploadRefused: It has a name that cannot be given to a file here.
            FileNotFoundError: The picture that a mask is for is not theirs.
        """
        image = form.get("image")
        if not isinstance(image, web.FileField) or not is_plain_name(image.filename):
            raise UploadRefused("The file to upload has no name that a file can have here. Give it a plain one.")
        if form.get("type", "input") not in KINDS:
            raise UploadRefused("Files can be uploaded as input, output or temp.")
        changed = MultiDict(form)
        subfolder = str(form.get("subfolder", ""))
        is_shared = person.is_admin and form.get("shared") in YES
        changed["subfolder"] = shared_subfolder(subfolder) if is_shared else own_subfolder(subfolder, person.user_id)
        if is_shared:
            changed["type"] = "input"
        if "original_ref" in form:
            changed["original_ref"] = await self._own_reference(str(form["original_ref"]), person)
        return MultiDictProxy(changed)

    async def _own_reference(self, text: str, person: Caller) -> str:
        """
        Name the picture that a mask is for in the words in which it was found to be theirs.

        Raises:
            UploadRefused: It is no reference to a file.
            FileNotFoundError: It is not theirs, or not there.
        """
        try:
            told = json.loads(text)
            filename, kind = str(told["filename"]), str(told.get("type", "output"))
            subfolder = str(told.get("subfolder") or "")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
            raise UploadRefused("original_ref must be a JSON object with a filename.") from exc
        read = self._files.folders.read(filename, kind)
        name = None if read is None else Name(read[0].kind, os.path.join(subfolder, read[0].path))
        found = await self._files.find(person, name) if name is not None and is_plain_path(name.path) else None
        if found is None:
            raise self._missing(name, person)
        return json.dumps({**told, **found.as_view()})


def not_found() -> web.Response:
    return error_answer(404, "not_found", NOT_FOUND)


def own_subfolder(wanted: str, user_id: str) -> str:
    """
    Give the person's own folder for that one. Who has been answered with it once may name it again.

    Raises:
        UploadRefused: That cannot be a folder in it.
    """
    steps = steps_of(wanted)
    if steps[:2] == [OWN_FOLDER, user_id]:
        steps = steps[2:]
    return "/".join((OWN_FOLDER, user_id, *plain(steps)))


def shared_subfolder(wanted: str) -> str:
    """
    Give the folder that an administrator names for everybody.

    Raises:
        UploadRefused: That cannot be one, or is among those of people.
    """
    return "/".join(plain(steps_of(wanted)))


def steps_of(folder: str) -> list[str]:
    return [step for step in folder.replace("\\", "/").split("/") if step not in {"", "."}]


def plain(steps: list[str]) -> list[str]:
    if not all(map(is_plain_name, steps)) or (steps and plainly(steps[0]) == OWN_FOLDER):
        raise UploadRefused("This subfolder has no name that a folder can have here. Choose a plain one.")
    return steps
