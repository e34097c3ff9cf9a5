"""
What can be set, read from the environment once, at the edge, and handed inwards as values.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import re
import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from sidecar.addresses import is_loopback_host, is_plain
from sidecar.errors import SettingsUnusable
from sidecar.standard_webhooks import read_key

PAIRING_SECRET_FILE = "pairing-secret"  # noqa: S105 - a file's name
PAIRING_SECRET_BYTES = 32
PAIRING_SECRET_CHARACTERS = 43  # of those bytes, URL-safe
SECRET_WAIT_S = 2.0
SECRET_LOOK_S = 0.02
HIGHEST_PORT = 2**16 - 1
SHORTEST_TIME_S = 60  # signs of life are written down every half minute
COUNT_AT_MOST = 10**6
MODERATION_AT_MOST_S = 30  # somebody waits for it
LOG_FORMATS = ("text", "json")
WORKERS = ("embedded", "none")
YES_OR_NO = ("no", "yes")
ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?")
PROXY_ROLES = ("member", "guest")
LONGEST_LIFETIME_S = 366 * 24 * 3600


Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LOOPBACK_NETWORKS = "127.0.0.0/8,::1"


class Access(str, Enum):
    """Who is let in (`sidecar/README.md`, "Who is asking")."""

    OPEN = "open"  #: everybody who reaches this machine's loopback, as the local owner
    ACCOUNTS = "accounts"  #: who logs in
    PROXY = "proxy"  #: whom a reverse proxy names that is trusted to


@dataclass(frozen=True)
class Settings:
    """All settings of one sidecar process."""

    data_folder: Path
    """Database, queue, images and the pairing secret (`GENONAUT_DATA`)."""

    host: str = "127.0.0.1"
    """The address to listen on (`GENONAUT_HOST`). Beyond loopback only with accounts."""

    port: int = 8190
    """The port to listen on (`GENONAUT_PORT`)."""

    comfyui_urls: tuple[str, ...] = ("http://127.0.0.1:8188",)
    """Where ComfyUI answers, or several of them, separated by commas (`GENONAUT_COMFYUI_URL`)."""

    database_url: str = ""
    """SQLAlchemy's URL (`GENONAUT_DATABASE_URL`); empty: a SQLite file in the data folder."""

    queue_url: str = ""
    """The SAQ queue (`GENONAUT_QUEUE_URL`); empty: a SQLite file in the data folder."""

    pairing_secret: str = ""
    """What the pack and the sidecar show each other (`GENONAUT_PAIRING_SECRET`, else in the data folder)."""

    access: Access = Access.OPEN
    """Who is let in (`GENONAUT_ACCESS`: open, accounts, proxy); by default `open` on loopback, else `accounts`."""

    trusted_proxies: tuple[Network, ...] = tuple(map(ipaddress.ip_network, LOOPBACK_NETWORKS.split(",")))
    """Whose X-Forwarded-... headers are believed: addresses and networks (`GENONAUT_TRUSTED_PROXIES`)."""

    proxy_user_header: str = "X-Forwarded-User"
    """In `proxy` access: the header in which a trusted proxy names who is asking (`GENONAUT_PROXY_USER_HEADER`)."""

    allowed_origins: tuple[str, ...] = ()
    """Other websites whose pages may use this API, such as https://tools.example, with commas between them
    (`GENONAUT_ALLOWED_ORIGINS`)."""

    proxy_role: str = "member"
    """In `proxy` access: the role of somebody whom the proxy names for the first time (`GENONAUT_PROXY_ROLE`: member,
    guest)."""

    default_plan: str = "standard"
    """Which limits hold for a new account where nobody says so (`GENONAUT_DEFAULT_PLAN`)."""

    open_plan: str = "unlimited"
    """In `open` access: which limits hold for everybody (`GENONAUT_OPEN_PLAN`)."""

    keep_rule_texts: bool = False
    """Keep the texts that went against a rule, not only their hashes (`GENONAUT_KEEP_RULE_TEXTS`)."""

    moderation_url: str = ""
    """Who is asked what they think of the texts of whatever is submitted; empty: nobody (`GENONAUT_MODERATION_URL`)."""

    moderation_secret: str = ""
    """With which it is proven who asks them, as Standard Webhooks has it: whsec_... (`GENONAUT_MODERATION_SECRET`)."""

    moderation_timeout_s: int = 2
    """How long they may take (`GENONAUT_MODERATION_TIMEOUT_S`)."""

    moderation_on_failure: str = "allow"
    """What becomes of a submission while they do not answer (`GENONAUT_MODERATION_ON_FAILURE`: allow, refuse)."""

    cookie_secure: bool = False
    """Send the session's cookie through TLS alone, whatever a proxy says (`GENONAUT_COOKIE_SECURE`: no, yes)."""

    session_idle_s: int = 7 * 24 * 3600
    """After how long without a request a session ends (`GENONAUT_SESSION_IDLE_S`)."""

    session_at_most_s: int = 30 * 24 * 3600
    """After how long a session ends in any case (`GENONAUT_SESSION_AT_MOST_S`)."""

    parent_pid: int | None = None
    """The process that this one must not outlive (`GENONAUT_PARENT_PID`); set by a pack that starts its sidecar."""

    trash_days: int = 30
    """After how many days in the trash a generation is removed for good; 0: never (`GENONAUT_TRASH_DAYS`)."""

    waiting_at_most_s: int = 0
    """How long a generation may wait for its turn before it fails; 0: for ever (`GENONAUT_WAITING_AT_MOST_S`)."""

    waiting_at_most: int = 100_000
    """How many generations may wait in all; who comes then is told to come later (`GENONAUT_WAITING_AT_MOST`)."""

    starting_at_most_s: int = 3600
    """How long ComfyUI may have a generation and do nothing before that fails; 0: for ever
    (`GENONAUT_STARTING_AT_MOST_S`)."""

    silent_at_most_s: int = 7200
    """How long ComfyUI may work on a generation without a sign of life before it is interrupted; 0: for ever
    (`GENONAUT_SILENT_AT_MOST_S`). Decoding a long video on a CPU tells nothing for an hour."""

    worker: str = "embedded"
    """Whether a server also works off jobs; else `genonaut worker` processes do (`GENONAUT_WORKER`: embedded, none)."""

    log_format: str = "text"
    """`text` for people, `json` for machines (`GENONAUT_LOG`)."""

    @property
    def is_alone(self) -> bool:
        """Is this the only process that may use the database?"""
        return self.database_url.startswith("sqlite")


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """
    Read the environment, make the data folder, and fill in what follows from it.

    Raises:
        SettingsUnusable: A value that cannot be used, or a data folder that cannot be made.
    """
    values = os.environ if environment is None else environment
    data_folder = Path(values.get("GENONAUT_DATA") or default_data_folder()).expanduser().resolve()
    try:
        data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # prompts and pictures of people
        pairing_secret = values.get("GENONAUT_PAIRING_SECRET") or read_or_make_secret(data_folder / PAIRING_SECRET_FILE)
    except OSError as exc:
        raise SettingsUnusable(
            f"The data folder {data_folder} cannot be used: {exc.strerror}. "
            "Set GENONAUT_DATA to a folder that can be written."
        ) from exc
    parent = values.get("GENONAUT_PARENT_PID")
    host = values.get("GENONAUT_HOST") or Settings.host
    return Settings(
        data_folder=data_folder,
        host=host,
        port=read_port(values),
        comfyui_urls=read_comfyui_urls(values),
        database_url=values.get("GENONAUT_DATABASE_URL")
        or f"sqlite+aiosqlite:///{(data_folder / 'genonaut.sqlite3').as_posix()}",
        queue_url=values.get("GENONAUT_QUEUE_URL") or f"sqlite:///{(data_folder / 'queue.sqlite3').as_posix()}",
        pairing_secret=pairing_secret,
        access=read_access(values, host),
        trusted_proxies=read_networks(values, "GENONAUT_TRUSTED_PROXIES", LOOPBACK_NETWORKS),
        proxy_user_header=values.get("GENONAUT_PROXY_USER_HEADER") or Settings.proxy_user_header,
        allowed_origins=read_origins(values, "GENONAUT_ALLOWED_ORIGINS"),
        proxy_role=read_choice(values, "GENONAUT_PROXY_ROLE", PROXY_ROLES),
        default_plan=values.get("GENONAUT_DEFAULT_PLAN") or Settings.default_plan,
        open_plan=values.get("GENONAUT_OPEN_PLAN") or Settings.open_plan,
        keep_rule_texts=read_choice(values, "GENONAUT_KEEP_RULE_TEXTS", YES_OR_NO) == "yes",
        **read_moderation(values),
        cookie_secure=read_choice(values, "GENONAUT_COOKIE_SECURE", YES_OR_NO) == "yes",
        session_idle_s=read_lifetime(values, "GENONAUT_SESSION_IDLE_S", Settings.session_idle_s),
        session_at_most_s=read_lifetime(values, "GENONAUT_SESSION_AT_MOST_S", Settings.session_at_most_s),
        parent_pid=read_number(values, "GENONAUT_PARENT_PID", 0) if parent else None,
        trash_days=read_count(values, "GENONAUT_TRASH_DAYS", Settings.trash_days),
        waiting_at_most_s=read_time(values, "GENONAUT_WAITING_AT_MOST_S", Settings.waiting_at_most_s),
        waiting_at_most=read_count(values, "GENONAUT_WAITING_AT_MOST", Settings.waiting_at_most),
        starting_at_most_s=read_time(values, "GENONAUT_STARTING_AT_MOST_S", Settings.starting_at_most_s),
        silent_at_most_s=read_time(values, "GENONAUT_SILENT_AT_MOST_S", Settings.silent_at_most_s),
        worker=read_choice(values, "GENONAUT_WORKER", WORKERS),
        log_format=read_choice(values, "GENONAUT_LOG", LOG_FORMATS),
    )


