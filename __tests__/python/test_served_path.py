from pathlib import Path

import pytest

from sagemaker_marimo import state
from sagemaker_marimo.served_path import NotOpenedError, served_path


@pytest.fixture(autouse=True)
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setenv("PWD", str(home))


def notebook(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("import marimo\n")
    return path


def is_link_made() -> bool:
    return any(path.is_symlink() for path in state.NOTEBOOKS.iterdir())


@pytest.mark.parametrize("argument", ["marimo-notebooks/a/b.py", "./marimo-notebooks/x/../a/b.py"])
def test_a_path_in_the_served_folder(argument: str, home: Path) -> None:
    notebook(state.NOTEBOOKS / "a/b.py")
    assert served_path(argument) == Path("a/b.py")
    assert served_path(str(home / argument)) == Path("a/b.py")


def test_the_folder_itself() -> None:
    assert served_path(str(state.NOTEBOOKS)) == Path()


def test_two_repositories_with_a_folder_of_the_same_name(home: Path) -> None:
    files = [notebook(home / name) for name in ("a/notebooks/x.py", "b/notebooks/x.py", "x.py")]
    assert [served_path(str(file.relative_to(home))) for file in files] == files
    assert not is_link_made()


def test_a_folder(home: Path) -> None:
    folder = notebook(home / "project/a.py").parent
    assert (served_path("project"), served_path(".")) == (folder, home)


def test_a_file_has_one_address_by_each_of_its_links(home: Path) -> None:
    file = notebook(home / "project/a.py")
    (state.NOTEBOOKS / "mine").symlink_to(file.parent)
    assert served_path("marimo-notebooks/mine/a.py") == file
    notebook(state.NOTEBOOKS / "a.py")
    (home / "shortcut").symlink_to(state.NOTEBOOKS)
    assert served_path("shortcut/a.py") == Path("a.py")


def test_a_link_that_leads_out_of_the_home(home: Path, tmp_path: Path) -> None:
    notebook(tmp_path / "efs/a.py")
    for link in (home / "efs", state.NOTEBOOKS / "efs"):
        link.symlink_to(tmp_path / "efs")
    assert served_path("efs/a.py") == home / "efs/a.py"
    assert served_path("marimo-notebooks/efs/a.py") == Path("efs/a.py")


def test_a_shell_that_came_through_such_a_link(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook(tmp_path / "efs/a.py")
    (home / "efs").symlink_to(tmp_path / "efs")
    monkeypatch.chdir(home / "efs")
    monkeypatch.setenv("PWD", str(home / "efs"))
    assert served_path("a.py") == home / "efs/a.py"
    monkeypatch.setenv("PWD", str(home))
    with pytest.raises(NotOpenedError):
        served_path("a.py")


@pytest.mark.parametrize("argument", ["/", "..", "../other/a.py", "../home-of-another/a.py"])
def test_a_path_outside_the_home_is_rejected_with_a_remedy(argument: str) -> None:
    with pytest.raises(NotOpenedError, match=r"is outside .*\n  ln -s \S+ ~/NAME"):
        served_path(argument)
    assert not is_link_made()
