"""The command `marimo-job`: runs a notebook as a job or a sweep, and shows, stops and lists them."""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

# Run by path, so that neither an installation nor PYTHONPATH is needed.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[2])

from sagemaker_marimo.jobs import (
    descriptions,
    follow,
    listing,
    lookup,
    notify,
    prices,
    results,
    schedule_command,
    sender,
    settings,
    states,
    submit,
    sweep_command,
    training_status,
)
from sagemaker_marimo.jobs.grid import GridError
from sagemaker_marimo.jobs.lookup import NotFoundError
from sagemaker_marimo.jobs.page_address import page_address
from sagemaker_marimo.jobs.parser import parser
from sagemaker_marimo.jobs.settings import Clients, Environment, Refused
from sagemaker_marimo.jobs.sweep import SweepError
from sagemaker_marimo.jobs.sweep_command import say

REFUSED = 2


def run(
    clients: Clients, environment: Environment, options: argparse.Namespace, arguments: Sequence[str]
) -> int:
    say(f"Checking {options.notebook} …")
    if options.each is not None:
        return run_each(clients, environment, options, arguments)
    prepared = submit.prepare(clients, environment, options, arguments)
    warn(prepared)
    if options.dry_run:
        print(submit.dry_run(prepared))
        return 0
    name = prepared.name
    sent = prepared.send(clients, environment)
    nodes = f"{prepared.options.nodes} x " * (prepared.options.nodes > 1)
    say(f"{name} was created on {nodes}{prepared.options.instance}; {sent} files were uploaded")
    say(f"Maximum cost: {prepared.cost()['atMostByTheTimeLimit']}")
    if options.detach:
        print(json.dumps({"job": name}) if options.json else name)
        say(f"  marimo-job logs {name} --follow\n  marimo-job stop {name}")
        return 0
    return follow_to_end(clients, name, options.output, as_json=options.json)


def run_each(
    clients: Clients, environment: Environment, options: argparse.Namespace, arguments: Sequence[str]
) -> int:
    """Runs a sweep. Reports all problems of the notebook, the grid and the cost at once."""
    wrong: list[str] = []
    grid = prepared = None
    if options.then is not None:
        options.others.append(options.notebook.parent / options.then)
    try:
        grid = sweep_command.read_grid(options.each, arguments)
    except GridError as bad:
        wrong += [f"{options.each}: {problem}" for problem in bad.problems]
    try:
        prepared = submit.prepare(clients, environment, options, arguments)
    except Refused as refused:
        wrong += refused.problems
    if grid is None or prepared is None:
        raise Refused(wrong)
    warn(prepared)
    plan = sweep_command.make_plan(
        options,
        grid,
        prepared.options,
        source=prepared.sources.sha256,
        environment=environment.prefix,
        prefix=prepared.sender.prefix,
        hourly=prices.hourly(prepared.options.instance),
    )
    max_cost = options.max_cost
    if max_cost is None and not options.dry_run and sweep_command.accepts_unknown_cost(plan):
        max_cost = float("inf")
    if problems := sweep_command.problems(plan, max_cost):
        raise Refused(problems)
    if options.dry_run:
        say(sweep_command.describe(plan))
        print(submit.dry_run(prepared))
        return 0
    prepared.sources.upload(clients.s3, environment.bucket, prepared.sender.folder)
    store = lookup.store(clients, environment, prepared.sender)
    sweep = sweep_command.start(store, plan, prepared.request)
    if options.detach:
        print(json.dumps({"sweep": plan.name}) if options.json else plan.name)
        return 0
    return sweep_command.follow(sweep, options.output, follow.wants_to_stop)


def warn(prepared: submit.Prepared) -> None:
    for warning in prepared.warnings:
        say(f"Warning: {warning}")


def follow_to_end(clients: Clients, name: str, output: Path, *, as_json: bool) -> int:
    try:
        description = follow.follow(clients.sagemaker, clients.logs, name)
    except (ClientError, BotoCoreError) as error:
        say(f"AWS: {error}\n{name} continues. With valid credentials: marimo-job logs {name} --follow")
        return results.NO_ANSWER
    if description is None:
        return 0
    folder = output / name
    files = results.fetch(clients.s3, description, folder)
    result = results.read_result(folder)
    say(f"{name}: {follow.status_line(description, result, datetime.now(UTC))}")
    if as_json:
        print(json.dumps(facts(description, result) | {"result": result, "folder": str(folder)}))
    if reason := results.reason(description):
        say(reason)
    say(results.describe(name, folder, files))
    for line in training_status.lines(description):
        say(line)
    say(f"It cost {cost(description)}")
    return results.exit_status(description, result)


def cost(description: dict[str, Any]) -> str:
    seconds, count = results.seconds(description), results.instances(description)
    return prices.describe(results.instance(description), seconds, count)


