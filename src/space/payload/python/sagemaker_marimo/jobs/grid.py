"""The grid of a sweep: a CSV file with a column for each option of the notebook and a row for each run."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

from sagemaker_marimo.jobs import request, table

MAX_ROWS = 1000
"""Twenty pipelines. For more rows, run several sweeps."""
# One of a job's arguments is the notebook.
MAX_ARGUMENTS = request.MAX_ARGUMENTS - 1
# marimo reads as an option's name what follows two hyphens, up to "=" or a space.
OPTION = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class GridError(ValueError):
    """All problems of a grid."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Grid:
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def arguments(self, number: int, others: list[str]) -> list[str]:
        """The arguments of a row, counted from 1. For an empty cell the notebook uses its default."""
        # "=" allows a value that begins with a hyphen.
        cells = zip(self.columns, self.rows[number - 1], strict=True)
        return [*(f"--{column}={value}" for column, value in cells if value), *others]


def read(text: str, max_rows: int = MAX_ROWS, others: list[str] | None = None) -> Grid:
    """Reads the grid from a file's text. `others` are arguments that every row has in addition."""
    lines = [line for line in csv.reader(io.StringIO(text.removeprefix("\ufeff"))) if any(line)]
    if not lines:
        raise GridError(["the file is empty: its first line must name options, each further line is a run"])
    columns, rows = tuple(cell.strip() for cell in lines[0]), [tuple(line) for line in lines[1:]]
    problems = [*_column_problems(columns), *_row_problems(columns, rows, max_rows)]
    grid = Grid(columns, tuple(rows))
    if not problems:
        problems = list(_argument_problems(grid, others or []))
    if problems:
        raise GridError(problems)
    return grid


def _column_problems(columns: tuple[str, ...]) -> Iterator[str]:
    for column in dict.fromkeys(columns):
        if not OPTION.fullmatch(column):
            yield f"column {column!r} is not a valid option name: use letters, digits, - and _, letter first"
        elif column in table.OWN_COLUMNS:
            own = ", ".join(table.OWN_COLUMNS)
            yield f"column {column!r} is reserved for the result table ({own})"
        if columns.count(column) > 1:
            yield f"column {column!r} appears {columns.count(column)} times"


def _row_problems(columns: tuple[str, ...], rows: list[tuple[str, ...]], most: int) -> Iterator[str]:
    if not rows:
        yield "there are no rows below the first line"
    if len(rows) > most:
        yield f"there are {len(rows)} rows, at most {most} are allowed"
    for number, row in enumerate(rows, 1):
        if len(row) != len(columns):
            yield f"row {number} has {len(row)} cells, but the first line has {len(columns)}"


def _argument_problems(grid: Grid, others: list[str]) -> Iterator[str]:
    for number in range(1, len(grid.rows) + 1):
        arguments = grid.arguments(number, others)
        if len(arguments) > MAX_ARGUMENTS:
            yield f"row {number} has {len(arguments)} arguments, at most {MAX_ARGUMENTS} are allowed"
        for argument in arguments:
            if len(argument) > request.MAX_CHARACTERS:
                yield (
                    f"row {number}: {argument[:40]!r}… has {len(argument)} characters, "
                    f"at most {request.MAX_CHARACTERS} are allowed"
                )
