"""What `install.py` says when something is missing, and what it never touches."""

from __future__ import annotations

import ast
import errno
import socket
from pathlib import Path

import pytest

import install
from comfy_nodes import locations

PACK = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("GENONAUT_CACHE", str(folder))
    return folder


def test_an_old_python_gets_as_far_as_the_sentence() -> None:
    """
    The check of the version is of use only where the file can be read: its grammar is that of Python 3.7.
    """
    tree = ast.parse((PACK / "install.py").read_text(encoding="utf-8"), feature_version=(3, 7))

    before_check = [node for node in tree.body if node.lineno < find_version_check(tree).lineno]
    assert not any(isinstance(node, ast.FunctionDef | ast.ImportFrom) and uses_new_names(node) for node in before_check)


def find_version_check(tree: ast.Module) -> ast.stmt:
    return next(node for node in tree.body if isinstance(node, ast.If))


def uses_new_names(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module in {"__future__", "comfy_nodes", "collections.abc"}


@pytest.mark.parametrize("lock_file", ["sidecar/requirements.lock", "tests/requirements.lock"])
def test_lock_files_name_no_index(lock_file: str) -> None:
    """
    Which index packages come from is the machine's business.
    """
    content = (PACK / lock_file).read_text(encoding="utf-8")

    assert "://" not in content
    assert "index-url" not in content


@pytest.mark.parametrize(
    "output",
    [
        "WARNING: Retrying ... NewConnectionError('Failed to establish a new connection: [Errno -3]')",
        "error: Failed to fetch: `simple/saq/`\n  Caused by: dns error: failed to lookup address information",
        "npm error code ENOTFOUND",
    ],
)
def test_no_network_is_said_in_one_sentence(output: str) -> None:
    """
    Whichever program it was: what failed, why, and what to do.
    """
    sentence = install.explain_failure("fetching packages", output)

    assert sentence == (
        "Fetching packages failed because the package index cannot be reached; "
        "check the network (or pip's proxy settings) and run this again."
    )


def test_a_full_disk_is_said_in_one_sentence(cache: Path) -> None:
    """
    The same sentence whether pip or we met the end of the disk.
    """
    from_pip = install.explain_failure("fetching packages", "ERROR: [Errno 28] No space left on device")
    from_us = install.explain_os_error(OSError(errno.ENOSPC, "No space left on device"))

    assert from_pip == from_us
    assert "GENONAUT_CACHE" in from_us
    assert str(cache) in from_us


def test_any_other_failure_keeps_all_that_was_said(cache: Path) -> None:
    """
    The last line is in the sentence, everything in a file that it names.
    """
    sentence = install.explain_failure("fetching packages", "first\nthe reason\n")

    assert "the reason" in sentence
    assert (cache / "last-failure.log").read_text(encoding="utf-8") == "first\nthe reason\n"


def test_a_cache_that_cannot_be_written_is_said_in_one_sentence(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A file where the cache folder should be: status 1, one sentence, no traceback.
    """
    (cache / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("GENONAUT_CACHE", str(cache / "file"))

    status = install.main([])

    said = capsys.readouterr().err.strip()
    assert status == 1
    assert "GENONAUT_CACHE" in said
    assert "\n" not in said


def test_a_folder_without_comfyui_is_said_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    `demo --comfyui FOLDER` with a folder that has no `main.py`.
    """
    status = install.main(
        ["demo", "--comfyui", str(tmp_path), "--port", str(free_port()), "--sidecar-port", str(free_port())]
    )

    said = capsys.readouterr().err.strip()
    assert status == 1
    assert "no main.py" in said
    assert "\n" not in said


def test_a_taken_port_is_said_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Before anything is fetched: which port, for what, and the option that takes another.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        status = install.main(["demo", "--once", "--port", str(port)])

    assert status == 1
    assert capsys.readouterr().err.strip() == (
        f"Port {port} for ComfyUI is taken; stop what listens there or choose another with --port."
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder that a sidecar has worked in, and nothing of the person's own in reach."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "pairing-secret").write_text("secret", encoding="utf-8")
    monkeypatch.setattr(locations, "data_folders", lambda _: [folder])
    return folder


def test_uninstall_removes_what_was_made_and_keeps_data(
    cache: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Environments, tools and fetched things go; generations stay, and the person is told where they are.
    """
    for name in install.CACHE_SUBFOLDERS:
        (cache / name / "thing").mkdir(parents=True)

    status = install.main(["uninstall"])

    assert status == 0
    assert not cache.exists()
    assert data.exists()
    assert str(data) in capsys.readouterr().out


def test_uninstall_leaves_strangers_in_the_cache_folder_alone(cache: Path, data: Path) -> None:
    """
    Whoever set GENONAUT_CACHE to a folder with other things in it keeps them.
    """
    (cache / "holiday pictures").mkdir()

    install.main(["uninstall"])

    assert (cache / "holiday pictures").exists()


def test_purge_removes_data_too(data: Path) -> None:
    """
    Only when it was said so.
    """
    install.main(["uninstall", "--purge"])

    assert not data.exists()


def test_purge_touches_no_folder_that_no_sidecar_has_worked_in(data: Path) -> None:
    """
    A mistyped GENONAUT_DATA costs nobody a folder.
    """
    (data / "pairing-secret").unlink()

    install.main(["uninstall", "--purge"])

    assert data.exists()
