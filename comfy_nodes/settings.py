"""
What the pack can be told, read from the environment once.

ComfyUI's own facts (its user folder, its port) are handed in, so that this file knows nothing of ComfyUI.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PAIRING_SECRET_FILE = "pairing-secret"  # noqa: S105 - a file's name
PAIRING_SECRET_BYTES = 32
PAIRING_SECRET_CHARACTERS = 43  # of those bytes, URL-safe
SECRET_WAIT_S = 2.0
SECRET_LOOK_S = 0.02
DEFAULT_SIDECAR_PORT = 8190
YES = frozenset({"1", "yes", "true", "on"})
NO = frozenset({"0", "no", "false", "off"})

OPEN, ACCOUNTS, PROXY = ACCESSES = ("open", "accounts", "proxy")
DEFAULT_USER_HEADER = "X-Forwarded-User"


class SettingsUnusable(Exception):
    """A setting of the pack cannot be used."""


@dataclass(frozen=True)
class PackSettings:
    """All settings of the pack inside one ComfyUI."""

    data_folder: Path
    """The journal, the sidecar's log, and what the sidecar keeps (`GENONAUT_DATA`)."""

    sidecar_url: str
    """Where the sidecar answers (`GENONAUT_SIDECAR_URL`, else loopback and `GENONAUT_PORT`)."""

    sidecar_port: int
    """The port that a sidecar started by the pack listens on (`GENONAUT_PORT`)."""

    start_sidecar: bool
    """Start a sidecar when none answers (`GENONAUT_SIDECAR_START`; by default yes, unless its address was given)."""

    pairing_secret: str
    """What the pack and the sidecar show each other (`GENONAUT_PAIRING_SECRET`, else a file in the data folder)."""

    access: str = OPEN
    """Who is let in (`GENONAUT_ACCESS`): in `open` access everybody, as the local owner; with `accounts` who logs in;
    with `proxy` whom a reverse proxy names. By default open where ComfyUI listens on loopback only, else accounts."""

    is_open_to_others: bool = False
    """Open access in a ComfyUI that other computers reach: nothing is answered."""

    proxy_user_header: str = DEFAULT_USER_HEADER
    """In which header a proxy names the person (`GENONAUT_PROXY_USER_HEADER`; `proxy` access only)."""

    allowed_origins: frozenset[str] = frozenset()
    """Other websites whose pages may use this ComfyUI (`GENONAUT_ALLOWED_ORIGINS`, commas between them)."""

    allows_unknown_routes: bool = True
    """May members look at what routes show that no rule is known for (`GENONAUT_UNKNOWN_ROUTES`: allow, refuse)?"""

    shared_folders: tuple[Path, ...] = ()
    """Folders outside of ComfyUI's own which everybody's workflows may name (`GENONAUT_SHARED_FOLDERS`, as in PATH)."""

    passes_when_away: bool = False
    """While the sidecar is away, do the people go on whom it knew before, and do their prompts run without it
    (`GENONAUT_WHEN_AWAY`: refuse, pass)? In open access prompts always do."""


def read_settings(
    user_folder: Path, environment: Mapping[str, str] | None = None, *, on_loopback_only: bool = True
) -> PackSettings:
    """
    Read the environment and make the data folder.

    Args:
        user_folder: ComfyUI's folder for system data; used where `GENONAUT_DATA` does not say otherwise.
        on_loopback_only: Can ComfyUI be reached from this computer alone?

    Raises:
        SettingsUnusable: A value that cannot be used, or a data folder that cannot be made.
    """
    values = os.environ if environment is None else environment
    data_folder = Path(values.get("GENONAUT_DATA") or user_folder).expanduser().resolve()
    try:
        data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        secret = values.get("GENONAUT_PAIRING_SECRET") or read_or_make_secret(data_folder / PAIRING_SECRET_FILE)
    except OSError as exc:
        raise SettingsUnusable(
            f"The data folder {data_folder} cannot be used: {exc.strerror}. "
            "Set GENONAUT_DATA to a folder that can be written."
        ) from exc
    port = read_port(values)
    access = read_choice(values, "GENONAUT_ACCESS", ACCESSES, default=OPEN if on_loopback_only else ACCOUNTS)
    return PackSettings(
        data_folder=data_folder,
        sidecar_url=read_url(values) or f"http://127.0.0.1:{port}",
        sidecar_port=port,
        start_sidecar=read_yes_or_no(values, "GENONAUT_SIDECAR_START", default=not read_url(values)),
        pairing_secret=secret,
        access=access,
        is_open_to_others=access == OPEN and not on_loopback_only,
        proxy_user_header=values.get("GENONAUT_PROXY_USER_HEADER") or DEFAULT_USER_HEADER,
        allowed_origins=read_list(values, "GENONAUT_ALLOWED_ORIGINS"),
        allows_unknown_routes=read_choice(values, "GENONAUT_UNKNOWN_ROUTES", ("allow", "refuse")) == "allow",
        shared_folders=read_folders(values, "GENONAUT_SHARED_FOLDERS"),
        passes_when_away=read_choice(values, "GENONAUT_WHEN_AWAY", ("refuse", "pass")) == "pass",
    )


