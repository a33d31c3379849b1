"""The commands of `marimo-job` for one's own schedules."""

import argparse
from typing import Any

from sagemaker_marimo.jobs.cron import EXAMPLE


def add(commands: Any, common: argparse.ArgumentParser, run_parser: argparse.ArgumentParser) -> None:
    """Adds them to the commands; `schedule` has the options of `run`."""
    schedule = commands.add_parser(
        "schedule",
        parents=[run_parser],
        add_help=False,
        help="run a notebook at regular times",
        description="Runs a notebook at regular times by EventBridge Scheduler, with your rights.",
        usage="%(prog)s NOTEBOOK --cron CRON [OPTION…] [-- ARGUMENT…]",
    )
    group = schedule.add_argument_group("schedule")
    group.add_argument("--cron", required=True, metavar="CRON", help=f"five fields, such as {EXAMPLE}")
    group.add_argument(
        "--zone", default="UTC", metavar="ZONE", help="such as Europe/Berlin (default: %(default)s)"
    )
    group.add_argument("--name", metavar="NAME", help="the schedule's name (default: the notebook's)")
    group.add_argument(
        "--overlap",
        choices=("skip", "queue", "allow"),
        default="skip",
        help="if an earlier run still goes on: skip this one, wait for its end on a second instance that "
        "costs as much, or run at the same time (default: %(default)s)",
    )
    group.add_argument("--replace", action="store_true", help="replace the schedule with this name")
    texts = {
        "schedules": "list your schedules, or the last runs of one",
        "unschedule": "delete a schedule; its results stay",
        "pause": "pause a schedule; `resume` continues it",
    }
    for name, text in texts.items():
        sub = commands.add_parser(name, parents=[common], help=text)
        if name == "schedules":
            sub.add_argument("schedule", nargs="?", metavar="SCHEDULE")
            sub.add_argument("--most", type=int, default=10, metavar="N", help="runs (default: %(default)s)")
            sub.add_argument("--json", action="store_true", help="print JSON")
        else:
            sub.add_argument("schedule", metavar="SCHEDULE")