def default_data_folder() -> Path:
    """Where data lies when nobody said so: the place that the operating system has for a person's application data."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "genonaut" / "data"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "genonaut"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "genonaut"


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
    port = read_number(values, "GENONAUT_PORT", Settings.port)
    if not 0 < port <= HIGHEST_PORT:
        raise SettingsUnusable(f"GENONAUT_PORT must be a port between 1 and {HIGHEST_PORT}, not {port}.")
    return port


def read_comfyui_urls(values: Mapping[str, str]) -> tuple[str, ...]:
    """Each of them once, in the order in which they were named."""
    text = values.get("GENONAUT_COMFYUI_URL") or ",".join(Settings.comfyui_urls)
    urls = [url.strip().rstrip("/") for url in text.split(",") if url.strip()]
    for url in urls:
        if not is_plain(url):  # not repeated: there may be a password in it
            raise SettingsUnusable(
                "GENONAUT_COMFYUI_URL must hold no name, password, query or fragment (no @, ? or #), since addresses "
                "are shown and logged. Write http://HOST:PORT; a proxy on this machine can add a password."
            )
        if not url.startswith(("http://", "https://")):
            raise SettingsUnusable(f"GENONAUT_COMFYUI_URL must begin with http:// or https://, not be {url!r}.")
    return tuple(dict.fromkeys(urls))


def read_access(values: Mapping[str, str], host: str) -> Access:
    """
    Raises:
        SettingsUnusable: It would let in everybody who reaches this address.
    """
    is_private = is_loopback_host(host)
    modes = (Access.OPEN, Access.ACCOUNTS, Access.PROXY) if is_private else (Access.ACCOUNTS, Access.PROXY, Access.OPEN)
    access = Access(read_choice(values, "GENONAUT_ACCESS", tuple(mode.value for mode in modes)))
    if access is Access.OPEN and not is_private:
        raise SettingsUnusable(
            f"GENONAUT_ACCESS=open lets in everybody who reaches {host}, and everything would be everybody's. "
            "Set GENONAUT_ACCESS=accounts, or leave GENONAUT_HOST at 127.0.0.1."
        )
    return access


def read_networks(values: Mapping[str, str], name: str, default: str) -> tuple[Network, ...]:
    """Addresses and networks, separated by commas."""
    texts = [text.strip() for text in (values.get(name) or default).split(",") if text.strip()]
    try:
        return tuple(ipaddress.ip_network(text) for text in texts)
    except ValueError as exc:
        raise SettingsUnusable(f"{name} must hold addresses or networks such as 10.0.0.0/8, and {exc}.") from exc


def read_origins(values: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Websites as browsers write them in `Origin`; never all of them."""
    origins = [text.strip().lower().rstrip("/") for text in values.get(name, "").split(",") if text.strip()]
    for origin in origins:
        if not ORIGIN.fullmatch(origin):
            raise SettingsUnusable(f"{name} must hold websites such as https://tools.example, not {origin!r}.")
    return tuple(origins)


