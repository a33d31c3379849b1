"""What a person added to marimo's environment, and what becomes of it."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from sagemaker_marimo import packages, state


@pytest.fixture(autouse=True)
def files(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "REQUIREMENTS", home / "requirements.txt")
    monkeypatch.setattr(packages, "ADDED", state.STATE / "added-packages.txt")
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)


def add(environment: Path, name: str, version: str = "1.0", origin: object = None) -> None:
    """As an installer records it (Python Packaging User Guide, "Recording installed projects")."""
    info = packages.site_packages(environment) / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if origin is not None:
        (info / "direct_url.json").write_text(origin if isinstance(origin, str) else json.dumps(origin))


class Installer:
    """Stands for packages.install: knows what was asked for, and refuses what it is told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[bool, str]] = []
        self.refuses: set[str] = set()

    def __call__(self, environment: Path, arguments: Sequence[str], *, offline: bool = False) -> bool:
        last = arguments[-1]
        # packages() finds them in the folder's own order.
        lines = sorted(Path(last).read_text().splitlines()) if last.startswith("/") else [" ".join(arguments)]
        wanted = "\n".join(lines)
        self.calls.append((offline, wanted))
        return not (offline and "offline" in self.refuses) and self.refuses.isdisjoint(lines)


@pytest.fixture
def installer(monkeypatch: pytest.MonkeyPatch) -> Installer:
    installer = Installer()
    monkeypatch.setattr(packages, "install", installer)
    return installer


@pytest.mark.parametrize(
    ("name", "normal"), [("Zope.Interface", "zope-interface"), ("a__b-.c", "a-b-c"), ("plain", "plain")]
)
def test_normalized_name(name: str, normal: str) -> None:
    assert packages.normalized(name) == normal


