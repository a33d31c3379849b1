"""What defines a sweep: its rows, its division into pipelines, and its maximum cost."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from sagemaker_marimo import job_notify
from sagemaker_marimo.jobs import pipeline, request, training
from sagemaker_marimo.jobs.grid import MAX_ROWS, Grid
from sagemaker_marimo.jobs.pipeline import Members, Part
from sagemaker_marimo.jobs.sweep_store import Store

MARK = len("101500-0a1b")
"""Characters at the end of a sweep's name that are in the names of all its rows' jobs: `list` finds them
by it."""


@dataclass(frozen=True)
class Plan:
    """The content of sweep.json: what its sender chose. Role, image, network and key are the deployment's."""

    name: str
    prefix: str  # of the names of jobs and pipelines
    job: Members  # the members of JobOptions for a single job with the same notebook, without its arguments
    source: str  # SHA-256 of the list of the sources
    columns: list[str]
    rows: list[list[str]]
    arguments: list[str]  # of every row, in addition to its own
    parallel: int
    attempts: int
    minutes: float
    table: str
    then_notebook: str | None
    hourly: float | None  # US dollars per hour and instance
    finished: bool = False

    @property
    def mark(self) -> str:
        """What each pipeline of the sweep is described by. SageMaker keeps it, where only the sweep's sender
        writes, so that a changed sweep.json is noticed."""
        text = json.dumps({**vars(self), "finished": False}, sort_keys=True)
        return f"sweep.json {hashlib.sha256(text.encode()).hexdigest()}"

    @property
    def options(self) -> request.JobOptions:
        return request.JobOptions(**self.job)

    @property
    def grid(self) -> Grid:
        return Grid(tuple(self.columns), tuple(tuple(row) for row in self.rows))

    @property
    def parts(self) -> list[Part]:
        name = f"{self.prefix}-{self.name}"
        return pipeline.divide(name, len(self.rows), self.parallel, then=self.then_notebook is not None)

    @property
    def job_prefix(self) -> str:
        """What the names of the rows' jobs begin with: as much of the end of the sweep's name as has room."""
        return f"{self.prefix}-{self.name[-self.room :].lstrip('-')}"

    @property
    def room(self) -> int:
        """Characters of the sweep's name in the names of its rows' jobs."""
        return max(0, pipeline.JOB_NAME_CHARACTERS - len(f"{self.prefix}--{MAX_ROWS}"))

    @property
    def notebook(self) -> str:
        return str(self.job["notebook"])

    @property
    def instance(self) -> str:
        return str(self.job["instance"])

    def definition(self, store: Store, part: Part, single: Members) -> str:
        """The definition of a pipeline. `single` is the request of a single job with the same notebook."""
        seconds, base = int(self.minutes * 60), self.job_prefix
        requests = {}
        for number in range(part.first, part.last + 1):
            row = pipeline.row_request(
                single,
                self.grid.arguments(number, self.arguments),
                store.uri(f"{self.name}/rows/{number}"),
                f"{base}-{number}",
                seconds,
            )
            self._notify_once(row["Environment"])
            requests[pipeline.step_name(number)] = training.final(row, self.options)
        if self.then_notebook is None:
            return pipeline.definition(requests, self.attempts)
        rows, output = store.uri(f"{self.name}/rows/"), store.uri(f"{self.name}/then")
        then = pipeline.then_request(single, self.then_notebook, rows, output, f"{base}-then", seconds)
        return pipeline.definition(requests, self.attempts, training.final(then, self.options))

    def _notify_once(self, variables: Members) -> None:
        """Of a sweep, its last job notifies: that of --then, or else the row that ends last."""
        if self.then_notebook is None and job_notify.ON in variables:
            variables[job_notify.ROWS] = str(len(self.rows))
        else:
            for name in (job_notify.ON, job_notify.TOPIC):
                variables.pop(name, None)

    def max_cost(self, rows: int | None = None) -> float | None:
        """The maximum cost of this many rows in US dollars, if each attempt takes its whole time limit."""
        if self.hourly is None:
            return None
        jobs = (len(self.rows) if rows is None else rows) + (self.then_notebook is not None)
        hours = (self.minutes * 60 + pipeline.OVERHEAD_SECONDS + (self.options.warm_minutes or 0) * 60) / 3600
        # At the price on demand, which Spot's never exceeds.
        return jobs * self.attempts * hours * self.options.nodes * self.hourly


def problems(plan: Plan, max_cost: float | None, default: float) -> Iterator[str]:
    """All problems of a plan: its division into pipelines, its attempts and its cost. `max_cost` is the
    limit in US dollars; without it, `default` is the limit."""
    try:
        _ = plan.parts
    except ValueError as error:
        yield str(error)
    if not 1 <= plan.attempts <= pipeline.MAX_ATTEMPTS:
        yield f"--attempts is {plan.attempts}, but must be 1 to {pipeline.MAX_ATTEMPTS}"
    if plan.room < MARK:
        yield (
            f"the names of the rows' jobs begin with {plan.prefix}-, which leaves no room for the sweep's: a "
            "sweep needs names of environment and user of at most 27 characters together (SageMaker API, "
            "ProcessingJobName)"
        )
    yield from cost_problems(plan, len(plan.rows), max_cost, default)


def cost_problems(plan: Plan, rows: int, max_cost: float | None, default: float) -> Iterator[str]:
    cost = plan.max_cost(rows)
    if max_cost == float("inf"):
        return
    if cost is None:
        yield f"the price of {plan.instance} is unknown; to accept any cost, use --max-cost none"
    elif max_cost is None and cost > default:
        yield f"it may cost {cost:.2f} USD: above {default:.2f} USD, set a limit with --max-cost"
    elif max_cost is not None and cost > max_cost:
        yield f"it may cost {cost:.2f} USD, more than --max-cost {max_cost:.2f}"
