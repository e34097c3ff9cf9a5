"""What the pack reads from the environment."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from comfy_nodes import settings
from comfy_nodes.settings import SettingsUnusable, read_settings


def test_nothing_said_means_a_sidecar_of_our_own_on_loopback(tmp_path: Path) -> None:
    """Data in ComfyUI's user folder, port 8190, and a secret that is made once and stays."""
    first, second = read_settings(tmp_path / "user", {}), read_settings(tmp_path / "user", {})

    assert first == second
    assert (first.data_folder, first.sidecar_url, first.start_sidecar) == (
        (tmp_path / "user").resolve(),
        "http://127.0.0.1:8190",
        True,
    )
    assert len(first.pairing_secret) == 43


def test_what_is_said_counts(tmp_path: Path) -> None:
    """Each variable has its value."""
    said = {
        "GENONAUT_DATA": str(tmp_path / "data"),
        "GENONAUT_PORT": "8200",
        "GENONAUT_SIDECAR_URL": "https://sidecar.example/",
        "GENONAUT_SIDECAR_START": "Yes",
        "GENONAUT_PAIRING_SECRET": "secret",
    }
    settings = read_settings(tmp_path, said)

    assert settings.data_folder == (tmp_path / "data").resolve()
    assert settings.sidecar_url == "https://sidecar.example"
    assert (settings.sidecar_port, settings.start_sidecar, settings.pairing_secret) == (8200, True, "secret")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GENONAUT_PORT", "http"),
        ("GENONAUT_PORT", "0"),
        ("GENONAUT_SIDECAR_START", "perhaps"),
        ("GENONAUT_SIDECAR_URL", "ftp://x"),
    ],
)
def test_what_cannot_be_used_is_said_by_name(tmp_path: Path, name: str, value: str) -> None:
    """One sentence, with the variable and its value."""
    with pytest.raises(SettingsUnusable, match=f"{name}.*{value}"):
        read_settings(tmp_path, {name: value})


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """With what to do now."""
    (tmp_path / "file").touch()
    with pytest.raises(SettingsUnusable, match="Set GENONAUT_DATA to a folder that can be written"):
        read_settings(tmp_path, {"GENONAUT_DATA": str(tmp_path / "file" / "data")})


@pytest.mark.parametrize("said", [{"GENONAUT_SIDECAR_URL": "http://elsewhere:8190"}, {"GENONAUT_SIDECAR_START": "No"}])
def test_a_sidecar_that_runs_elsewhere_is_not_started_here(tmp_path: Path, said: dict[str, str]) -> None:
    """One that was given by its address belongs to somebody else, unless it is said otherwise."""
    assert read_settings(tmp_path, said).start_sidecar is False


@pytest.mark.parametrize("refusal", [errno.EPERM, errno.ENOTSUP, errno.EACCES])
def test_where_files_cannot_be_linked_the_secret_is_made_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: int
) -> None:
    """Disks of cameras and shares of others know no links."""

    def refuse(source: Path, target: Path) -> None:
        raise OSError(refusal, os.strerror(refusal))

    monkeypatch.setattr(os, "rename" if os.name == "nt" else "link", refuse)
    first = read_settings(tmp_path, {}).pairing_secret

    assert len(first) == 43
    assert read_settings(tmp_path, {}).pairing_secret == first
    assert [file.name for file in tmp_path.iterdir()] == ["pairing-secret"]


def test_a_secret_that_is_being_written_is_waited_for(tmp_path: Path) -> None:
    """Half of it would pair with nobody."""
    file, whole = tmp_path / "pairing-secret", "x" * 43
    file.write_text(whole[:10], encoding="ascii")
    writer = threading.Timer(0.1, file.write_text, [whole], {"encoding": "ascii"})
    writer.start()
    read = read_settings(tmp_path, {}).pairing_secret
    writer.join()

    assert read == whole


def test_an_empty_secret_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who made it died before it was written; with an empty one, everybody would be paired."""
    monkeypatch.setattr(settings, "SECRET_WAIT_S", 0.05)
    (tmp_path / "pairing-secret").touch()
    with pytest.raises(SettingsUnusable, match="pairing-secret is empty, delete it"):
        read_settings(tmp_path, {})


@pytest.mark.parametrize(
    ("said", "on_loopback_only", "access", "is_open_to_others"),
    [
        ("", True, "open", False),
        ("", False, "accounts", False),
        ("accounts", True, "accounts", False),
        (" Proxy ", False, "proxy", False),
        ("open", True, "open", False),
        ("open", False, "open", True),
    ],
)
def test_others_are_let_in_only_with_accounts(
    tmp_path: Path, said: str, *, on_loopback_only: bool, access: str, is_open_to_others: bool
) -> None:
    """Nothing said means that where they can reach this ComfyUI they have to log in; open for them is a fault."""
    found = read_settings(tmp_path, {"GENONAUT_ACCESS": said}, on_loopback_only=on_loopback_only)

    assert (found.access, found.is_open_to_others) == (access, is_open_to_others)


def test_what_is_said_of_access_counts(tmp_path: Path) -> None:
    """Each variable has its value; a word that is none of those is refused with the words that are."""
    said = {
        "GENONAUT_PROXY_USER_HEADER": "X-Remote-User",
        "GENONAUT_ALLOWED_ORIGINS": "https://a.example, https://b.example,",
        "GENONAUT_UNKNOWN_ROUTES": "refuse",
        "GENONAUT_WHEN_AWAY": "pass",
    }
    nothing_said, found = read_settings(tmp_path, {}), read_settings(tmp_path, said)

    assert found.proxy_user_header == "X-Remote-User"
    assert found.allowed_origins == {"https://a.example", "https://b.example"}
    assert (found.allows_unknown_routes, found.passes_when_away) == (False, True)
    assert (nothing_said.allows_unknown_routes, nothing_said.passes_when_away) == (True, False)
    assert (nothing_said.proxy_user_header, nothing_said.allowed_origins) == ("X-Forwarded-User", frozenset())
    with pytest.raises(SettingsUnusable, match="open or accounts or proxy"):
        read_settings(tmp_path, {"GENONAUT_ACCESS": "everybody"})


def test_shared_folders_are_folders_that_are_there(tmp_path: Path) -> None:
    """A misspelt one would be missed only when somebody's workflow is refused."""
    fonts, data = tmp_path / "fonts", tmp_path / "data sets, large"
    for folder in (fonts, data):
        folder.mkdir()
    found = read_settings(tmp_path, {"GENONAUT_SHARED_FOLDERS": os.pathsep.join([str(fonts), str(data), ""])})

    assert found.shared_folders == (fonts, data)
    assert read_settings(tmp_path, {}).shared_folders == ()
    for wrong in (str(tmp_path / "fonds"), "fonts"):
        with pytest.raises(SettingsUnusable, match="GENONAUT_SHARED_FOLDERS must be folders that are there"):
            read_settings(tmp_path, {"GENONAUT_SHARED_FOLDERS": wrong})
