"""A person's files are the person's, whatever the project ships."""

import json
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

from sagemaker_marimo import samples

NAME = "01_explore_data.py"
NEW = "01_explore_data.new.py"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "samples"
    folder.mkdir()
    (folder / NAME).write_text("first\n")
    return folder


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return tmp_path / "marimo-notebooks"


@pytest.fixture
def start(
    source: Path,
    mine: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[[], str]:
    """What install.sh does at each start; returns what it prints."""

    def run() -> str:
        monkeypatch.setattr("sys.argv", ["", str(source), str(mine), str(tmp_path / "samples.json")])
        runpy.run_path(samples.__file__, run_name="__main__")
        return capsys.readouterr().out

    return run


Start = Callable[[], str]


def files(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir()}


def test_come_with_the_first_start(start: Start, mine: Path) -> None:
    assert start() == ""
    assert files(mine) == {NAME: "first\n"}
    assert start() == ""
    assert files(mine) == {NAME: "first\n"}


def test_are_brought_up_to_date_while_nobody_has_changed_them(start: Start, source: Path, mine: Path) -> None:
    start()
    (source / NAME).write_text("second\n")
    assert start() == ""
    assert files(mine) == {NAME: "second\n"}


def test_are_never_overwritten_once_edited(start: Start, source: Path, mine: Path) -> None:
    start()
    (mine / NAME).write_text("mine\n")
    assert start() == ""
    assert files(mine) == {NAME: "mine\n"}, "nothing new"
    (source / NAME).write_text("second\n")
    note = f"{NAME} is yours, edited; the new version is {NEW}\n"
    assert start() == note
    assert files(mine) == {NAME: "mine\n", NEW: "second\n", "NEW-SAMPLES.txt": note}
    (mine / NEW).unlink()
    assert start() == ""
    assert files(mine) == {NAME: "mine\n", "NEW-SAMPLES.txt": note}, "offered once"
    (source / NAME).write_text("third\n")
    assert start() == note
    assert files(mine) == {NAME: "mine\n", NEW: "third\n", "NEW-SAMPLES.txt": note}


def test_do_not_overwrite_an_offered_version_that_was_edited_either(
    start: Start, source: Path, mine: Path
) -> None:
    start()
    (mine / NAME).write_text("mine\n")
    for version in ("second\n", "third\n", "fourth\n"):
        (source / NAME).write_text(version)
        start()
        if version == "second\n":
            (mine / NEW).write_text("mine too\n")
    note = f"{NAME} is yours, edited; the new version is 01_explore_data.new2.py\n"
    assert files(mine) == {
        NAME: "mine\n",
        NEW: "mine too\n",
        "01_explore_data.new2.py": "fourth\n",
        "NEW-SAMPLES.txt": note,
    }


def test_do_not_replace_a_file_that_was_there_before(start: Start, mine: Path, tmp_path: Path) -> None:
    mine.mkdir()
    (mine / NAME).write_text("mine\n")
    start()
    (tmp_path / "samples.json").unlink()
    start()
    assert files(mine).keys() == {NAME, NEW, "NEW-SAMPLES.txt"}, "no second copy of the same version"
    assert files(mine)[NAME] == "mine\n"
    assert files(mine)[NEW] == "first\n"


def test_do_not_offer_what_the_person_has_already(start: Start, source: Path, mine: Path) -> None:
    start()
    for folder in (source, mine):
        (folder / NAME).write_text("second\n")
    assert start() == ""
    assert files(mine) == {NAME: "second\n"}


def test_stay_deleted(start: Start, source: Path, mine: Path) -> None:
    start()
    (mine / NAME).unlink()
    (source / NAME).write_text("second\n")
    assert start() == ""
    assert files(mine) == {}


@pytest.mark.parametrize("content", ["{", "", "[]", "null", '{"01_explore_data.py": 1}'])
def test_survive_a_manifest_that_is_none(content: str, start: Start, mine: Path, tmp_path: Path) -> None:
    start()
    (mine / NAME).write_text("mine\n")
    (tmp_path / "samples.json").write_text(content)
    start()
    assert files(mine)[NAME] == "mine\n"
    assert json.loads((tmp_path / "samples.json").read_text()).keys() == {NAME, NEW}


def test_leave_no_half_file(start: Start, mine: Path, tmp_path: Path) -> None:
    start()
    assert {path.name for path in (*mine.iterdir(), *tmp_path.iterdir())} == {
        NAME,
        "samples",
        "marimo-notebooks",
        "samples.json",
    }


def test_do_not_come_when_the_setting_is_off(start: Start, source: Path, mine: Path) -> None:
    (source / NAME).unlink()
    source.rmdir()
    assert start() == ""
    assert not mine.exists()
