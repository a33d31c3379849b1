"""Installing and updating sample notebooks never changes a user's own files, and what the first sample says
about a file of a user's own."""

import io
import json
import runpy
import sys
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
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
    """Runs samples.py as install.sh does at each start. Returns its output."""

    def run() -> str:
        monkeypatch.setattr("sys.argv", ["", str(source), str(mine), str(tmp_path / "samples.json")])
        runpy.run_path(samples.__file__, run_name="__main__")
        return capsys.readouterr().out

    return run


Start = Callable[[], str]


def files(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir() if file.is_file()}


def test_are_installed_at_the_first_start(start: Start, mine: Path) -> None:
    assert start() == ""
    assert files(mine) == {NAME: "first\n"}
    assert start() == ""
    assert files(mine) == {NAME: "first\n"}


def test_are_updated_if_they_are_unchanged(start: Start, source: Path, mine: Path) -> None:
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
    note = f"You edited {NAME}: its new version is in {NEW}\n"
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
    note = f"You edited {NAME}: its new version is in 01_explore_data.new2.py\n"
    assert files(mine) == {
        NAME: "mine\n",
        NEW: "mine too\n",
        "01_explore_data.new2.py": "fourth\n",
        "NEW-SAMPLES.txt": note,
    }


def test_do_not_replace_an_existing_file(start: Start, mine: Path, tmp_path: Path) -> None:
    mine.mkdir()
    (mine / NAME).write_text("mine\n")
    start()
    (tmp_path / "samples.json").unlink()
    start()
    assert files(mine).keys() == {NAME, NEW, "NEW-SAMPLES.txt"}, "no second copy of the same version"
    assert files(mine)[NAME] == "mine\n"
    assert files(mine)[NEW] == "first\n"


def test_do_not_offer_an_identical_version(start: Start, source: Path, mine: Path) -> None:
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
def test_an_invalid_manifest_is_ignored(content: str, start: Start, mine: Path, tmp_path: Path) -> None:
    start()
    (mine / NAME).write_text("mine\n")
    (tmp_path / "samples.json").write_text(content)
    start()
    assert files(mine)[NAME] == "mine\n"
    assert json.loads((tmp_path / "samples.json").read_text()).keys() == {NAME, NEW}


def test_bring_their_results_as_marimos_session_cache(start: Start, source: Path, mine: Path) -> None:
    cache = mine / "__marimo__/session"
    results = source / "results" / f"{NAME}.json"
    results.parent.mkdir()
    results.write_text("results")
    start()
    assert files(cache) == {f"{NAME}.json": "results"}
    (cache / f"{NAME}.json").write_text("mine")
    start()
    assert files(cache) == {f"{NAME}.json": "mine"}, "marimo has written it since"
    (source / NAME).write_text("second\n")
    results.write_text("second results")
    start()
    assert files(cache) == {f"{NAME}.json": "second results"}
    (mine / NAME).write_text("mine\n")
    (source / NAME).write_text("third\n")
    start()
    assert files(cache) == {f"{NAME}.json": "second results", f"{NEW}.json": "second results"}


def test_leave_no_temporary_file(start: Start, mine: Path, tmp_path: Path) -> None:
    start()
    assert {path.name for path in (*mine.iterdir(), *tmp_path.iterdir())} == {
        NAME,
        "samples",
        "marimo-notebooks",
        "samples.json",
    }


def test_are_not_installed_if_the_setting_is_off(start: Start, source: Path, mine: Path) -> None:
    (source / NAME).unlink()
    source.rmdir()
    assert start() == ""
    assert not mine.exists()


SAMPLES = Path(__file__).parents[2] / "sample-notebooks"


@pytest.fixture
def read_prices(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], tuple[Any, str]]:
    """The function of the first sample. The image's Python has no marimo, so this is a fake one."""
    cells: list[Callable[..., Any]] = []

    class App:
        def __init__(self, **_: object) -> None:
            pass

        def cell(self, function: Callable[..., Any] | None = None, **_: object) -> Any:
            return cells.append(function) if function else cells.append

    marimo = ModuleType("marimo")
    monkeypatch.setattr(marimo, "App", App, raising=False)
    monkeypatch.setitem(sys.modules, "marimo", marimo)
    runpy.run_path(str(SAMPLES / NAME))
    (cell,) = (cell for cell in cells if list(signature(cell).parameters) == ["io", "pd"])
    (function,) = cell(io, pd)
    return function  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"item,cost\na,1\n", "has no column `price`, only `item`, `cost`"),
        (b"item;price\na;1\n", "has `;` between its columns: replace it by `,`, and decimal commas by `.`"),
        (
            b"item;price\na;1\nb;1,5\n",
            "has `;` between its columns: replace it by `,`, and decimal commas by `.`",
        ),
        (b"item,price\na,$5\nb,6\n", "has prices that are not numbers, such as `$5`"),
        (b"item,price\na,inf\n", "has prices that are not numbers, such as `inf`"),
        (b"item,price\n", "has no row with a price"),
        (b"item,price\na,\nb,\n", "has no row with a price"),
        (b"item,price\na,1\nb,2,3\n", "is not a CSV file in UTF-8: Error tokenizing data."),
        ("item,price\na,1\n".encode("utf-16"), "is not a CSV file in UTF-8: 'utf-8' codec can't decode"),
    ],
)
def test_the_first_sample_says_what_is_wrong_with_a_file(
    content: bytes, problem: str, read_prices: Callable[[bytes], tuple[Any, str]]
) -> None:
    rows, remark = read_prices(content)
    assert rows is None
    assert remark.startswith(problem)


@pytest.mark.parametrize(
    ("content", "prices", "remark"),
    [
        (b"item,price\na,1\nb,2.5\n", [1.0, 2.5], ""),
        (b"\xef\xbb\xbfprice,a;b\n1,x\n", [1], ""),
        (b"item,price\na,1\nb,\nc,\n", [1.0], ", without 2 rows that have no price"),
    ],
)
def test_the_first_sample_shows_a_file_that_has_prices(
    content: bytes, prices: list[float], remark: str, read_prices: Callable[[bytes], tuple[Any, str]]
) -> None:
    rows, said = read_prices(content)
    assert list(rows["price"]) == prices
    assert said == remark


def test_the_first_sample_shows_its_own_file(read_prices: Callable[[bytes], tuple[Any, str]]) -> None:
    rows, remark = read_prices((SAMPLES / "prices.csv").read_bytes())
    assert len(rows) == 240
    assert remark == ""
