from pathlib import Path

import pytest

from sagemaker_marimo import state
from sagemaker_marimo.served_path import NotOpenedError, served_path


@pytest.fixture(autouse=True)
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


def notebook(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("import marimo\n")
    return path


def links() -> dict[str, str]:
    return {link.name: str(link.readlink()) for link in state.NOTEBOOKS.iterdir() if link.is_symlink()}


@pytest.mark.parametrize("argument", ["marimo-notebooks/a/b.py", "./marimo-notebooks/x/../a/b.py"])
def test_what_is_served_already(argument: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notebook(state.NOTEBOOKS / "a/b.py")
    assert served_path(argument) == Path("a/b.py")
    assert served_path(str(home / argument)) == Path("a/b.py")
    assert (links(), capsys.readouterr().out) == ({}, "")


def test_the_folder_itself() -> None:
    assert served_path(str(state.NOTEBOOKS)) == Path()


def test_a_notebook_comes_with_its_folder(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = notebook(home / "project/a.py")
    assert served_path("project/a.py") == Path("project/a.py")
    assert links() == {"project": str(file.parent)}
    assert capsys.readouterr().out == f"Linked {state.NOTEBOOKS}/project -> {file.parent}\n"
    assert served_path("project/b.py") == Path("project/b.py")
    assert capsys.readouterr().out == "", "linked once"


def test_a_folder(home: Path) -> None:
    folder = notebook(home / "project/a.py").parent
    assert served_path("project") == Path("project")
    assert links() == {"project": str(folder)}


def test_a_notebook_beside_the_folder_comes_alone(home: Path) -> None:
    file = notebook(home / "a.py")
    assert served_path("a.py") == Path("a.py")
    assert links() == {"a.py": str(file)}


def test_a_link_of_another_name_is_used(home: Path) -> None:
    file = notebook(home / "project/a.py")
    (state.NOTEBOOKS / "mine").symlink_to(file.parent)
    assert served_path("project/a.py") == Path("mine/a.py")
    assert served_path("marimo-notebooks/mine/a.py") == Path("mine/a.py"), "a link is a way to a notebook"
    assert links() == {"mine": str(file.parent)}


def test_a_way_into_the_folder_by_a_link(home: Path) -> None:
    notebook(state.NOTEBOOKS / "a.py")
    (home / "shortcut").symlink_to(state.NOTEBOOKS)
    assert served_path("shortcut/a.py") == Path("a.py")
    assert links() == {}


@pytest.mark.parametrize("argument", [".", "/"])
def test_a_folder_that_holds_the_served_one_is_refused(argument: str) -> None:
    with pytest.raises(NotOpenedError, match=r"holds .*/marimo-notebooks, the folder that marimo serves"):
        served_path(argument)
    assert links() == {}


def test_a_name_that_is_taken_is_told_with_the_way_out(home: Path) -> None:
    notebook(state.NOTEBOOKS / "project/other.py")
    target = notebook(home / "project/a.py").parent
    with pytest.raises(NotOpenedError) as refused:
        served_path("project/a.py")
    assert f"ln -s {target} {state.NOTEBOOKS}/NAME" in str(refused.value)
    assert links() == {}


def test_a_link_to_nowhere_is_no_free_name(home: Path) -> None:
    (state.NOTEBOOKS / "project").symlink_to(home / "gone")
    notebook(home / "project/a.py")
    with pytest.raises(NotOpenedError):
        served_path("project/a.py")
    assert links() == {"project": str(home / "gone")}
