"""Runs marimo notebooks as SageMaker Processing jobs, one or a sweep of them.

Exit status of run and logs --follow: the notebook's own; 75 where the job ended without one (the platform's
failure, stopped, out of time); 2 where something was refused before anything was sent; 0 where you detached.
Of a sweep: 0 where all rows ended well, 1 where a notebook raised, 75 where not all of it ran.
"""

import argparse
import json
import sys
import webbrowser
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

# Run by its path, so that it needs neither an installation nor PYTHONPATH.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[2])

from sagemaker_marimo import open_marimo, state
from sagemaker_marimo.jobs import follow, prices, results, settings, submit, sweep_command
from sagemaker_marimo.jobs.grid import BadGrid
from sagemaker_marimo.jobs.settings import Clients, Environment, Refused
from sagemaker_marimo.jobs.sweep import Store, SweepError
from sagemaker_marimo.jobs.sweep_command import say

REFUSED = 2


def run(
    clients: Clients, environment: Environment, options: argparse.Namespace, arguments: Sequence[str]
) -> int:
    say(f"Checking {options.notebook} …")
    if options.each is not None:
        return run_each(clients, environment, options, arguments)
    prepared = submit.prepare(clients, environment, options, arguments)
    for name in prepared.left_behind:
        say(f"Not sent: {name}, which the notebook names. If it reads it: --with {name}")
    if options.dry_run:
        print(submit.dry_run(prepared))
        return 0
    name = prepared.name
    sent = prepared.send(clients, environment)
    say(f"{name} is created: {sent} files sent, on {prepared.wish.instance}")
    say(f"It costs at most {prepared.cost()['atMostByTheTimeLimit']}")
    if options.detach:
        print(json.dumps({"job": name}) if options.json else name)
        say(f"  marimo-job logs {name} --follow\n  marimo-job stop {name}")
        return 0
    return follow_to_end(clients, name, options.output, as_json=options.json)


def run_each(
    clients: Clients, environment: Environment, options: argparse.Namespace, arguments: Sequence[str]
) -> int:
    """A sweep: all that is wrong with the notebook, the grid and the cost is told at once."""
    wrong: list[str] = []
    grid = prepared = None
    if options.then is not None:
        options.others.append(options.notebook.parent / options.then)
    try:
        grid = sweep_command.read_grid(options.each, arguments)
    except BadGrid as bad:
        wrong += [f"{options.each}: {problem}" for problem in bad.problems]
    try:
        prepared = submit.prepare(clients, environment, options, arguments)
    except Refused as refused:
        wrong += refused.problems
    if grid is None or prepared is None:
        raise Refused(wrong)
    plan = sweep_command.make_plan(
        options,
        grid,
        prepared.request,
        arguments,
        prefix=environment.prefix,
        pipeline_role=environment.pipeline_role,
        minutes=prepared.wish.minutes,
        hourly=prices.HOURLY.get(prepared.wish.instance),
    )
    if problems := sweep_command.problems(plan, options.max_cost):
        raise Refused(problems)
    if options.dry_run:
        say(sweep_command.describe(plan))
        print(submit.dry_run(prepared))
        return 0
    prepared.sources.upload(clients.s3, environment.bucket)
    one = sweep_command.start(store(clients, environment), plan)
    if options.detach:
        print(json.dumps({"sweep": plan.name}) if options.json else plan.name)
        return 0
    return sweep_command.follow(one, options.output, follow.wants_to_stop)


def store(clients: Clients, environment: Environment) -> Store:
    return Store(clients.s3, clients.sagemaker, environment.bucket)


def follow_to_end(clients: Clients, name: str, output: Path, *, as_json: bool) -> int:
    description = follow.follow(clients.sagemaker, clients.logs, name)
    if description is None:
        return 0
    folder = output / name
    files = results.fetch(clients.s3, description, folder)
    result = results.read_result(folder)
    if as_json:
        print(json.dumps(facts(description) | {"result": result, "folder": str(folder)}))
    if reason := results.reason(description):
        say(reason)
    if files:
        say(f"{len(files)} files in {folder}, the page first: {files[0]}")
    else:
        say(f"{name} left nothing")
    say(f"It cost {prices.describe(instance_of(description), results.seconds(description))}")
    return results.exit_status(description, result)