@pytest.mark.parametrize(
    ("origin", "line"),
    [
        (None, "my-tool==1.0"),
        ("{", "my-tool==1.0"),
        ({}, "my-tool==1.0"),
        ({"url": "https://host/my_tool.whl", "archive_info": {}}, "my-tool @ https://host/my_tool.whl"),
        ({"url": "file:///home/me/tool", "dir_info": {}}, "my-tool @ file:///home/me/tool"),
        ({"url": "file:///home/me/tool", "dir_info": {"editable": True}}, "-e file:///home/me/tool"),
        (
            {"url": "https://host/tool.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "my-tool @ git+https://host/tool.git@abc",
        ),
    ],
)
def test_requirement_that_installs_the_same_again(origin: object, line: str, environment: Path) -> None:
    add(environment, "My_Tool", origin=origin)
    assert packages.packages(environment) == {"my-tool": line}


def test_added_is_what_was_not_built_in(environment: Path) -> None:
    add(environment, "marimo")
    packages.carry_over(environment, environment)
    assert packages.added(environment) == {}
    add(environment, "mine", "2.0")
    assert packages.added(environment) == {"mine": "mine==2.0"}


def test_added_outlives_the_environment(environment: Path, tmp_path: Path) -> None:
    (environment / packages.LOCKED).write_text("{}")
    add(environment, "mine", "2.0")
    add(environment, "tool", origin={"url": "file:///home/me/tool", "dir_info": {"editable": True}})
    packages.remember(environment)
    assert packages.added(tmp_path / "gone") == {"mine": "mine==2.0", "tool": "-e file:///home/me/tool"}
    assert [path.name for path in state.STATE.glob("*added*")] == ["added-packages.txt"], "no half file"


def test_nothing_was_added_before_the_first_start(tmp_path: Path) -> None:
    assert packages.added(tmp_path / "gone") == {}


class TestCarryOver:
    @pytest.fixture
    def new(self, environment: Path) -> Path:
        """Beside one to which `mine` and `tool` were added."""
        (environment / packages.LOCKED).write_text("{}")
        add(environment, "mine", "2.0")
        add(environment, "tool", origin={"url": "https://host/tool.whl"})
        new = environment.with_name("new")
        (new / "lib/python3.12/site-packages").mkdir(parents=True)
        add(new, "marimo", "0.25.2")
        return new

    def test_from_the_cache_first(self, environment: Path, new: Path, installer: Installer) -> None:
        packages.carry_over(environment, new)
        assert installer.calls == [(True, "mine==2.0\ntool @ https://host/tool.whl")]

    def test_then_from_the_index(self, environment: Path, new: Path, installer: Installer) -> None:
        installer.refuses = {"offline"}
        packages.carry_over(environment, new)
        assert [offline for offline, _ in installer.calls] == [True, False]

    def test_then_each_alone_in_any_version(
        self, environment: Path, new: Path, installer: Installer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        installer.refuses = {"mine==2.0", "tool @ https://host/tool.whl"}
        packages.carry_over(environment, new)
        assert sorted(installer.calls[2:]) == [(False, "mine"), (False, "tool @ https://host/tool.whl")]
        assert "tool was not carried over" in (said := capsys.readouterr().out)
        assert "mine was not carried over" not in said

    def test_not_what_the_new_one_has_itself(
        self, environment: Path, new: Path, installer: Installer
    ) -> None:
        add(new, "mine", "3.0")
        packages.carry_over(environment, new)
        assert installer.calls == [(True, "tool @ https://host/tool.whl")]
        assert packages.locked(new) == {"marimo": "marimo==0.25.2", "mine": "mine==3.0"}


class TestRequirements:
    def start(self, environment: Path, content: str) -> None:
        packages.REQUIREMENTS.write_text(content)
        packages.install_requirements(environment)

    def test_are_installed_when_they_changed(self, environment: Path, installer: Installer) -> None:
        for content in ("a\n", "a\n", "b\n"):
            self.start(environment, content)
        assert installer.calls == [(False, "a"), (False, "b")]

    @pytest.mark.parametrize(
        "line", ["-r other.txt", "  -c constraints.txt", "-e .", "./package", "/opt/package", "--editable=x"]
    )
    def test_are_installed_each_time_when_they_name_files(
        self, line: str, environment: Path, installer: Installer
    ) -> None:
        for _ in range(2):
            self.start(environment, f"a\n{line}\n")
        assert len(installer.calls) == 2

    @pytest.mark.parametrize("line", ["a-r", "a # -r other.txt", "recipes==1.0", "--index-url https://host/"])
    def test_are_installed_once_when_they_do_not(
        self, line: str, environment: Path, installer: Installer
    ) -> None:
        for _ in range(2):
            self.start(environment, f"{line}\n")
        assert len(installer.calls) == 1

    def test_that_were_refused_are_tried_again(self, environment: Path, installer: Installer) -> None:
        installer.refuses = {"no-such"}
        for _ in range(2):
            self.start(environment, "no-such\n")
        assert len(installer.calls) == 2

    def test_that_come_back_are_installed_again(self, environment: Path, installer: Installer) -> None:
        self.start(environment, "a\n")
        packages.REQUIREMENTS.unlink()
        packages.install_requirements(environment)
        self.start(environment, "a\n")
        assert len(installer.calls) == 2


def test_index_of_the_teams_settings_unless_the_person_has_set_another(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert packages.installer_environment() == {}
    (state.STATE / "space.env").write_text("MARIMO_PACKAGE_INDEX_URL=https://host/simple\n")
    both = {"UV_DEFAULT_INDEX": "https://host/simple", "PIP_INDEX_URL": "https://host/simple"}
    assert packages.installer_environment() == both
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://mine/simple")
    assert packages.installer_environment() == {"PIP_INDEX_URL": "https://host/simple"}


@pytest.mark.parametrize(
    "requirement",
    ["tool @ https://me:{}@127.0.0.1:9/tool-1.0-py3-none-any.whl", "-i https://{}@127.0.0.1:9/\ntool"],
)
def test_secret_in_a_requirement_reaches_no_log(
    requirement: str, environment: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What uv prints goes to CloudWatch."""
    venv = [sys.executable, "-m", "venv", "--without-pip", str(environment)]
    subprocess.run(venv, check=True)  # noqa: S603  # no shell
    add(environment, "marimo", "0.25.2")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    packages.REQUIREMENTS.write_text(requirement.format("s3cret"))
    packages.install_requirements(environment)
    said = "".join(capfd.readouterr())
    assert "127.0.0.1:9" in said, "uv says what it could not reach"
    assert "was not installed; the lines above say why" in said
    assert "s3cret" not in said


def test_package_panel_means_marimos_environment(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_uv", lambda: "/opt/conda/bin/uv")
    assert packages.server_environment() == {"VIRTUAL_ENV": str(environment), "UV": "/opt/conda/bin/uv"}
    monkeypatch.setattr(packages, "find_uv", lambda: None)
    assert packages.server_environment() == {"VIRTUAL_ENV": str(environment)}


@pytest.mark.parametrize(
    "arguments", [["carry-over", "/nonexistent/old", "/nonexistent/new"], ["requirements", "/"]]
)
def test_nothing_that_goes_wrong_stops_marimo(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["packages.py", *arguments])
    packages.REQUIREMENTS.write_text("a\n")
    packages.main()
    assert "packages that were added are left as they are" in capsys.readouterr().out
