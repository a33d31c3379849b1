"""The lines of a page: jobs, and sweeps instead of their rows' jobs."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sagemaker_marimo.jobs import follow
from sagemaker_marimo.jobs.sweep_plan import MARK
from sagemaker_marimo.jobs_page.summary import Summary

SWEEP = "sweep"


@dataclass(frozen=True)
class Line:
    name: str
    kind: str
    """`processing`, `training` or `sweep`."""
    state: str
    created: datetime
    seconds: float | None
    dollars: float | None

    @property
    def cells(self) -> dict[str, Any]:
        """What the page's table shows."""
        return {
            "Name": self.name,
            "Status": self.state,
            "Started": f"{self.created.astimezone(UTC):%Y-%m-%d %H:%M}",
            "Took": "" if self.seconds is None else follow.duration(self.seconds),
            "USD": "" if self.dollars is None else f"{self.dollars:.4f}",
            "Kind": self.kind,
        }


def lines(
    jobs: Sequence[Summary],
    sweeps: Sequence[str],
    dollars: Callable[[str], float | None],
    *,
    until: datetime | None = None,
    since: datetime | None = None,
) -> list[Line]:
    """The lines of a page, newest first. `sweeps` are the names of all sweeps, and `dollars` is what is known
    of a job's cost. A sweep without rows on the page is on it if it was created between `since` and `until`:
    its rows may not have started yet. Without a bound, the page is the first or the last."""
    by_mark = {name[-MARK:]: name for name in sweeps if created_of(name)}
    found: list[Line] = []
    rows: dict[str, list[Summary]] = {}
    for job in jobs:
        if job.mark in by_mark:
            rows.setdefault(by_mark[job.mark], []).append(job)
        else:
            found.append(Line(job.name, job.kind, job.state, job.created, job.seconds, dollars(job.name)))
    found += (_sweep(name, some, dollars) for name, some in rows.items())
    for name in by_mark.values():
        created = created_of(name)
        is_here = created and (until is None or created < until) and (since is None or created >= since)
        if created and is_here and name not in rows:
            found.append(Line(name, SWEEP, "no row here", created, None, None))
    return sorted(found, key=lambda line: line.created, reverse=True)


def _sweep(name: str, rows: Sequence[Summary], dollars: Callable[[str], float | None]) -> Line:
    """`rows` are those on the page."""
    states = Counter(row.state for row in rows)
    text = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    known = [cost for row in rows if (cost := dollars(row.name)) is not None]
    total = sum(known) if len(known) == len(rows) else None
    return Line(name, SWEEP, f"rows here: {text}", max(row.created for row in rows), None, total)


def created_of(sweep: str) -> datetime | None:
    """The time in a sweep's name, which ends with <time>-<4 hex> (sweep_command.sweep_name)."""
    try:
        return datetime.strptime(sweep.split("-")[-2], "%y%m%d%H%M%S").replace(tzinfo=UTC)
    except (ValueError, IndexError):
        return None  # another folder


def bounds(
    pages: Callable[[int], Sequence[Summary]], number: int, *, is_last: bool
) -> tuple[datetime | None, datetime | None]:
    """`until` and `since` of a page."""
    before = pages(number - 1) if number else []
    here = pages(number)
    return before[-1].created if before else None, None if is_last or not here else here[-1].created
