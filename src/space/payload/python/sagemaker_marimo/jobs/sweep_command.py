"""What `marimo-job` does for sweeps: `run --each`, `resume`, `sweep`, and its part of `stop` and `list`."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from botocore.exceptions import ConnectionError, HTTPClientError

from sagemaker_marimo.jobs import grid as grids
from sagemaker_marimo.jobs import pipeline, sweep
from sagemaker_marimo.jobs import request as jobs_request
from sagemaker_marimo.jobs.pipeline import Members
from sagemaker_marimo.jobs.sweep import Plan, Progress, Store, Sweep

FREE_COST = 10.0
"""US dollars that a sweep may cost at most without --max-cost."""
# Exit statuses beside 0. SageMaker's own failure is told apart from the notebook's.
ROWS_FAILED, ROWS_LEFT = 1, 75
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 20.0
"""Seconds between two looks at a pipeline: the longer the sweep takes, the fewer requests a row."""


def say(line: str) -> None:
    """Progress, beside what is printed as a result."""
    print(line, file=sys.stderr, flush=True)


def _dollars(text: str) -> float:
    if text == "none":
        return float("inf")
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def add_options(parser: argparse.ArgumentParser) -> None:
    """To those of `run`."""
    group = parser.add_argument_group(
        "a sweep", "One job for each row of a grid; its state and its results are in the bucket."
    )
    group.add_argument(
        "--each",
        type=Path,
        metavar="GRID.csv",
        help="run the notebook once for each row, with --COLUMN=VALUE for each cell that is not empty",
    )
    group.add_argument(
        "--parallel", type=_count, default=4, metavar="N", help="jobs at a time (default: %(default)s)"
    )
    group.add_argument(
        "--attempts",
        type=_count,
        default=3,
        metavar="N",
        help="times that a row is begun, where AWS interrupts it (default: %(default)s); what the notebook "
        "raises is not tried again",
    )
    add_cost_option(group)
    group.add_argument(
        "--then",
        metavar="NOTEBOOK",
        help="a notebook to run after all rows: --rows is the folder of their outputs",
    )
    group.add_argument(
        "--table",
        default="result.csv",
        metavar="FILE",
        help="what each row's notebook writes, whose columns the sweep's table has (default: %(default)s)",
    )


def add_cost_option(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--max-cost",
        type=_dollars,
        metavar="USD",
        help="refuse what may cost more: rows x attempts x time limit x price; without it "
        f"{FREE_COST:.0f} USD, with none no bound",
    )


def read_grid(path: Path, arguments: Sequence[str]) -> grids.Grid:
    """The grid; BadGrid has all that is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise grids.BadGrid([f"it cannot be read: {error}"]) from None
    return grids.read(text, others=list(arguments))


def make_plan(
    options: argparse.Namespace,
    grid: grids.Grid,
    request: Members,
    arguments: Sequence[str],
    *,
    prefix: str,
    pipeline_role: str,
    minutes: float,
    hourly: float | None,
) -> Plan:
    """Of what add_options adds to `run` and the request of a single job: a sweep with a name of its own."""
    notebook = request["AppSpecification"]["ContainerArguments"][0]
    return Plan(
        name=sweep_name(prefix, notebook, jobs_request.stamp()),
        prefix=prefix,
        request=request,
        pipeline_role=pipeline_role,
        columns=list(grid.columns),
        rows=[list(row) for row in grid.rows],
        arguments=list(arguments),
        parallel=options.parallel,
        attempts=options.attempts,
        minutes=minutes,
        table=options.table,
        then_notebook=options.then,
        hourly=hourly,
    )


def problems(plan: Plan, most_cost: float | None) -> list[str]:
    return list(sweep.problems(plan, most_cost, FREE_COST))


def describe(plan: Plan) -> str:
    """For people who decide on it."""
    cost, parts = plan.most_cost(), plan.parts
    bound = "its cost is not known" if cost is None else f"at most {cost:.2f} USD"
    return (
        f"{len(plan.rows)} rows in {len(parts)} pipeline{'s' * (len(parts) > 1)}, {plan.parallel} at a time, "
        f"{plan.attempts} attempts of {plan.minutes} minutes each: {bound}"
    )


def start(store: Store, plan: Plan) -> Sweep:
    say(describe(plan))
    one = Sweep.create(store, plan)
    say(f"sweep {plan.name}: if this ends, `marimo-job resume {plan.name}` goes on")
    one.start()
    return one


