"""The grid of a sweep: a CSV file whose columns are options of the notebook, and whose rows are its runs."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

from sagemaker_marimo.jobs import request, table

MOST_ROWS = 1000
"""Twenty pipelines. A sweep of more is several."""
# The notebook is the first of a job's.
MOST_ARGUMENTS = request.MOST_ARGUMENTS - 1
# How marimo reads an option: what follows two hyphens, up to "=" or a space.
OPTION = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class BadGrid(ValueError):
    """All that is wrong with a grid."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Grid:
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def arguments(self, number: int, others: list[str]) -> list[str]:
        """Of the row of that number, which count from 1. An empty cell leaves the notebook its default."""
        # With "=", a value may begin with a hyphen.
        cells = zip(self.columns, self.rows[number - 1], strict=True)
        return [*(f"--{column}={value}" for column, value in cells if value), *others]


def read(text: str, most_rows: int = MOST_ROWS, others: list[str] | None = None) -> Grid:
    """The grid of a file's text. `others` are the arguments that every row has beside its own."""
    lines = [line for line in csv.reader(io.StringIO(text.removeprefix("\ufeff"))) if any(line)]
    if not lines:
        raise BadGrid(["it is empty: its first line names options, each further line is a run"])
    columns, rows = tuple(cell.strip() for cell in lines[0]), [tuple(line) for line in lines[1:]]
    problems = [*_column_problems(columns), *_row_problems(columns, rows, most_rows)]
    grid = Grid(columns, tuple(rows))
    if not problems:
        problems = list(_argument_problems(grid, others or []))
    if problems:
        raise BadGrid(problems)
    return grid


def _column_problems(columns: tuple[str, ...]) -> Iterator[str]:
    for column in dict.fromkeys(columns):
        if not OPTION.fullmatch(column):
            yield f"column {column!r} is no option's name: letters, digits, - and _, with a letter first"
        elif column in table.OWN_COLUMNS:
            own = ", ".join(table.OWN_COLUMNS)
            yield f"column {column!r} is a name that the table has itself ({own})"
        if columns.count(column) > 1:
            yield f"column {column!r} is there {columns.count(column)} times"


def _row_problems(columns: tuple[str, ...], rows: list[tuple[str, ...]], most: int) -> Iterator[str]:
    if not rows:
        yield "it has no rows below its first line"
    if len(rows) > most:
        yield f"it has {len(rows)} rows: at most {most}"
    for number, row in enumerate(rows, 1):
        if len(row) != len(columns):
            yield f"row {number} has {len(row)} cells, and the first line {len(columns)}"


def _argument_problems(grid: Grid, others: list[str]) -> Iterator[str]:
    for number in range(1, len(grid.rows) + 1):
        arguments = grid.arguments(number, others)
        if len(arguments) > MOST_ARGUMENTS:
            yield f"row {number} makes {len(arguments)} arguments: at most {MOST_ARGUMENTS}"
        for argument in arguments:
            if len(argument) > request.MOST_CHARACTERS:
                yield (
                    f"row {number}: {argument[:40]!r}… has {len(argument)} characters: "
                    f"at most {request.MOST_CHARACTERS}"
                )