def read_or_make_secret(file: Path) -> str:
    """Read the pairing secret, or make it: whoever comes first creates the file, whole, and everybody else reads it."""
    if not file.exists():
        part = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
        try:
            write_secret(part)
            # Neither replaces a file that is there: Windows' rename refuses to, and so does a link elsewhere.
            (os.rename if os.name == "nt" else os.link)(part, file)
        except FileExistsError:
            pass  # somebody else was first
        except OSError:
            # No links here (exFAT, SMB, some FUSE): written in place, and whoever reads waits until it is whole.
            with contextlib.suppress(FileExistsError):
                write_secret(file)
        finally:
            part.unlink(missing_ok=True)
    return read_whole_secret(file)


def write_secret(file: Path) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as handle:
        handle.write(secrets.token_urlsafe(PAIRING_SECRET_BYTES))


def read_whole_secret(file: Path) -> str:
    """Read it; somebody else may be writing it at this moment. A shorter one that stays was put there by a person."""
    deadline = time.monotonic() + SECRET_WAIT_S
    while len(text := file.read_text(encoding="ascii").strip()) < PAIRING_SECRET_CHARACTERS:
        if time.monotonic() > deadline:
            break
        time.sleep(SECRET_LOOK_S)
    if not text:  # whoever shows nothing would be let in
        raise OSError(errno.EINVAL, f"{file.name} is empty, delete it")
    return text


def read_port(values: Mapping[str, str]) -> int:
    text = values.get("GENONAUT_PORT") or str(DEFAULT_SIDECAR_PORT)
    if not text.isdecimal() or not 0 < int(text) < 2**16:
        raise SettingsUnusable(f"GENONAUT_PORT must be a port between 1 and 65535, not {text!r}.")
    return int(text)


def read_url(values: Mapping[str, str]) -> str:
    text = values.get("GENONAUT_SIDECAR_URL", "").rstrip("/")
    if text and not text.startswith(("http://", "https://")):
        raise SettingsUnusable(f"GENONAUT_SIDECAR_URL must begin with http:// or https://, not be {text!r}.")
    return text


def read_yes_or_no(values: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = values.get(name, "").strip().lower()
    if not text:
        return default
    if text not in YES | NO:
        raise SettingsUnusable(f"{name} must be yes or no, not {text!r}.")
    return text in YES


def read_list(values: Mapping[str, str], name: str) -> frozenset[str]:
    return frozenset(filter(None, (part.strip() for part in values.get(name, "").split(","))))


def read_folders(values: Mapping[str, str], name: str) -> tuple[Path, ...]:
    folders = tuple(Path(part).expanduser() for part in values.get(name, "").split(os.pathsep) if part.strip())
    if not all(folder.is_absolute() and folder.is_dir() for folder in folders):
        raise SettingsUnusable(
            f"{name} must be folders that are there, by absolute paths with {os.pathsep} between them."
        )
    return folders


def read_choice(values: Mapping[str, str], name: str, choices: tuple[str, ...], *, default: str | None = None) -> str:
    """Read one of several words; by default the first."""
    text = values.get(name, "").strip().lower() or default or choices[0]
    if text not in choices:
        raise SettingsUnusable(f"{name} must be {' or '.join(choices)}, not {text!r}.")
    return text
