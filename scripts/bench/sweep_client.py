"""Runs a sweep's client in a separate process and measures it. Tests also use it and kill it.

usage: sweep_client.py ORDER
ORDER is JSON with bucket, folder, and either plan and request, to start a sweep, or sweep, to resume one.
Prints JSON with seconds, requests by operation, and peakKiB. Exits with the status of the sweep.
"""

import json
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import boto3

from sagemaker_marimo.jobs import sender, settings, sweep_command
from sagemaker_marimo.jobs.sweep_plan import Plan
from sagemaker_marimo.jobs.sweep_store import Store


def run(order: dict[str, Any], session: Any) -> int:
    store = Store(session.client("s3"), session.client("sagemaker"), order["bucket"], "shared")
    folder = Path(order["folder"])
    if "sweep" in order:
        environment = settings.read(store.s3, order["bucket"])
        who = sender.find(environment, None)
        return sweep_command.resume(store, environment, who, order["sweep"], None, folder, detach=False)
    plan = Plan(**order["plan"])
    if wrong := sweep_command.problems(plan, None):
        sys.exit("\n".join(wrong))
    return sweep_command.follow(sweep_command.start(store, plan, order["request"]), folder)


def main(order: dict[str, Any]) -> int:
    began = time.monotonic()
    session = boto3.Session()
    requests: Counter[str] = Counter()

    def count(event_name: str, **_: object) -> None:
        requests[event_name.split(".")[-1]] += 1

    # Counts every sent request, including retries (boto3 Developer Guide, "Extensibility guide").
    session.events.register("before-send", count)
    status = run(order, session)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": time.monotonic() - began, "requests": requests, "peakKiB": peak}))
    return status


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