def read_moderation(values: Mapping[str, str]) -> dict[str, Any]:
    """
    Raises:
        SettingsUnusable: Nobody could be asked like that.
    """
    url, secret = values.get("GENONAUT_MODERATION_URL", ""), values.get("GENONAUT_MODERATION_SECRET", "")
    timeout_s = read_number(values, "GENONAUT_MODERATION_TIMEOUT_S", Settings.moderation_timeout_s)
    if not 0 < timeout_s <= MODERATION_AT_MOST_S:
        raise SettingsUnusable(
            f"GENONAUT_MODERATION_TIMEOUT_S must be between 1 and {MODERATION_AT_MOST_S}, not {timeout_s}."
        )
    if url and not (url.startswith(("http://", "https://")) and is_plain(url)):  # not repeated: a password in it
        raise SettingsUnusable(
            "GENONAUT_MODERATION_URL must begin with http:// or https:// and hold no name, password, query or fragment."
        )
    try:
        key = read_key(secret) if url else b""
    except ValueError as exc:
        raise SettingsUnusable(
            "GENONAUT_MODERATION_SECRET must be whsec_ and 24 to 64 bytes in base64 (openssl rand -base64 32), "
            f"and {exc}."
        ) from exc
    return {
        "moderation_url": url,
        "moderation_secret": secret if key else "",
        "moderation_timeout_s": timeout_s,
        "moderation_on_failure": read_choice(values, "GENONAUT_MODERATION_ON_FAILURE", ("allow", "refuse")),
    }


