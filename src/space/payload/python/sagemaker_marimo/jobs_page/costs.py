"""What jobs cost. Lists of jobs have no instance type, so each ended job is described once, when the person
asks for the month's cost or opens the job, and what it cost is kept in the home."""

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_marimo import state
from sagemaker_marimo.jobs import prices, results
from sagemaker_marimo.jobs.descriptions import MISSING, Description
from sagemaker_marimo.jobs.lookup import DENIED
from sagemaker_marimo.jobs_page import job
from sagemaker_marimo.jobs_page.pages import Pages
from sagemaker_marimo.jobs_page.summary import Summary

MOST_KEPT = 5_000
THREADS = 8


@dataclass(frozen=True)
class Used:
    """What is billed of a job."""

    instance: str
    instances: int
    seconds: float

    @property
    def dollars(self) -> float | None:
        return prices.cost(self.instance, self.seconds, self.instances)


@dataclass(frozen=True)
class Month:
    jobs: int
    dollars: float
    unknown: int
    """Jobs without a price, or whose descriptions cannot be read."""


@dataclass
class Costs:
    file: Path = field(default_factory=lambda: state.STATE / "job-costs.json")

    def __post_init__(self) -> None:
        self._used: dict[str, Used] = {}
        # A file of another version, or half of one, is only a cache.
        with suppress(OSError, ValueError, TypeError, AttributeError):
            content = json.loads(self.file.read_text(encoding="utf-8"))
            self._used = {name: Used(*one) for name, one in content.items()}

    def dollars(self, name: str) -> float | None:
        """None if it is not known, without a request."""
        used = self._used.get(name)
        return None if used is None else used.dollars

    def note(self, description: Description, now: datetime | None = None) -> float | None:
        """The cost so far. That of an ended job is kept."""
        instance, instances = results.instance(description), results.instances(description)
        used = Used(instance, instances, job.billed_seconds(description, now))
        if job.has_ended(description):
            self._used[description["ProcessingJobName"]] = used
        return used.dollars

    def month(
        self, sagemaker: Any, prefix: str, now: datetime, progress: Callable[[int, int], None]
    ) -> Month:
        """The cost so far of the jobs that were created in this month, in UTC. `progress` gets the number of
        jobs that were described, and of those to describe."""
        start = datetime(now.year, now.month, 1, tzinfo=UTC)
        jobs = list(Pages(sagemaker, prefix, after=start))
        known = {one.name: cost for one in jobs if (cost := self.dollars(one.name)) is not None}
        missing = [one for one in jobs if one.name not in self._used]
        known |= self._describe(sagemaker, missing, now, progress)
        self.save(one.name for one in jobs)
        return Month(len(jobs), sum(known.values()), len(jobs) - len(known))

    def _describe(
        self, sagemaker: Any, jobs: list[Summary], now: datetime, progress: Callable[[int, int], None]
    ) -> dict[str, float]:
        def cost(one: Summary) -> float | None:
            try:
                return self.note(job.describe(sagemaker, one.name, one.kind), now)
            except ClientError as error:
                if error.response["Error"]["Code"] not in (DENIED, *MISSING):
                    raise
                return None

        found = {}
        with ThreadPoolExecutor(THREADS) as pool:
            for number, (one, dollars) in enumerate(zip(jobs, pool.map(cost, jobs), strict=True), 1):
                progress(number, len(jobs))
                if dollars is not None:
                    found[one.name] = dollars
        return found

    def save(self, newest: Iterable[str] = ()) -> None:
        """Keeps the newest jobs and those that were noted last."""
        names = list(dict.fromkeys([*newest, *reversed(list(self._used))]))[:MOST_KEPT]
        content = {name: list(vars(self._used[name]).values()) for name in names if name in self._used}
        # A full home is another problem than a job's.
        with suppress(OSError):
            temporary = self.file.with_suffix(".tmp")
            temporary.write_text(json.dumps(content), encoding="utf-8")
            temporary.replace(self.file)
