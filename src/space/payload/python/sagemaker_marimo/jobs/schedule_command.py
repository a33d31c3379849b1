"""`marimo-job schedule`, `schedules`, `unschedule`, `pause`, and `resume` of a schedule."""

import argparse
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from sagemaker_marimo.jobs import request, schedule, schedule_history, schedule_payload, sender, submit
from sagemaker_marimo.jobs.cron import Cron, CronError
from sagemaker_marimo.jobs.schedule import Scheduled, Schedules
from sagemaker_marimo.jobs.settings import Clients, Environment, Refused
from sagemaker_marimo.jobs.sweep_command import say

NEXT_TIMES = 3


def run_command(
    clients: Clients, environment: Environment, options: argparse.Namespace, arguments: Sequence[str]
) -> int | None:
    """The exit status, or None if the command is not about schedules."""
    # With one role for everybody nobody has schedules.
    is_sweep = options.command == "resume" and (
        environment.role is not None or not schedule.is_valid(options.sweep)
    )
    if is_sweep or options.command not in ("schedule", "schedules", "unschedule", "pause", "resume"):
        return None
    who = sender.find(environment, options.user)
    schedules = Schedules.of(environment, clients.sagemaker, who)
    match options.command:
        case "schedule":
            return create(clients, environment, schedules, options, arguments)
        case "unschedule":
            return delete(schedules, options.schedule)
        case "pause":
            schedules.set_state(options.schedule, "DISABLED")
            say(f"{options.schedule} is paused. To continue it: marimo-job resume {options.schedule}")
            return 0
        case "resume":
            continued = schedules.set_state(options.sweep, "ENABLED")
            say(f"{options.sweep} continues. Next: {_next(continued)}")
            return 0
        case _ if options.schedule is not None:
            return show_runs(schedules, options.schedule, options.most, as_json=options.json)
        case _:
            return show_all(schedules, as_json=options.json)


def create(
    clients: Clients,
    environment: Environment,
    schedules: Schedules,
    options: argparse.Namespace,
    arguments: Sequence[str],
) -> int:
    """Reports all problems of the notebook, the times and the name at once."""
    say(f"Checking {options.notebook} …")
    name = options.name or request.stem(options.notebook.name)[:31].strip("-")
    problems = [*_time_problems(options, environment), *_name_problems(options, name, environment, schedules)]
    prepared = None
    try:
        prepared = submit.prepare(clients, environment, options, arguments)
    except Refused as refused:
        problems += refused.problems
    if problems or prepared is None:
        raise Refused(problems)
    for warning in prepared.warnings:
        say(f"Warning: {warning}")
    cron = Cron.parse(options.cron)
    made = schedule_payload.use(prepared.final, environment, schedules.sender)
    made = schedule.scheduled_request(made, prepared.name, schedules.pipeline(name), options.overlap)
    if options.dry_run:
        times = {"cron": cron.expression, "zone": options.zone}
        print(json.dumps({"request": made, **times, "cost": prepared.cost()}, indent=1))
        return 0
    prepared.sources.upload(clients.s3, environment.bucket, schedules.sender.folder)
    schedule_payload.copy(clients.s3, environment, schedules.sender)
    note = f"marimo-job: {prepared.options.notebook}, overlap: {options.overlap}"
    schedules.put(name, cron, options.zone, note, made, options.attempts)
    say(f"{name} runs {prepared.options.notebook} at {schedules.get(name).times}")
    for moment in _times(cron, options.zone):
        print(moment)
    say(f"Maximum cost of a run: {prepared.cost()['atMostByTheTimeLimit']}")
    say(f"  marimo-job schedules {name}\n  marimo-job pause {name}\n  marimo-job unschedule {name}")
    return 0


