"""The table of a sweep: each row of the grid, what became of it, and the columns that its notebook wrote."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

OWN_COLUMNS = ("row", "status", "exit_status", "attempts", "seconds", "error")


@dataclass(frozen=True)
class Outcome:
    """What became of a row."""

    status: str  # see sweep.py
    exit_status: int | None = None
    attempts: int = 0
    seconds: float | None = None
    error: str = ""
    written: str | None = None  # the CSV file that the notebook wrote, where there is one

    @classmethod
    def of_result(cls, result: dict[str, Any], attempts: int, error: str, written: str | None) -> "Outcome":
        """Of a row whose notebook ran, by its result.json."""
        exit_status = int(result["exitStatus"])
        seconds = float(result["seconds"]["notebook"])
        status = "failed" if exit_status else "done"
        return cls(status, exit_status, attempts, seconds, error if exit_status else "", written)


def make(columns: Sequence[str], rows: Sequence[Sequence[str]], outcomes: Sequence[Outcome]) -> str:
    """A CSV file. A row whose notebook wrote several lines is there as often, and every row at least once."""
    written = [_read(outcome.written) for outcome in outcomes]
    others: dict[str, None] = dict.fromkeys(name for header, _ in written for name in header)
    taken = {*columns, *OWN_COLUMNS}
    names = {name: f"result.{name}" if name in taken else name for name in others}
    table: list[Sequence[object]] = [[*columns, *OWN_COLUMNS, *names.values()]]
    for number, (cells, outcome, (header, lines)) in enumerate(zip(rows, outcomes, written, strict=True), 1):
        own = [number, outcome.status, _text(outcome.exit_status), outcome.attempts, _text(outcome.seconds)]
        for line in lines or [[]]:
            result = dict(zip(header, line, strict=False))
            values = [result.get(name, "") for name in names]
            table.append([*cells, *own, outcome.error, *values])
    return csv_text(table)


def csv_text(lines: Iterable[Sequence[object]]) -> str:
    target = io.StringIO()
    csv.writer(target, lineterminator="\n").writerows(lines)
    return target.getvalue()


def _text(value: float | None) -> str:
    return "" if value is None else str(value)


def _read(text: str | None) -> tuple[list[str], list[list[str]]]:
    """Header and lines; a file without a header has none."""
    lines = [line for line in csv.reader(io.StringIO((text or "").removeprefix("\ufeff"))) if any(line)]
    return (lines[0], lines[1:]) if lines else ([], [])
