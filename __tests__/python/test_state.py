import os
from pathlib import Path

import pytest

from sagemaker_marimo import image, state


@pytest.mark.parametrize(
    ("home", "is_mounted", "expected"),
    [
        ("root", True, "volume"),
        ("root", False, "root"),
        ("volume", True, "volume"),
        ("volume/user", True, "volume/user"),
    ],
)
def test_home_folder_of_an_image(
    home: str, is_mounted: bool, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A root image's HOME is not on the volume, so it would be lost at each start."""
    volume = str(tmp_path / "volume")
    monkeypatch.setattr(image, "VOLUME", volume)
    monkeypatch.setattr(os.path, "ismount", lambda path: is_mounted and path == volume)
    monkeypatch.setenv("HOME", str(tmp_path / home))
    assert state.home_folder() == tmp_path / expected


def test_token_is_created_once_and_is_private(home: Path) -> None:
    file = state.token_file()
    token = file.read_text()
    assert len(token) >= 43, "32 random bytes"
    assert file.stat().st_mode & 0o777 == 0o600
    assert state.token_file().read_text() == token


def test_token_is_private_from_the_start(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, mode: int) -> None:
        raise AssertionError(f"{path} was not created with mode {mode:o}")

    monkeypatch.setattr(Path, "chmod", refuse)
    assert state.token_file().stat().st_mode & 0o777 == 0o600


def test_each_space_has_its_own_token(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = state.token_file().read_text()
    monkeypatch.setattr(state, "STATE", tmp_path / "another/state")
    assert state.token_file().read_text() != first


@pytest.mark.parametrize("content", ["", " \n"])
def test_empty_token_is_replaced(content: str, home: Path) -> None:
    file = state.STATE / "token"
    file.write_text(content)
    file.chmod(0o644)
    assert len(state.token_file().read_text()) >= 43
    assert file.stat().st_mode & 0o777 == 0o600


def test_readable_token_is_made_private(home: Path) -> None:
    state.token_file().chmod(0o640)
    assert state.token_file().stat().st_mode & 0o777 == 0o600


def test_valid_token_is_not_changed(home: Path) -> None:
    """On a read-only home, chmod fails even if it would change nothing."""
    before = state.token_file().stat()
    after = state.token_file().stat()
    assert (before.st_ino, before.st_ctime_ns) == (after.st_ino, after.st_ctime_ns)


def test_settings_of_the_payload_and_of_the_lifecycle_script(home: Path) -> None:
    assert state.settings() == {}
    state.PAYLOAD.mkdir(parents=True)
    (state.PAYLOAD / "settings.env").write_text(
        "MARIMO_TRANSPORT=sse\nMARIMO_INDEX=https://a/?b=c\n\n# none\n"
    )
    (state.STATE / "space.env").write_text("MARIMO_BUCKET=a-bucket\nMARIMO_TRANSPORT=polling\n")
    assert state.settings() == {
        "MARIMO_TRANSPORT": "polling",
        "MARIMO_INDEX": "https://a/?b=c",
        "MARIMO_BUCKET": "a-bucket",
    }


def test_environment_in_place(environment: Path) -> None:
    assert state.installed_environment() == environment, (
        "resolved, so that a running server stays in its environment"
    )


def test_incomplete_environment(environment: Path) -> None:
    (environment / ".complete").unlink()
    assert state.installed_environment() is None


def test_environment_of_another_python(environment: Path) -> None:
    other = environment.rename(environment.with_name("3.1-0123456789abcdef"))
    current = other.with_name("current")
    current.unlink()
    current.symlink_to(other.name)
    assert state.installed_environment() is None


def test_no_environment(home: Path) -> None:
    assert state.installed_environment() is None


@pytest.mark.parametrize(
    ("status", "failed"), [("failed\n", True), ("installing\n", False), ("installed\n", False), (None, False)]
)
def test_installation_failed(status: str | None, failed: bool, home: Path) -> None:
    if status is not None:
        (state.STATE / "status").write_text(status)
    assert state.installation_failed() == failed


def test_tail_of_the_log(home: Path) -> None:
    assert state.install_log_tail() == ""
    state.INSTALL_LOG.write_bytes(b"\xff no UTF-8\n" + b"".join(b"%d\n" % line for line in range(20)))
    assert state.install_log_tail(3) == "17\n18\n19"
    assert state.install_log_tail(100).startswith("� no UTF-8\n0\n")