def _time_problems(options: argparse.Namespace, environment: Environment) -> Iterator[str]:
    if options.zone not in available_timezones():
        yield f"--zone {options.zone} is not a known time zone, such as Europe/Berlin"
    try:
        shortest = Cron.parse(options.cron).shortest()
    except CronError as error:
        yield f"--cron {error}"
        return
    minutes = environment.shortest_schedule
    if shortest is not None and shortest.total_seconds() < minutes * 60:
        yield (
            f"--cron {options.cron!r} has two starts {shortest.total_seconds() / 60:.0f} minutes apart: "
            f"{environment.name} allows at least {minutes} (jobs.shortestScheduleMinutes)"
        )


def _name_problems(
    options: argparse.Namespace, name: str, environment: Environment, schedules: Schedules
) -> Iterator[str]:
    if options.each is not None or options.then is not None:
        yield "--each and --then are for `marimo-job run`: a schedule runs one notebook"
    if not schedule.is_valid(name):
        yield f"--name {name} must be 1 to 31 lower-case letters, digits and single inner hyphens"
    existing = schedules.names()
    if name in existing:
        if not options.replace:
            yield f"there is already a schedule {name}: use --replace, or --name with another name"
    elif len(existing) >= environment.max_schedules:
        yield (
            f"you have {len(existing)} schedules, and {environment.name} allows {environment.max_schedules} "
            "(jobs.maximumSchedulesPerUser)"
        )


def delete(schedules: Schedules, name: str) -> int:
    if schedules.delete(name):
        say(f"{name} is deleted. The results of its runs stay")
        return 0
    say(
        f"{name} starts no more, but a run still goes on. To remove its history after the run: "
        f"marimo-job unschedule {name}"
    )
    return 0


def _times(cron: Cron, zone: str) -> Iterator[str]:
    there = ZoneInfo(zone)
    for moment in islice(cron.times(datetime.now(UTC), there), NEXT_TIMES):
        yield f"{moment.astimezone(there):%a %Y-%m-%d %H:%M} {zone}"


def _next(one: Scheduled) -> str:
    if one.is_paused:
        return "paused"
    return "unknown" if one.cron is None else next(_times(one.cron, one.zone.key), "never")


def show_all(schedules: Schedules, *, as_json: bool) -> int:
    facts = [_facts(schedules, one) for one in schedules.all()]
    if as_json:
        print(json.dumps(facts))
        return 0
    width = max((len(one["schedule"]) for one in facts), default=0)
    for one in facts:
        last = one["last"] or "none"
        print(f"{one['schedule']:<{width}}  {one['times']}  next: {one['next']}  last run: {last}")
        if one["missed"]:
            say(_missed(one["schedule"], one["missed"]))
    if not facts:
        say("You have no schedules. To make one: marimo-job schedule NOTEBOOK.py --cron CRON")
    return 0


def _facts(schedules: Schedules, one: Scheduled) -> dict[str, Any]:
    executions = schedule_history.last_executions(schedules, one.name, 1)
    missed = schedule_history.missed(one, executions, datetime.now(UTC))
    return {
        "schedule": one.name,
        "times": one.times,
        "paused": one.is_paused,
        "next": _next(one),
        "last": schedule_history.state_of(executions[0]) if executions else None,
        "missed": missed and missed.isoformat(),
        "description": one.members.get("Description", ""),
    }


def _missed(name: str, moment: str) -> str:
    return (
        f"Warning: {name} was due at {moment} and did not start. The environment's settings may have "
        "changed: make the schedule again with --replace"
    )


def show_runs(schedules: Schedules, name: str, most: int, *, as_json: bool) -> int:
    facts = _facts(schedules, schedules.get(name))
    runs = schedule_history.runs(schedules, name, most)
    if as_json:
        print(json.dumps(facts | {"runs": [run.facts for run in runs]}))
        return 0
    print(f"{name}: {facts['times']}, next: {facts['next']}, {facts['description']}")
    for run in runs:
        print(run.text)
    known = [run.dollars for run in runs if run.dollars is not None]
    if runs:
        say(f"{len(runs)} runs, {sum(known):.4f} USD. A page: marimo-job open JOB")
    if facts["missed"]:
        say(_missed(name, facts["missed"]))
    return 0
