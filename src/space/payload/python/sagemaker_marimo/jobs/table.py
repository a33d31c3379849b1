"""The table of a sweep: each row of the grid, its outcome, and the columns that its notebook wrote."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

OWN_COLUMNS = ("row", "status", "exit_status", "attempts", "seconds", "error")


@dataclass(frozen=True)
class Outcome:
    """The outcome of a row."""

    status: str  # a state of sweep_progress.py
    exit_status: int | None = None
    attempts: int = 0
    seconds: float | None = None
    error: str = ""
    written: str | None = None  # the CSV file that the notebook wrote, if any

    @classmethod
    def of_result(cls, result: dict[str, Any], attempts: int, error: str, written: str | None) -> "Outcome":
        """The outcome of a row whose notebook ran, from its result.json."""
        exit_status = int(result["exitStatus"])
        seconds = float(result["seconds"]["notebook"])
        status = "failed" if exit_status else "done"
        return cls(status, exit_status, attempts, seconds, error if exit_status else "", written)


def make(columns: Sequence[str], rows: Sequence[Sequence[str]], outcomes: Sequence[Outcome]) -> str:
    """The table as CSV. A row has one line for each line that its notebook wrote, and at least one."""
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


def outcomes(text: str) -> dict[int, Outcome]:
    """The outcome of each row, by number, from a table that `make` made."""
    return {
        int(line["row"]): Outcome(
            line["status"], attempts=int(line["attempts"]), error=line["error"], written=None
        )
        for line in csv.DictReader(io.StringIO(text))
    }


def csv_text(lines: Iterable[Sequence[object]]) -> str:
    target = io.StringIO()
    csv.writer(target, lineterminator="\n").writerows(lines)
    return target.getvalue()


def _text(value: float | None) -> str:
    return "" if value is None else str(value)


def _read(text: str | None) -> tuple[list[str], list[list[str]]]:
    """Header and lines; both are empty for an empty file."""
    lines = [line for line in csv.reader(io.StringIO((text or "").removeprefix("\ufeff"))) if any(line)]
    return (lines[0], lines[1:]) if lines else ([], [])
