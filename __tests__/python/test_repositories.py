"""A new home folder gets the environment's repositories once, and nothing that exists is touched."""

import fcntl
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sagemaker_marimo import repositories, state
from sagemaker_marimo.checks.problem import Findings, Problem
from sagemaker_marimo.checks.repositories import repositories as check

HOST = "https://git.example.com/"
TOOLS = f"{HOST}acme/tools.git"
MODELS = f"{HOST}acme/models"
MISSING = f"{HOST}acme/missing"

Start = Callable[..., str]


def run_git(folder: Path, *command: str) -> str:
    git = ["git", "-C", str(folder), *command]
    return subprocess.run(git, check=True, capture_output=True, text=True).stdout  # noqa: S603  # no shell


@pytest.fixture
def served(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Repositories in a folder, which git takes for https://git.example.com."""
    folder = tmp_path / "served"
    config = tmp_path / "gitconfig"
    config.write_text(
        f'[url "file://{folder}/"]\n insteadOf = {HOST}\n[user]\n name = a\n email = a@example.com\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file")
    for name in ("tools.git", "models"):
        repository = folder / "acme" / name
        repository.mkdir(parents=True)
        (repository / "README.md").write_text(f"{name}\n")
        run_git(repository, "init", "--quiet")
        run_git(repository, "add", ".")
        run_git(repository, "commit", "--quiet", "-m", "Begin")
    return folder


@pytest.fixture
def start(home: Path, served: Path, capsys: pytest.CaptureFixture[str]) -> Start:
    """Runs repositories.py as install.sh does at each start. Returns its output."""

    def run(kind: str, *urls: str) -> str:
        state.PAYLOAD.mkdir(parents=True, exist_ok=True)
        (state.PAYLOAD / "settings.env").write_text(f"MARIMO_REPOSITORIES={' '.join(urls)}\n")
        repositories.main(kind)
        return capsys.readouterr().out

    return run


def test_new_home_gets_each_repository(start: Start, home: Path) -> None:
    output = start("new", TOOLS, MODELS)
    assert (home / "tools/README.md").read_text() == "tools.git\n"
    assert (home / "models/README.md").read_text() == "models\n"
    assert f"{TOOLS} was cloned into {home / 'tools'}\n" in output
    assert run_git(home / "models", "config", "remote.origin.url") == f"{MODELS}\n"


def test_used_home_gets_none(start: Start, home: Path) -> None:
    assert start("used", TOOLS) == ""
    assert not (home / "tools").exists()


def test_what_a_user_deletes_does_not_come_back(start: Start, home: Path) -> None:
    start("new", MODELS)
    (home / "models").rename(home / "elsewhere")
    assert start("used", MODELS) == ""
    assert not (home / "models").exists()


@pytest.mark.parametrize("kind", ["file", "folder", "empty folder", "broken link"])
def test_what_exists_is_kept(start: Start, home: Path, kind: str) -> None:
    mine = home / "tools"
    match kind:
        case "file":
            mine.write_text("mine\n")
        case "broken link":
            mine.symlink_to("nowhere")
        case _:
            mine.mkdir()
            if kind == "folder":
                (mine / "README.md").write_text("mine\n")
    before = sorted(os.walk(home / "tools")), mine.is_symlink()
    output = start("new", TOOLS, MODELS)
    assert (sorted(os.walk(home / "tools")), mine.is_symlink()) == before
    if kind == "folder":
        assert (mine / "README.md").read_text() == "mine\n"
    assert f"{TOOLS} was not cloned: {mine} already exists and is left unchanged\n" in output
    assert (home / "models/README.md").exists()


def test_what_appears_during_the_clone_is_kept(
    start: Start, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git_clone = repositories.git_clone

    def slow(url: str, target: Path) -> str | None:
        (home / "tools").mkdir()
        return git_clone(url, target)

    monkeypatch.setattr(repositories, "git_clone", slow)
    assert "already exists and is left unchanged" in start("new", TOOLS)
    assert list((home / "tools").iterdir()) == []
    assert not (state.STATE / "cloning").exists()


def test_a_failure_is_logged_and_tried_again(start: Start, home: Path, served: Path) -> None:
    output = start("new", MISSING, MODELS)
    assert f"{MISSING} was not cloned, and is tried again at the next start: fatal: " in output
    assert (home / "models/README.md").exists()
    (served / "acme/models").rename(served / "acme/missing")
    assert f"{MISSING} was cloned" in start("used", MISSING, MODELS)
    assert start("used", MISSING, MODELS) == ""


def test_the_doctor_names_what_was_not_cloned_and_why(start: Start, home: Path, served: Path) -> None:
    assert check(Findings()) == "none is waiting to be cloned"
    start("new", MISSING, MODELS)
    with pytest.raises(Problem) as raised:
        check(Findings())
    assert str(raised.value).startswith(f"1 not cloned\n       {MISSING}: fatal: ")
    assert "install.sh" in raised.value.remedy
    # Control: a repository that was removed from the settings, or cloned by a later start, is not named.
    start("used", MODELS)
    assert check(Findings()) == "none is waiting to be cloned"
    start("new", MISSING)
    (served / "acme/models").rename(served / "acme/missing")
    start("used", MISSING)
    assert check(Findings()) == "none is waiting to be cloned"


def test_the_doctor_names_a_repository_whose_clone_was_interrupted(
    start: Start, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(url: str, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(repositories, "git_clone", stopped)
    with pytest.raises(KeyboardInterrupt):
        start("new", TOOLS)
    with pytest.raises(Problem, match=f"{TOOLS}: not cloned yet"):
        check(Findings())


def test_a_second_app_leaves_them_to_the_first(start: Start, home: Path) -> None:
    with (state.STATE / "repositories.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert start("new", TOOLS) == ""
    assert not (home / "tools").exists()


def test_a_full_home_is_named(start: Start, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(waiting: dict[str, str | None]) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(repositories, "write_waiting", full)
    assert "not all repositories could be cloned: [Errno 28] No space left" in start("new", TOOLS)


def test_a_removed_setting_is_not_tried_again(start: Start, home: Path) -> None:
    start("new", MISSING)
    assert start("used", MODELS) == ""
    assert json.loads((state.STATE / "repositories.json").read_text()) == {}


def test_an_interrupted_start_goes_on(start: Start, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(url: str, target: Path) -> None:
        target.mkdir()
        (target / "half").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        context.setattr(repositories, "git_clone", stopped)
        start("new", TOOLS)
    assert not (home / "tools").exists()
    assert "was cloned" in start("used", TOOLS)
    assert not (home / "tools/half").exists()


def git(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program with the name of git."""
    folder.mkdir()
    (folder / "git").write_text(f"#!/bin/bash\n{script}\n")
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_a_clone_that_hangs_is_ended(
    start: Start, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As git does, it has a child that keeps its output open.
    git(tmp_path / "bin", "sleep 60 & wait", monkeypatch)
    monkeypatch.setattr(repositories, "TIMEOUT", 0.5)
    started = time.monotonic()
    assert "it took longer than 0 s" in start("new", TOOLS)
    assert time.monotonic() - started < 30, "its child was ended too"


def test_credentials_are_not_logged_or_asked_for(
    start: Start, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = "fatal: unable to access 'https://me:secret@git.example.com/a': 403"
    git(tmp_path / "bin", f'env >{tmp_path}/env; echo "{refusal}" >&2; exit 128', monkeypatch)
    monkeypatch.delenv("GIT_ALLOW_PROTOCOL")
    output = start("new", TOOLS)
    assert "unable to access 'https://git.example.com/a': 403" in output
    assert "secret" not in output
    assert {"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "GIT_ALLOW_PROTOCOL=https"} <= set(
        (tmp_path / "env").read_text().splitlines()
    )


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'fatal: no route\nCheck the address.' >&2; exit 128", "fatal: no route"),
        ("echo 'killed' >&2; exit 137", "killed"),
        ("exit 3", "git ended with 3"),
    ],
)
def test_the_reason_is_one_line(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    git(tmp_path / "bin", script, monkeypatch)
    assert start("new", TOOLS).endswith(f"at the next start: {reason}\n")


def test_an_image_without_git_is_named(
    start: Start, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert "git does not run: No such file or directory" in start("new", TOOLS)


def test_nothing_is_written_without_the_setting(start: Start, home: Path) -> None:
    assert start("new") == ""
    assert not list(state.STATE.glob("repositories*"))
    assert start("used", TOOLS) == ""
