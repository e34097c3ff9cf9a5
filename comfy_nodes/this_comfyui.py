"""The ComfyUI that the pack is in, as it is hooked into and as it is told of."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .locations import pack_version
from .own_names import listens_on_loopback_only

PACK_FOLDER = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class ThisComfyUI:
    """Its server and modules. One a process."""

    server: Any
    execution: Any
    folder_paths: Any
    nodes: Any

    @property
    def listens_on_loopback_only(self) -> bool:
        return listens_on_loopback_only(arguments().listen)

    @property
    def url(self) -> str:
        """The address at which it answers on this machine."""
        args = arguments()
        listens_at = str(args.listen).split(",")[0]
        host = "127.0.0.1" if listens_at in {"", "0.0.0.0", "::"} else listens_at  # noqa: S104 - read, not bound
        scheme = "https" if args.tls_keyfile and args.tls_certfile else "http"
        return f"{scheme}://[{host}]:{args.port}" if ":" in host else f"{scheme}://{host}:{args.port}"

    @property
    def introduction(self) -> dict[str, Any]:
        """What an observer is told of it: which one it is, and where its files lie."""
        folders = self.folder_paths
        return {
            "pack_version": pack_version(PACK_FOLDER),
            "comfyui_version": importlib.import_module("comfyui_version").__version__,
            "directories": {
                "output": str(Path(folders.get_output_directory()).resolve()),
                "temp": str(Path(folders.get_temp_directory()).resolve()),
                "input": str(Path(folders.get_input_directory()).resolve()),
            },
        }


def find_comfyui(server: Any) -> ThisComfyUI:
    """Import its modules, by name and only here: the rest of the pack can be read and tested without them."""
    execution, folder_paths, nodes = (importlib.import_module(name) for name in ("execution", "folder_paths", "nodes"))
    return ThisComfyUI(server, execution, folder_paths, nodes)


def arguments() -> Any:
    """Those with which it was started."""
    return importlib.import_module("comfy.cli_args").args