def facts(description: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """A job's facts for --json."""
    seconds = results.seconds(description)
    bucket, prefix = results.output_of(description)
    return {
        "job": description["ProcessingJobName"],
        "status": description["ProcessingJobStatus"],
        "state": states.of_job(description, result),
        "instance": results.instance(description),
        "seconds": seconds,
        "dollars": prices.cost(results.instance(description), seconds, results.instances(description)),
        "output": f"s3://{bucket}/{prefix}",
        "reason": results.reason(description),
        **training_status.facts(description),
    }


def status(clients: Clients, environment: Environment, options: argparse.Namespace) -> int:
    description = lookup.job(
        lookup.reader_store(clients, environment, options.user), environment.prefix, options.job
    )
    result = results.fetch_result(clients.s3, description)
    if options.json:
        print(json.dumps(facts(description, result)))
    else:
        print(f"{options.job}: {follow.status_line(description, result, datetime.now(UTC))}")
        for line in training_status.lines(description):
            print(line)
        if reason := results.reason(description):
            print(reason)
    return 0


def list_jobs(clients: Clients, environment: Environment, options: argparse.Namespace) -> int:
    own = [sender.reader(environment, options.user).prefix]
    own += [f"{environment.prefix}-{name}" for name in environment.schedules]
    store = lookup.reader_store(clients, environment, options.user)
    entries = listing.entries(store, environment.prefix, own, options.most)
    if options.json:
        print(json.dumps([entry.facts for entry in entries]))
        return 0
    width = max((len(entry.name) for entry in entries), default=0)
    for entry in entries:
        print(f"{entry.name:<{width}}  {entry.text}")
    if not entries:
        say(f"{environment.name} has no jobs yet. To run one: marimo-job run NOTEBOOK.py")
    return 0


def logs(clients: Clients, environment: Environment, options: argparse.Namespace) -> int:
    description = lookup.job(
        lookup.reader_store(clients, environment, options.user), environment.prefix, options.job
    )
    if options.follow:
        return follow_to_end(clients, options.job, options.output, as_json=False)
    training = descriptions.is_training(description)
    for line in follow.Log(clients.logs, options.job, training=training).new_lines():
        print(line)
    return 0


def stop(clients: Clients, environment: Environment, options: argparse.Namespace) -> int:
    environment_store = lookup.reader_store(clients, environment, options.user)
    if lookup.is_sweep(environment_store, options.job):
        return sweep_command.stop(environment_store, options.job)
    lookup.job(environment_store, environment.prefix, options.job)
    description = follow.stop(clients.sagemaker, options.job)
    if description["ProcessingJobStatus"] in follow.TERMINAL_STATUSES:
        result = results.fetch_result(clients.s3, description)
        say(f"{options.job} has already ended: {follow.status_line(description, result, datetime.now(UTC))}")
        return sweep_command.NOTHING_STOPPED
    say(f"{options.job} is being stopped. To follow it: marimo-job logs {options.job} --follow")
    return 0


def open_page(clients: Clients, environment: Environment, options: argparse.Namespace) -> int:
    description = lookup.job(
        lookup.reader_store(clients, environment, options.user), environment.prefix, options.job
    )
    folder = options.output / options.job
    files = results.fetch(clients.s3, description, folder)
    page, result = folder / "page.html", results.read_result(folder)
    line = follow.status_line(description, result, datetime.now(UTC))
    if not page.is_file():
        say(f"{options.job}: {line}\n{results.describe(options.job, folder, files)}")
        return 1
    if not result:
        say(f"The page is unfinished: {line}")
    print(page_address(page.resolve()))
    return 0


def run_command(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    bucket, region = settings.where(options.bucket, options.region)
    clients = settings.connect(region)
    environment = settings.read(clients.s3, bucket)
    if (done := schedule_command.run_command(clients, environment, options, arguments)) is not None:
        return done
    match options.command:
        case "run":
            return run(clients, environment, options, arguments)
        case "list":
            return list_jobs(clients, environment, options)
        case "logs":
            return logs(clients, environment, options)
        case "stop":
            return stop(clients, environment, options)
        case "resume":
            return sweep_command.resume(
                lookup.sweep_store(clients, environment, options.user, options.sweep),
                environment,
                sender.find(environment, options.user),
                options.sweep,
                options.max_cost,
                options.output,
                detach=options.detach,
                wants_to_stop=follow.wants_to_stop,
            )
        case "sweep":
            store = lookup.sweep_store(clients, environment, options.user, options.sweep)
            return sweep_command.show(store, options.sweep)
        case "notify":
            return notify.run_command(environment, sender.find(environment, options.user), options)
        case "open":
            return open_page(clients, environment, options)
        case _:
            return status(clients, environment, options)


def main(words: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if words is None else words)
    # Everything after -- is passed to the notebook unchanged.
    cut = given.index("--") if "--" in given else len(given)
    options = parser().parse_args(given[:cut])
    try:
        return run_command(options, given[cut + 1 :])
    except Refused as refused:
        say("The request was rejected, and nothing was sent:")
        for problem in refused.problems:
            say(f"- {problem}")
        return REFUSED
    except (SweepError, NotFoundError) as error:
        say(str(error))
        return REFUSED
    except (ClientError, BotoCoreError) as error:
        say(f"AWS: {error}")
        return results.NO_ANSWER
    except KeyboardInterrupt:
        say("")
        return 130


if __name__ == "__main__":
    sys.exit(main())
