"""What stays of a page's edits when another program changes the file. server.test.ts uses the real marimo."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from sagemaker_marimo import state

BEFORE = {"a": "1", "b": "2", "c": "3"}


@pytest.mark.parametrize(
    ("page", "file", "merged"),
    [
        pytest.param(BEFORE, {"a": "1", "b": "git", "c": "3"}, None, id="nothing edited"),
        pytest.param(
            {**BEFORE, "c": "me"},
            {"a": "git", "b": "2", "c": "3"},
            {"a": "git", "b": "2", "c": "me"},
            id="other cells",
        ),
        pytest.param({**BEFORE, "c": "me"}, {**BEFORE, "c": "git"}, None, id="the same cell: the file's"),
        pytest.param(
            {"a": "1", "new": "me", "b": "2", "c": "3"},
            {"a": "git", "b": "2", "c": "3"},
            {"a": "git", "new": "me", "b": "2", "c": "3"},
            id="a new cell",
        ),
        pytest.param({"new": "me", **BEFORE}, BEFORE, {"new": "me", **BEFORE}, id="a new first cell"),
        pytest.param({**BEFORE, "new": " "}, BEFORE, None, id="an empty new cell"),
        pytest.param(
            {"a": "1", "b": "me", "c": "3"},
            {"a": "1", "c": "3"},
            {"a": "1", "b": "me", "c": "3"},
            id="a cell that git removes",
        ),
        pytest.param(BEFORE, {"a": "1", "c": "3"}, None, id="a cell that git removes, unedited"),
        pytest.param({"a": "1", "c": "3"}, BEFORE, None, id="a cell that the page removes"),
        pytest.param({**BEFORE, "a": "1\n"}, BEFORE, None, id="an empty line at the end"),
    ],
)
def test_edits_stay(page: dict[str, str], file: dict[str, str], merged: dict[str, str] | None) -> None:
    hooks = runpy.run_path(str(Path(state.__file__).parents[2] / "server/unsaved_cells.py"))
    cells = [SimpleNamespace(id=name, code=code) for name, code in file.items()]
    edited = [SimpleNamespace(id=name, code=code) for name, code in page.items()]
    hooks["merge"](edited, cells, set(BEFORE.values()))
    assert [(cell.id, cell.code) for cell in cells] == list((merged or file).items())
