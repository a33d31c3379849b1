"""The commands of `marimo-job` for sweeps: `run --each`, `resume`, `sweep`, and part of `stop`."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

from sagemaker_marimo.jobs import grid as grids
from sagemaker_marimo.jobs import pipeline, sweep_check, sweep_plan
from sagemaker_marimo.jobs import request as jobs_request
from sagemaker_marimo.jobs.pipeline import Members
from sagemaker_marimo.jobs.request import JobOptions
from sagemaker_marimo.jobs.results import NO_ANSWER
from sagemaker_marimo.jobs.sender import Sender
from sagemaker_marimo.jobs.settings import Environment
from sagemaker_marimo.jobs.sweep import Sweep, SweepError
from sagemaker_marimo.jobs.sweep_plan import Plan
from sagemaker_marimo.jobs.sweep_progress import FAILED, INTERRUPTED, STOPPED, Progress
from sagemaker_marimo.jobs.sweep_store import Store

DEFAULT_MAX_COST = 10.0
"""Maximum cost of a sweep in US dollars without --max-cost."""
# Exit statuses other than 0. They distinguish a failed notebook from rows that did not run.
ROWS_FAILED, ROWS_LEFT = 1, 75
NOTHING_STOPPED = 1
"""Exit status of `stop` for a job or a sweep that has already ended, as that of kill(1)."""
SHORT_STEM = 8
"""Characters of a notebook in a sweep's name where the names of its rows' jobs have no room for it."""
MOST_FAILURES = 10
"""Failed rows that `sweep` names."""
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 20.0
"""Seconds between two status requests. The pause grows, so that a long sweep needs few requests per row."""


def say(line: str) -> None:
    """Prints progress to standard error; standard output is for results."""
    print(line, file=sys.stderr, flush=True)


def read_grid(path: Path, arguments: Sequence[str]) -> grids.Grid:
    """Reads the grid. Raises GridError with all its problems."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise grids.GridError([f"the file cannot be read: {error}"]) from None
    return grids.read(text, others=list(arguments))


def make_plan(
    options: argparse.Namespace,
    grid: grids.Grid,
    job: JobOptions,
    *,
    source: str,
    environment: str,
    prefix: str,
    hourly: float | None,
) -> Plan:
    """A sweep with a unique name, from the options of `run` and of a single job. `environment` is the prefix
    of all jobs of the environment, `prefix` that of the sender's."""
    return Plan(
        name=sweep_name(environment, job.notebook, jobs_request.stamp(), sender=prefix),
        prefix=prefix,
        job={**vars(job), "arguments": [], "secrets": list(job.secrets)},
        source=source,
        columns=list(grid.columns),
        rows=[list(row) for row in grid.rows],
        arguments=list(job.arguments),
        parallel=options.parallel,
        attempts=options.attempts,
        minutes=job.minutes,
        table=options.table,
        then_notebook=options.then,
        hourly=hourly,
    )


def problems(plan: Plan, max_cost: float | None) -> list[str]:
    return list(sweep_plan.problems(plan, max_cost, DEFAULT_MAX_COST))


def accepts_unknown_cost(plan: Plan) -> bool:
    """Asks in a terminal. Without one, the option --max-cost has the answer."""
    if plan.hourly is not None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    print(
        f"The price of {plan.instance} is unknown. {describe(plan)}. Start? [y/N] ", end="", file=sys.stderr
    )
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def describe(plan: Plan) -> str:
    """The plan in words, for the user's decision."""
    cost, parts = plan.max_cost(), plan.parts
    bound = "the cost is unknown" if cost is None else f"at most {cost:.2f} USD"
    return (
        f"{len(plan.rows)} rows in {len(parts)} pipeline{'s' * (len(parts) > 1)}, {plan.parallel} at a time, "
        f"{plan.attempts} attempts of {plan.minutes} minutes each: {bound}"
    )


def start(store: Store, plan: Plan, single: Members) -> Sweep:
    say(describe(plan))
    current = Sweep.create(store, plan)
    say(f"sweep {plan.name}: to continue it after an interruption, run `marimo-job resume {plan.name}`")
    current.start(single)
    return current


def follow(current: Sweep, output: Path, wants_to_stop: Callable[[str], bool] = lambda _: False) -> int:
    """Shows progress until the end, then collects the table. Ctrl-C asks whether to stop the sweep."""
    name, stopping = current.plan.name, False
    while True:
        try:
            return _until_end(current, output)
        except (ClientError, BotoCoreError) as error:
            say(f"AWS: {error}\n{name} continues. With valid credentials: marimo-job resume {name}")
            return NO_ANSWER
        except KeyboardInterrupt:
            say("")
        try:
            if not stopping and wants_to_stop(name):
                current.stop()
                stopping = True
                say(f"{name} is being stopped. Press Ctrl-C to detach from it.")
                continue
        except KeyboardInterrupt:
            pass
        say(f"Detached: {name} continues.\n  marimo-job resume {name}\n  marimo-job stop {name}")
        return 0


