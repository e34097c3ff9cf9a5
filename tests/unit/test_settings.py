"""What can be set, and what is said when it cannot be used."""

from __future__ import annotations

import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sidecar.errors import SettingsUnusable
from sidecar.settings import Settings, read_or_make_secret, read_settings


def test_everything_has_a_default_but_lies_in_the_data_folder(tmp_path: Path):
    """Nothing has to be set, nothing has to be installed beside it."""
    settings = read_settings({"GENONAUT_DATA": str(tmp_path / "new")})

    assert (tmp_path / "new").is_dir()
    assert settings.database_url.endswith("/new/genonaut.sqlite3")
    assert settings.queue_url.endswith("/new/queue.sqlite3")
    assert (settings.host, settings.port) == ("127.0.0.1", 8190)


def test_the_pairing_secret_is_made_once_and_then_read(tmp_path: Path):
    """Pack and sidecar find the same one, whoever starts first."""
    first, second = (read_settings({"GENONAUT_DATA": str(tmp_path)}).pairing_secret for _ in range(2))

    assert first == second
    assert len(first) >= 43


def test_all_who_need_the_secret_at_once_get_the_same_one(tmp_path: Path):
    """Pack and sidecar may start in the same moment; nobody ever reads a file that is only half there."""
    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(read_or_make_secret, [tmp_path / "pairing-secret"] * 64))

    assert len(found) == 1
    assert "" not in found
    assert [file.name for file in tmp_path.iterdir()] == ["pairing-secret"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such file modes")
def test_nobody_else_can_read_the_pairing_secret(tmp_path: Path):
    """Another account on the same machine must not be able to submit in somebody's name."""
    read_settings({"GENONAUT_DATA": str(tmp_path)})

    assert stat.S_IMODE((tmp_path / "pairing-secret").stat().st_mode) == 0o600


def test_a_secret_that_is_set_is_not_written_down(tmp_path: Path):
    """Who sets it has a place of their own for secrets."""
    settings = read_settings({"GENONAUT_DATA": str(tmp_path), "GENONAUT_PAIRING_SECRET": "given"})

    assert settings.pairing_secret == "given"
    assert not (tmp_path / "pairing-secret").exists()


@pytest.mark.parametrize("name", ["GENONAUT_PORT", "GENONAUT_PARENT_PID"])
def test_a_number_that_is_none_is_refused_by_name(tmp_path: Path, name: str):
    """The sentence names the variable and shows what stood in it."""
    with pytest.raises(SettingsUnusable, match=f"{name} must be a whole number, not 'many'"):
        read_settings({"GENONAUT_DATA": str(tmp_path), name: "many"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GENONAUT_PORT", "99999"),
        ("GENONAUT_PORT", "-1"),
        ("GENONAUT_COMFYUI_URL", "127.0.0.1:8188"),
        ("GENONAUT_COMFYUI_URL", "http://127.0.0.1:8188,127.0.0.1:8189"),
        ("GENONAUT_LOG", "xml"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(tmp_path: Path, name: str, value: str):
    """At the start, and not as a traceback later."""
    with pytest.raises(SettingsUnusable, match=name):
        read_settings({"GENONAUT_DATA": str(tmp_path), name: value})


@pytest.mark.parametrize(
    "value",
    ["https://user:secret@gpu", "user:secret@gpu", "http://gpu?token=secret", "http://gpu,http://u:se,cret@gpu"],
)
def test_an_address_with_a_password_is_refused_without_repeating_it(tmp_path: Path, value: str):
    """Else it would stand in names, in logs and in what everybody may see."""
    with pytest.raises(SettingsUnusable, match="GENONAUT_COMFYUI_URL must hold no name, password") as refused:
        read_settings({"GENONAUT_DATA": str(tmp_path), "GENONAUT_COMFYUI_URL": value})

    assert "secret" not in refused.value.message


def test_a_data_folder_that_cannot_be_made_is_told_with_what_to_do(tmp_path: Path):
    """A file stands where the folder should be."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(SettingsUnusable, match="Set GENONAUT_DATA to a folder that can be written"):
        read_settings({"GENONAUT_DATA": str(tmp_path / "file" / "data")})


def test_every_setting_is_explained_where_it_stands_and_in_the_readme():
    """A setting that nobody can find is not there."""
    source = Path(sys.modules["sidecar.settings"].__file__ or "").read_text(encoding="utf-8")
    readme = (Path(__file__).parents[2] / "sidecar" / "README.md").read_text(encoding="utf-8")
    variables = {
        {"data_folder": "GENONAUT_DATA", "comfyui_urls": "GENONAUT_COMFYUI_URL"}.get(
            name, f"GENONAUT_{name.removesuffix('_format').upper()}"
        )
        for name in Settings.__dataclass_fields__
    }

    assert {variable for variable in variables if f"`{variable}`" not in source} == set()
    assert {variable for variable in variables if f"`{variable}`" not in readme} == set()


@pytest.mark.parametrize(
    ("host", "access"), [("127.0.0.1", "open"), ("localhost", "open"), ("::1", "open"), ("0.0.0.0", "accounts")]
)
def test_access_is_open_on_loopback_alone_where_nobody_said_so(tmp_path: Path, host: str, access: str):
    """Whoever lets others reach it lets nobody in by accident."""
    settings = read_settings({"GENONAUT_DATA": str(tmp_path), "GENONAUT_HOST": host})

    assert access == settings.access.value


def test_open_access_beyond_loopback_is_refused(tmp_path: Path):
    """The sentence says what to set."""
    with pytest.raises(SettingsUnusable, match="Set GENONAUT_ACCESS=accounts"):
        read_settings({"GENONAUT_DATA": str(tmp_path), "GENONAUT_HOST": "192.168.1.5", "GENONAUT_ACCESS": "open"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GENONAUT_ACCESS", "everybody"),
        ("GENONAUT_TRUSTED_PROXIES", "10.0.0.0/8, my-proxy"),
        ("GENONAUT_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("GENONAUT_ALLOWED_ORIGINS", "*"),
        ("GENONAUT_ALLOWED_ORIGINS", "null"),
        ("GENONAUT_ALLOWED_ORIGINS", "https://tools.example/page"),
        ("GENONAUT_SESSION_IDLE_S", "1"),
        ("GENONAUT_SESSION_AT_MOST_S", "999999999"),
        ("GENONAUT_COOKIE_SECURE", "maybe"),
        ("GENONAUT_PROXY_ROLE", "admin"),
    ],
)
def test_what_says_who_is_let_in_is_never_guessed(tmp_path: Path, name: str, value: str):
    """A slip of the pen lets nobody in that was not meant."""
    with pytest.raises(SettingsUnusable, match=name):
        read_settings({"GENONAUT_DATA": str(tmp_path), name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GENONAUT_MODERATION_SECRET", ""),
        ("GENONAUT_MODERATION_SECRET", "whsec_" + "a" * 16),
        ("GENONAUT_MODERATION_SECRET", "no base64!"),
        ("GENONAUT_MODERATION_URL", "ftp://127.0.0.1/"),
        ("GENONAUT_MODERATION_URL", "http://me:secret@127.0.0.1/"),
        ("GENONAUT_MODERATION_TIMEOUT_S", "0"),
        ("GENONAUT_MODERATION_TIMEOUT_S", "31"),
        ("GENONAUT_MODERATION_ON_FAILURE", "perhaps"),
    ],
)
def test_a_moderation_service_is_asked_with_proof_or_not_at_all(tmp_path: Path, name: str, value: str):
    """Whatever is wrong is said at the start, and no secret with it."""
    usable = {
        "GENONAUT_DATA": str(tmp_path),
        "GENONAUT_MODERATION_URL": "http://127.0.0.1:9/moderate",
        "GENONAUT_MODERATION_SECRET": "whsec_" + "a" * 40,
    }

    assert read_settings(usable).moderation_timeout_s == 2
    with pytest.raises(SettingsUnusable, match=name) as refused:
        read_settings({**usable, name: value})
    assert "secret@" not in str(refused.value)