def follow(one: Sweep, output: Path, wants_to_stop: Callable[[str], bool] = lambda _: False) -> int:
    """Says how it goes to its end, and then gathers; the exit status. Ctrl-C asks whether to stop it."""
    name, stopping = one.plan.name, False
    while True:
        try:
            return _until_end(one, output)
        except KeyboardInterrupt:
            say("")
        try:
            if not stopping and wants_to_stop(name):
                one.stop()
                stopping = True
                say(f"{name} is being stopped. Ctrl-C detaches from it.")
                continue
        except KeyboardInterrupt:
            pass
        say(f"Detached: {name} goes on.\n  marimo-job resume {name}\n  marimo-job stop {name}")
        return 0


def _until_end(one: Sweep, output: Path) -> int:
    began, last = time.monotonic(), ""
    # A look takes requests for each pipeline.
    first = pause = min(FIRST_PAUSE * len(one.plan.parts), LONGEST_PAUSE)
    while True:
        try:
            progress = one.progress()
        except (ConnectionError, HTTPClientError) as error:
            # A laptop that slept, a network that changed: the sweep does not mind.
            say(f"{one.plan.name} cannot be asked, trying again: {error}")
        else:
            if str(progress) != last:
                last, pause = str(progress), first
                say(f"{time.monotonic() - began:6.0f} s  {last}")
            if one.is_over:
                return finish(one, progress, output)
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)


def finish(one: Sweep, progress: Progress, output: Path) -> int:
    """Gathers the table, and fetches it."""
    text, name = one.gather(), one.plan.name
    folder = output / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.csv").write_text(text)
    say(f"{progress}\n{folder / 'table.csv'} has each row; pages and files: {one.store.uri(name)}/rows/")
    count = progress.count()
    if (
        count[sweep.INTERRUPTED]
        or count[sweep.STOPPED]
        or progress.then in (sweep.INTERRUPTED, sweep.STOPPED)
    ):
        say(f"not all of it ran to its end: `marimo-job resume {name}` goes on")
        return ROWS_LEFT
    return ROWS_FAILED if count[sweep.FAILED] or progress.then == sweep.FAILED else 0


def resume(
    store: Store,
    name: str,
    most_cost: float | None,
    output: Path,
    *,
    detach: bool,
    wants_to_stop: Callable[[str], bool] = lambda _: False,
) -> int:
    one = Sweep.open(store, name)
    if one.plan.finished:
        say(f"sweep {name} has ended")
        return show(store, name)
    left = one.left()
    if one.ended_parts() and (wrong := list(sweep.cost_problems(one.plan, left, most_cost, FREE_COST))):
        raise sweep.SweepError("\n".join(wrong))
    say(f"sweep {name}: {left} of {len(one.plan.rows)} rows are left")
    one.resume()
    return 0 if detach else follow(one, output, wants_to_stop)


def show(store: Store, name: str) -> int:
    """Progress of a sweep, and its table's place at the end."""
    one = Sweep.open(store, name)
    if one.plan.finished:
        print(f"{name}: ended; {store.uri(name)}/table.csv")
        return 0
    progress = one.progress()
    print(f"{name}: {progress}")
    if one.is_over:
        print(f"its pipelines have ended: `marimo-job resume {name}` gathers its table")
    return 0


def stop(store: Store, name: str) -> int:
    count = Sweep.open(store, name).stop()
    print(f"{name}: told {count} pipeline{'s' * (count != 1)} to stop; `marimo-job resume {name}` goes on")
    return 0


def sweep_name(prefix: str, notebook: str, stamp: str) -> str:
    """After the notebook, cut so that the jobs of its rows can be named after it."""
    stem = jobs_request.stem(PurePosixPath(notebook).name)
    longest = pipeline.JOB_NAME_CHARACTERS - len(f"{prefix}---{grids.MOST_ROWS}{stamp}")
    return f"{stem[:longest].rstrip('-')}-{stamp}"


def lines(store: Store, prefix: str) -> list[str]:
    """What `list` says of sweeps, newest first."""
    found = []
    for name in reversed(store.names(prefix)):
        with suppress(sweep.SweepError):
            plan = Sweep.open(store, name).plan
            found.append(f"{name}  {len(plan.rows)} rows  {'ended' if plan.finished else 'under way'}")
    return found
