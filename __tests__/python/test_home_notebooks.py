"""What happens when a private interface of marimo is missing. The browser tests use the real ones."""

import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from sagemaker_marimo import state

CHANGES = ("open_in_home", "list_home", "list_recent_in_home", "show_home_in_file_panel")


@pytest.fixture
def hooks(home: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """home_notebooks.py, as marimo_server.py imports it."""
    monkeypatch.chdir(home)
    return runpy.run_path(str(Path(state.__file__).parents[2] / "server/home_notebooks.py"))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts names into a module of a fake marimo."""

    def put(module: str, **names: Any) -> None:
        parts = module.split(".")
        for end in range(1, len(parts) + 1):
            name = ".".join(parts[:end])
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        vars(sys.modules[module]).update(names)

    return put


def test_marimo_starts_with_only_its_own_folder_if_its_interfaces_are_missing(
    hooks: dict[str, Any], fake: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    fake("marimo")
    hooks["serve_home"]()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("(")[1].split(")")[0] for line in lines] == list(CHANGES)
    assert all(f"marimo serves only {state.NOTEBOOKS}" in line for line in lines)
    assert Path.cwd() == Path(os.path.realpath(state.NOTEBOOKS))


def test_only_the_check_of_the_served_folder_is_widened(
    hooks: dict[str, Any], fake: Callable[..., None], home: Path
) -> None:
    class PathValidator:
        def validate_inside_directory(self, directory: Path, filepath: Path) -> None:
            checked.append((directory, filepath))

    checked: list[tuple[Path, Path]] = []
    fake("marimo._server.files.path_validator", PathValidator=PathValidator)
    hooks["open_in_home"]()
    public = home / "one/public"
    for directory in (state.NOTEBOOKS, public):
        PathValidator().validate_inside_directory(directory, Path("a.py"))
    assert checked == [(home, state.NOTEBOOKS / "a.py"), (public, public / "a.py")]


def test_recent_notebooks_of_the_whole_home(
    hooks: dict[str, Any], fake: Callable[..., None], home: Path
) -> None:
    class RecentFilesManager:
        def get_recents(self, directory: Path | None = None) -> list[Any]:
            assert directory == home
            return [SimpleNamespace(path=path) for path in ("one/a.py", "marimo-notebooks/b.py")]

    fake("marimo._server.recents", RecentFilesManager=RecentFilesManager)
    hooks["list_recent_in_home"]()
    recents = RecentFilesManager().get_recents(state.NOTEBOOKS)
    assert [file.path for file in recents] == [str(home / "one/a.py"), "b.py"]


@pytest.mark.parametrize("is_link", [False, True])
def test_notebooks_of_the_whole_home_open_from_the_file_panel(
    is_link: bool, hooks: dict[str, Any], fake: Callable[..., None], home: Path, tmp_path: Path
) -> None:
    def resolve_file_roots(primary_root: str, _: Any) -> list[Any]:
        paths = (Path(primary_root).resolve(), home, home / "data")
        return [SimpleNamespace(path=str(path)) for path in paths]

    files = "marimo._server.api.endpoints.file_explorer"
    fake(files, resolve_file_roots=resolve_file_roots)
    fake("marimo._server.models.files", FileRoot=SimpleNamespace)
    own = state.NOTEBOOKS
    if is_link:  # then the path relative to it would lead elsewhere
        own.rmdir()
        own.symlink_to(tmp_path)
    hooks["show_home_in_file_panel"]()
    roots = vars(sys.modules[files])["resolve_file_roots"](str(own), {})
    assert [root.path for root in roots[:-1]] == [str(own.resolve()), str(home / "data")], "home once"
    path = str(home) if is_link else f"{own}/.."
    assert vars(roots[-1]) == {"path": path, "name": "Home", "is_primary": not is_link}