def instance_of(description: dict[str, Any]) -> str:
    return str(description["ProcessingResources"]["ClusterConfig"]["InstanceType"])


def facts(description: dict[str, Any]) -> dict[str, Any]:
    """A job for programs."""
    seconds = results.seconds(description)
    bucket, prefix = results.output_of(description)
    return {
        "job": description["ProcessingJobName"],
        "status": description["ProcessingJobStatus"],
        "instance": instance_of(description),
        "seconds": seconds,
        "dollars": prices.cost(instance_of(description), seconds),
        "output": f"s3://{bucket}/{prefix}",
        "reason": results.reason(description),
    }


def status(clients: Clients, options: argparse.Namespace) -> int:
    description = follow.describe(clients.sagemaker, options.job)
    if options.json:
        print(json.dumps(facts(description)))
    else:
        print(f"{options.job}: {follow.status_line(description, datetime.now(UTC))}")
        if reason := results.reason(description):
            print(reason)
    return 0


def list_jobs(clients: Clients, environment: Environment, options: argparse.Namespace) -> int:
    pages = clients.sagemaker.get_paginator("list_processing_jobs").paginate(
        NameContains=f"{environment.prefix}-",
        SortBy="CreationTime",
        SortOrder="Descending",
        PaginationConfig={"MaxItems": options.most},
    )
    jobs = [job for page in pages for job in page["ProcessingJobSummaries"]]
    if options.json:
        print(
            json.dumps(
                [{"job": job["ProcessingJobName"], "status": job["ProcessingJobStatus"]} for job in jobs]
            )
        )
        return 0
    for line in sweep_command.lines(store(clients, environment), environment.prefix):
        print(line)
    for job in jobs:
        print(f"{job['ProcessingJobName']:<63}  {follow.status_line(job, datetime.now(UTC))}")
    if not jobs:
        say(f"{environment.name} has no jobs yet: marimo-job run NOTEBOOK.py")
    return 0


def logs(clients: Clients, options: argparse.Namespace) -> int:
    if options.follow:
        return follow_to_end(clients, options.job, options.output, as_json=False)
    follow.describe(clients.sagemaker, options.job)
    for line in follow.Log(clients.logs, options.job).new_lines():
        print(line)
    return 0


def stop(clients: Clients, environment: Environment, options: argparse.Namespace) -> int:
    # Jobs have the environment's name before theirs; sweeps are folders of the bucket.
    if not options.job.startswith(f"{environment.prefix}-"):
        return sweep_command.stop(store(clients, environment), options.job)
    follow.stop(clients.sagemaker, options.job)
    say(f"{options.job} is being stopped: marimo-job logs {options.job} --follow")
    return 0


def open_page(clients: Clients, options: argparse.Namespace) -> int:
    description = follow.describe(clients.sagemaker, options.job)
    folder = options.output / options.job
    results.fetch(clients.s3, description, folder)
    page = folder / "page.html"
    if not page.is_file():
        say(f"{options.job} has no page: {follow.status_line(description, datetime.now(UTC))}")
        return 1
    print(page_address(page.resolve()))
    return 0


def page_address(page: Path) -> str:
    """In a space JupyterLab shows the file; elsewhere the browser does, and this says which one."""
    if not state.settings().get("MARIMO_BUCKET"):
        webbrowser.open(page.as_uri())
        return str(page)
    if not page.is_relative_to(Path.home()):
        return f"{page}: outside your home folder, where JupyterLab shows no files"
    path = f"/jupyterlab/default/lab/tree/{page.relative_to(Path.home()).as_posix()}"
    url, why_not = open_marimo.describe_space()
    return (
        f"{why_not}\nThe page, behind the space's address: {path}"
        if url is None
        else (f"{open_marimo.space_origin(url)}{path}")
    )


def parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--bucket", help="the environment's (default: MARIMO_BUCKET, or the space's)")
    common.add_argument("--region", help="the environment's (default: AWS_REGION, or the space's)")
    whole = argparse.ArgumentParser(
        "marimo-job", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    one = commands.add_parser(
        "run", parents=[common], help="run a notebook", usage="%(prog)s NOTEBOOK [OPTION…] [-- ARGUMENT…]"
    )
    one.add_argument("notebook", type=Path, metavar="NOTEBOOK")
    one.add_argument("--instance", metavar="TYPE", help="such as ml.m5.large (default: the environment's)")
    one.add_argument("--time-limit", type=int, metavar="MINUTES", help="default: the longest allowed")
    one.add_argument("--volume", type=int, metavar="GB", help="default: the environment's")
    one.add_argument(
        "--with",
        dest="others",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a file or folder beside the notebook to send too; modules it imports are sent by themselves",
    )
    one.add_argument(
        "--lock", type=Path, metavar="FILE", help="requirements with hashes (default: NOTEBOOK.lock)"
    )
    one.add_argument("--detach", action="store_true", help="do not wait for its end")
    one.add_argument("--dry-run", action="store_true", help="print the request and its cost; send nothing")
    _add_output(one)
    _add_json(one)
    sweep_command.add_options(one)
    listing = commands.add_parser("list", parents=[common], help="the environment's jobs, newest first")
    listing.add_argument("--most", type=int, default=20, metavar="N", help="default: %(default)s")
    _add_json(listing)
    texts = {
        "logs": "a job's log",
        "stop": "stop a job or a sweep",
        "open": "fetch and show its page",
        "status": "how it is",
    }
    for name, text in texts.items():
        sub = commands.add_parser(name, parents=[common], help=text)
        sub.add_argument("job", metavar="JOB")
        if name == "logs":
            sub.add_argument("--follow", action="store_true", help="to its end, and fetch what it leaves")
        if name in ("logs", "open"):
            _add_output(sub)
        if name == "status":
            _add_json(sub)
    again = commands.add_parser("resume", parents=[common], help="go on with a sweep, and gather its table")
    again.add_argument("sweep", metavar="SWEEP")
    again.add_argument("--detach", action="store_true", help="do not wait for its end")
    sweep_command.add_cost_option(again)
    _add_output(again)
    shown = commands.add_parser("sweep", parents=[common], help="how a sweep is")
    shown.add_argument("sweep", metavar="SWEEP")
    return whole


def _add_output(sub: argparse.ArgumentParser) -> None:
    text = "where the folder of the job's name is made (default: here)"
    sub.add_argument("--output", type=Path, default=Path(), metavar="FOLDER", help=text)


def _add_json(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--json", action="store_true", help="for programs")


def carry_out(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    bucket, region = settings.where(options.bucket, options.region)
    clients = settings.connect(region)
    match options.command:
        case "run":
            return run(clients, settings.read(clients.s3, bucket), options, arguments)
        case "list":
            return list_jobs(clients, settings.read(clients.s3, bucket), options)
        case "logs":
            return logs(clients, options)
        case "stop":
            return stop(clients, settings.read(clients.s3, bucket), options)
        case "resume":
            one = store(clients, settings.read(clients.s3, bucket))
            return sweep_command.resume(
                one,
                options.sweep,
                options.max_cost,
                options.output,
                detach=options.detach,
                wants_to_stop=follow.wants_to_stop,
            )
        case "sweep":
            return sweep_command.show(store(clients, settings.read(clients.s3, bucket)), options.sweep)
        case "open":
            return open_page(clients, options)
        case _:
            return status(clients, options)


def main(words: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if words is None else words)
    # What follows -- is the notebook's, word for word.
    cut = given.index("--") if "--" in given else len(given)
    options = parser().parse_args(given[:cut])
    try:
        return carry_out(options, given[cut + 1 :])
    except Refused as refused:
        say("Refused, and nothing was sent:")
        for problem in refused.problems:
            say(f"- {problem}")
        return REFUSED
    except SweepError as error:
        say(str(error))
        return REFUSED
    except (ClientError, BotoCoreError) as error:
        say(f"AWS: {error}")
        return results.WITHOUT_STATUS
    except KeyboardInterrupt:
        say("")
        return 130


if __name__ == "__main__":
    sys.exit(main())