def _until_end(current: Sweep, output: Path) -> int:
    began, last = time.monotonic(), ""
    # Each status request consists of requests for each pipeline.
    first = pause = min(FIRST_PAUSE * len(current.plan.parts), LONGEST_PAUSE)
    while True:
        try:
            progress = current.progress()
        except (ConnectionError, HTTPClientError) as error:
            # A sleeping laptop or a network change does not affect the sweep.
            say(f"cannot get the status of {current.plan.name}, trying again: {error}")
        else:
            if str(progress) != last:
                last, pause = str(progress), first
                say(f"{time.monotonic() - began:6.0f} s  {last}")
            if current.is_over:
                return finish(current, progress, output)
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)


def finish(current: Sweep, progress: Progress, output: Path) -> int:
    """Collects the table and downloads it."""
    text, name = current.collect_table(), current.plan.name
    folder = output / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.csv").write_text(text)
    say("\n".join([f"{progress.state}, {progress}", *failed_rows(current)]))
    say(f"Table: {folder / 'table.csv'}\nPages and files: {current.store.uri(name)}/rows/")
    count = progress.count()
    if count[INTERRUPTED] or count[STOPPED] or progress.then in (INTERRUPTED, STOPPED):
        say(f"some rows did not complete: `marimo-job resume {name}` continues the sweep")
        return ROWS_LEFT
    return ROWS_FAILED if count[FAILED] or progress.then == FAILED else 0


def resume(
    store: Store,
    environment: Environment,
    who: Sender,
    name: str,
    max_cost: float | None,
    output: Path,
    *,
    detach: bool,
    wants_to_stop: Callable[[str], bool] = lambda _: False,
) -> int:
    """Continues a sweep, with the role, image, network and key of the deployment."""
    current = Sweep.open(store, name)
    if current.plan.finished:
        say(f"sweep {name} has ended")
        return show(store, name)
    plan = current.plan
    if wrong := list(sweep_check.problems(store, plan, who)):
        raise SweepError("\n".join(wrong))
    states = current.progress().rows
    if parts := current.parts_to_start():
        rows = sweep_check.rows_left(states, parts)
        if wrong := list(sweep_check.limits(plan, environment, who, rows, max_cost, DEFAULT_MAX_COST)):
            raise SweepError("\n".join(wrong))
    say(f"sweep {name}: {sweep_check.rows_left(states, plan.parts)} of {len(plan.rows)} rows are left")
    current.resume(jobs_request.build(plan.options, environment, plan.source, name, who))
    return 0 if detach else follow(current, output, wants_to_stop)


def show(store: Store, name: str) -> int:
    """Prints a sweep's progress, its failed rows and the location of its table."""
    current = Sweep.open(store, name)
    progress = current.progress()
    print(f"{name}: {progress.state}, {progress}")
    for line in failed_rows(current):
        print(line)
    if current.plan.finished:
        print(f"Table: {store.uri(name)}/table.csv")
    elif current.is_over:
        print(f"its pipelines have ended: `marimo-job resume {name}` collects its table")
    return 0


def failed_rows(current: Sweep) -> Iterator[str]:
    failures = current.failures()
    for number, error in failures[:MOST_FAILURES]:
        yield f"row {number} failed: {error}"
        yield f"  its page: {current.store.uri(current.plan.name)}/rows/{number}/page.html"
    if len(failures) > MOST_FAILURES:
        yield f"{len(failures) - MOST_FAILURES} more rows failed: the table has them all"


def stop(store: Store, name: str) -> int:
    current = Sweep.open(store, name)
    count = 0 if current.plan.finished else current.stop()
    if count == 0 and not (progress := current.progress()).is_stopping:
        say(f"{name} has already ended: {progress.state}, {progress}")
        return NOTHING_STOPPED
    print(f"{name}: stopping {count} pipeline{'s' * (count != 1)}; `marimo-job resume {name}` continues it")
    return 0


def sweep_name(prefix: str, notebook: str, stamp: str, *, sender: str = "") -> str:
    """A name derived from the notebook's, short enough for the names of the rows' jobs, which begin with
    `sender`. It never begins with the environment's prefix, as every job's name does: `list` and `stop` rely
    on it."""
    stem = jobs_request.stem(PurePosixPath(notebook).name)
    room = pipeline.JOB_NAME_CHARACTERS - len(f"{sender or prefix}---{grids.MAX_ROWS}{stamp}")
    longest = room if room > 0 else SHORT_STEM
    names = [f"{one[:longest].rstrip('-')}-{stamp}" for one in (stem, f"sweep-{stem}")]
    return next(name for name in names if not name.startswith(f"{prefix}-"))