def read_choice(values: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    """One of these; the first of them where nothing is said."""
    chosen = values.get(name) or choices[0]
    if chosen not in choices:
        raise SettingsUnusable(f"{name} must be {' or '.join(choices)}, not {chosen!r}.")
    return chosen


def read_count(values: Mapping[str, str], name: str, default: int) -> int:
    number = read_number(values, name, default)
    if not 0 <= number <= COUNT_AT_MOST:
        raise SettingsUnusable(f"{name} must be a whole number between 0 and {COUNT_AT_MOST}, not {number}.")
    return number


def read_time(values: Mapping[str, str], name: str, default: int) -> int:
    """Seconds after which something is given up; 0: never."""
    seconds = read_count(values, name, default)
    if 0 < seconds < SHORTEST_TIME_S:
        raise SettingsUnusable(f"{name} must be 0 or at least {SHORTEST_TIME_S} seconds, not {seconds}.")
    return seconds


def read_lifetime(values: Mapping[str, str], name: str, default: int) -> int:
    """Seconds after which something ends for sure."""
    seconds = read_number(values, name, default)
    if not SHORTEST_TIME_S <= seconds <= LONGEST_LIFETIME_S:
        raise SettingsUnusable(f"{name} must be between {SHORTEST_TIME_S} and {LONGEST_LIFETIME_S}, not {seconds}.")
    return seconds


def read_number(values: Mapping[str, str], name: str, default: int) -> int:
    text = values.get(name)
    if not text:
        return default
    try:
        return int(text)
    except ValueError as exc:
        raise SettingsUnusable(f"{name} must be a whole number, not {text!r}.") from exc
