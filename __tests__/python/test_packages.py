"""Packages that a user added to marimo's virtual environment."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from sagemaker_marimo import image_packages, packages, state


@pytest.fixture(autouse=True)
def files(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "REQUIREMENTS", home / "requirements.txt")
    monkeypatch.setattr(packages, "ADDED", state.STATE / "added-packages.txt")
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)


def add(environment: Path, name: str, version: str = "1.0", origin: object = None) -> None:
    """Adds a package as an installer does (Python Packaging User Guide, "Recording installed projects")."""
    info = packages.site_packages(environment) / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if origin is not None:
        (info / "direct_url.json").write_text(origin if isinstance(origin, str) else json.dumps(origin))


class Installer:
    """A fake packages.install. Records its calls, and rejects the lines in `refuses`."""

    def __init__(self) -> None:
        self.calls: list[tuple[bool, str]] = []
        self.refuses: set[str] = set()

    def __call__(self, environment: Path, arguments: Sequence[str], *, offline: bool = False) -> bool:
        last = arguments[-1]
        # packages() returns them in the order of the folder.
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
    assert image_packages.normalized(name) == normal


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


def test_added_packages_are_those_not_built_in(environment: Path) -> None:
    add(environment, "marimo")
    packages.carry_over(environment, environment)
    assert packages.added(environment) == {}
    add(environment, "mine", "2.0")
    assert packages.added(environment) == {"mine": "mine==2.0"}


def test_added_packages_are_kept_without_the_environment(environment: Path, tmp_path: Path) -> None:
    (environment / image_packages.LOCKED).write_text("{}")
    add(environment, "mine", "2.0")
    add(environment, "tool", origin={"url": "file:///home/me/tool", "dir_info": {"editable": True}})
    packages.remember(environment)
    assert packages.added(tmp_path / "gone") == {"mine": "mine==2.0", "tool": "-e file:///home/me/tool"}
    assert [path.name for path in state.STATE.glob("*added*")] == ["added-packages.txt"], (
        "no temporary file is left"
    )


def test_nothing_was_added_before_the_first_start(tmp_path: Path) -> None:
    assert packages.added(tmp_path / "gone") == {}


class TestCarryOver:
    @pytest.fixture
    def new(self, environment: Path) -> Path:
        """A new environment; `mine` and `tool` were added to the old one."""
        (environment / image_packages.LOCKED).write_text("{}")
        add(environment, "mine", "2.0")
        add(environment, "tool", origin={"url": "https://host/tool.whl"})
        new = environment.with_name("new")
        (new / "lib/python3.12/site-packages").mkdir(parents=True)
        add(new, "marimo", "1.2.3")
        return new

    def test_from_the_cache_first(self, environment: Path, new: Path, installer: Installer) -> None:
        packages.carry_over(environment, new)
        assert installer.calls == [(True, "mine==2.0\ntool @ https://host/tool.whl")]

    def test_then_from_the_index(self, environment: Path, new: Path, installer: Installer) -> None:
        installer.refuses = {"offline"}
        packages.carry_over(environment, new)
        assert [offline for offline, _ in installer.calls] == [True, False]

    def test_then_each_one_in_any_version(
        self, environment: Path, new: Path, installer: Installer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        installer.refuses = {"mine==2.0", "tool @ https://host/tool.whl"}
        packages.carry_over(environment, new)
        assert sorted(installer.calls[2:]) == [(False, "mine"), (False, "tool @ https://host/tool.whl")]
        assert "tool was not carried over" in (output := capsys.readouterr().out)
        assert "mine was not carried over" not in output

    def test_not_packages_of_the_new_environment(
        self, environment: Path, new: Path, installer: Installer
    ) -> None:
        add(new, "mine", "3.0")
        packages.carry_over(environment, new)
        assert installer.calls == [(True, "tool @ https://host/tool.whl")]
        assert image_packages.locked(new) == {"marimo": "marimo==1.2.3", "mine": "mine==3.0"}


def test_is_intact_if_it_has_every_locked_package(environment: Path) -> None:
    assert not packages.is_intact(environment), "nothing is known about it"
    add(environment, "marimo", "1.2.3")
    add(environment, "starlette", "1.0")
    (environment / image_packages.LOCKED).write_text(json.dumps(packages.packages(environment)))
    assert packages.is_intact(environment)
    add(environment, "mine", "2.0")
    assert packages.is_intact(environment), "added packages do not matter"
    (environment / image_packages.LOCKED).write_text(
        '{"marimo": "marimo==1.2.3", "starlette": "starlette==2.0"}'
    )
    assert not packages.is_intact(environment)
    (environment / image_packages.LOCKED).write_text('{"marimo": "marimo==1.2.3", "gone": "gone==2.0"}')
    assert not packages.is_intact(environment)


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

    def test_that_failed_are_tried_again(self, environment: Path, installer: Installer) -> None:
        installer.refuses = {"no-such"}
        for _ in range(2):
            self.start(environment, "no-such\n")
        assert len(installer.calls) == 2

    def test_keep_marimos_page_waiting_while_they_are_installed(
        self, environment: Path, installer: Installer
    ) -> None:
        def outcome(status: str) -> str | None:
            (state.STATE / "status").write_text(f"{status}\n")
            return packages.requirements_outcome(environment)

        assert outcome("installing") is None, "without the file"
        packages.REQUIREMENTS.write_text("a\n")
        assert outcome("installing") == "installing"
        assert outcome("installed") is None, "the file is newer than the start"
        packages.install_requirements(environment)
        assert outcome("installing") is None, "it has not changed"
        installer.refuses = {"no-such"}
        self.start(environment, "no-such\n")
        assert outcome("installed") == "failed"
        assert outcome("installing") == "installing", "the next start tries again"
        packages.REQUIREMENTS.write_text("corrected\n")
        assert outcome("installed") is None, "another file failed"

    def test_that_cannot_be_read_keep_no_page_waiting(self, environment: Path) -> None:
        (state.STATE / "status").write_text("installing\n")
        packages.REQUIREMENTS.mkdir()
        assert packages.requirements_outcome(environment) is None

    def test_that_are_restored_are_installed_again(self, environment: Path, installer: Installer) -> None:
        self.start(environment, "a\n")
        packages.REQUIREMENTS.unlink()
        packages.install_requirements(environment)
        self.start(environment, "a\n")
        assert len(installer.calls) == 2


def test_package_index_of_the_settings_unless_the_user_has_set_another(
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
def test_a_secret_in_a_requirement_is_not_logged(
    requirement: str, environment: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The output of uv goes to CloudWatch."""
    venv = [sys.executable, "-m", "venv", "--without-pip", str(environment)]
    subprocess.run(venv, check=True)  # noqa: S603  # no shell
    add(environment, "marimo", "1.2.3")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    packages.REQUIREMENTS.write_text(requirement.format("s3cret"))
    packages.install_requirements(environment)
    output = "".join(capfd.readouterr())
    assert "127.0.0.1:9" in output, "uv prints the address that it could not reach"
    assert "was not installed: see the lines above" in output
    assert "s3cret" not in output


def test_the_package_panel_uses_marimos_environment(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "find_uv", lambda: "/opt/conda/bin/uv")
    monkeypatch.setenv("PATH", "/usr/bin")
    folder = state.PAYLOAD / "bin"
    assert packages.server_environment() == {
        "VIRTUAL_ENV": str(environment),
        "UV": str(folder / "uv"),
        "MARIMO_UV": "/opt/conda/bin/uv",
        "PATH": f"{folder}:/usr/bin",
    }
    monkeypatch.setattr(packages, "find_uv", lambda: None)
    assert packages.server_environment() == {"VIRTUAL_ENV": str(environment)}


@pytest.mark.parametrize(
    "arguments", [["carry-over", "/nonexistent/old", "/nonexistent/new"], ["requirements", "/"]]
)
def test_an_error_does_not_stop_marimo(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["packages.py", *arguments])
    packages.REQUIREMENTS.write_text("a\n")
    packages.main()
    assert "added packages could not be updated" in capsys.readouterr().out
