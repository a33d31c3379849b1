"""What a job prints of the exceptions in its notebook."""

import html
import json
from pathlib import Path

import pytest

from sagemaker_marimo import job_tracebacks

NOTEBOOK = """import marimo

app = marimo.App()


@app.cell
def _():
    x = 1
    return (x,)


@app.cell
def failing(x):
    def divide(y):
        return y / 0

    divide(x)
    return
"""
TRACEBACK = """Traceback (most recent call last):
  File "/tmp/marimo_7/__marimo__cell_MJUe_.py", line 4, in <module>
    divide(x)
  File "/tmp/marimo_7/__marimo__cell_MJUe_.py", line 2, in divide
    return y / 0
           ~~^~~
  File "{work}/beside.py", line 2, in go
    1 / 0
ZeroDivisionError: division by <zero>"""
# What marimo's parser says.
CELLS = [["_", 7], ["failing", 13]]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A job's working folder with a notebook and its session file."""
    folder = tmp_path / "work"
    (folder / "__marimo__/session").mkdir(parents=True)
    (folder / "analysis.py").write_text(NOTEBOOK)
    marked = f'<span class="x">{html.escape(TRACEBACK.format(work=folder))}</span>\n'
    console = [{"type": "stream", "text": marked, "mimetype": job_tracebacks.TRACEBACK}]
    cells = [{"id": "Hbol", "console": []}, {"id": "MJUe", "console": console}]
    (folder / "__marimo__/session/analysis.py.json").write_text(json.dumps({"cells": cells}))
    return folder


def environment(folder: Path, cells: object) -> Path:
    """A virtual environment whose Python prints the cells that marimo finds."""
    (folder / "bin").mkdir()
    (folder / "bin/python").write_text(f"#!/bin/sh\necho '{json.dumps(cells)}'\n")
    (folder / "bin/python").chmod(0o755)
    return folder


def test_a_traceback_names_the_notebooks_line_and_cell(work: Path, tmp_path: Path) -> None:
    (traceback,) = job_tracebacks.raised(work, environment(tmp_path, CELLS))
    assert traceback == (
        "Traceback (most recent call last):\n"
        '  File "analysis.py", line 17, in <module> (cell failing)\n'
        "    divide(x)\n"
        '  File "analysis.py", line 15, in divide (cell failing)\n'
        "    return y / 0\n"
        "           ~~^~~\n"
        '  File "beside.py", line 2, in go\n'
        "    1 / 0\n"
        "ZeroDivisionError: division by <zero>"
    )
    (work.parent / "bin/python").write_text(f"#!/bin/sh\necho '{json.dumps([CELLS[0], ['_', 13]])}'\n")
    (traceback,) = job_tracebacks.raised(work, tmp_path)
    assert "line 17, in <module> (cell 2)" in traceback


@pytest.mark.parametrize(
    "cells", [[], [["_", 7]], [["_", 7], ["failing", 12]], [["_", 7], ["failing", 99]], 1]
)
def test_a_line_that_cannot_be_found_stays_as_it_is(work: Path, tmp_path: Path, cells: object) -> None:
    (traceback,) = job_tracebacks.raised(work, environment(tmp_path, cells))
    assert traceback == TRACEBACK.replace("{work}/", "")


def test_without_exceptions_marimo_is_not_asked(work: Path, tmp_path: Path) -> None:
    file = work / "__marimo__/session/analysis.py.json"
    file.write_text(json.dumps({"cells": [{"id": "Hbol", "console": None}]}))
    assert job_tracebacks.raised(work, tmp_path / "none") == []
