from pathlib import Path

import pytest

from sagemaker_marimo import state


def test_token_is_made_once_and_for_its_owner_alone(home: Path) -> None:
    file = state.token_file()
    token = file.read_text()
    assert len(token) >= 43, "32 random bytes"
    assert file.stat().st_mode & 0o777 == 0o600
    assert state.token_file().read_text() == token


def test_token_is_not_open_to_others_for_a_moment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, mode: int) -> None:
        raise AssertionError(f"{path} was not made with mode {mode:o}")

    monkeypatch.setattr(Path, "chmod", refuse)
    assert state.token_file().stat().st_mode & 0o777 == 0o600


def test_token_is_another_in_another_space(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = state.token_file().read_text()
    monkeypatch.setattr(state, "STATE", tmp_path / "another/state")
    assert state.token_file().read_text() != first


@pytest.mark.parametrize("content", ["", " \n"])
def test_empty_token_is_made_anew(content: str, home: Path) -> None:
    file = state.STATE / "token"
    file.write_text(content)
    file.chmod(0o644)
    assert len(state.token_file().read_text()) >= 43
    assert file.stat().st_mode & 0o777 == 0o600


def test_token_that_others_could_read_is_closed(home: Path) -> None:
    state.token_file().chmod(0o640)
    assert state.token_file().stat().st_mode & 0o777 == 0o600


def test_token_is_not_touched_where_nothing_is_to_be_done(home: Path) -> None:
    """A home that is read-only refuses even what would change nothing."""
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
    assert state.installed_environment() == environment, "resolved: a running server stays in its own"


def test_environment_that_is_not_finished(environment: Path) -> None:
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
