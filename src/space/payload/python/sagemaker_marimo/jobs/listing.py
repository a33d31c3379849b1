"""`marimo-job list`: a user's jobs and sweeps and the scheduled jobs, newest first.

A sweep's rows are one entry.
"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_marimo.jobs import descriptions, follow, lookup, states
from sagemaker_marimo.jobs.sweep import THREADS, Sweep, SweepError
from sagemaker_marimo.jobs.sweep_plan import MARK
from sagemaker_marimo.jobs.sweep_store import Store


@dataclass(frozen=True)
class Entry:
    name: str
    text: str
    facts: dict[str, Any]
    """For --json."""


def entries(store: Store, prefix: str, own: list[str], most: int) -> list[Entry]:
    """`prefix` is that of all jobs of the environment, `own` those of the jobs to list."""
    sweeps = store.names()
    found: list[tuple[datetime, dict[str, Any] | str]] = [
        (job["CreationTime"], job) for job in _jobs(store, prefix, own, sweeps, most)
    ]
    for name in sweeps:
        # Other folders may have other names.
        with suppress(ValueError, IndexError):
            found.append((_created(name), name))
    found.sort(key=lambda one: one[0], reverse=True)
    with ThreadPoolExecutor(THREADS) as pool:
        made = pool.map(lambda one: _entry(store, one[1]), found[:most])
        return [entry for entry in made if entry is not None]


def _jobs(
    store: Store, prefix: str, own: list[str], sweeps: list[str], most: int
) -> Iterator[dict[str, Any]]:
    """The summaries of the newest jobs that are not rows of a sweep."""
    # Other folders may have other names.
    marks = [f"{sweep[-MARK:]}-" for sweep in sweeps if re.search(r"-\d{12}-[0-9a-f]{4}$", sweep)]
    count = 0
    for job in descriptions.summaries(store.sagemaker, prefix):
        name = job["ProcessingJobName"]
        # Other jobs may have the prefix in the middle of their names, and IAM denies their descriptions.
        is_own = name.startswith(tuple(f"{one}-" for one in own))
        if not is_own or any(mark in name for mark in marks):
            continue
        yield job
        count += 1
        if count == most:
            return


def _created(sweep: str) -> datetime:
    """The time in a sweep's name, which ends with <time>-<4 hex> (sweep_command.sweep_name)."""
    return datetime.strptime(sweep.split("-")[-2], "%y%m%d%H%M%S").replace(tzinfo=UTC)


def _entry(store: Store, one: dict[str, Any] | str) -> Entry | None:
    return _sweep(store, one) if isinstance(one, str) else _job(store, one)


def _sweep(store: Store, name: str) -> Entry | None:
    try:
        progress = Sweep.open(store, name).progress()
    except SweepError:
        return None
    rows = dict(progress.count())
    return Entry(
        name, f"{progress.state}, {progress}", {"sweep": name, "state": progress.state, "rows": rows}
    )


def _job(store: Store, summary: dict[str, Any]) -> Entry:
    name, status = summary["ProcessingJobName"], summary["ProcessingJobStatus"]
    try:
        job = descriptions.describe(store.sagemaker, name, summary) if status == "InProgress" else summary
    except ClientError as error:
        if error.response["Error"]["Code"] != lookup.DENIED:
            raise
        return Entry(
            name, "in progress, of another user", {"job": name, "status": status, "state": "running"}
        )
    # Only rows of sweeps complete with a failed notebook, and they are not listed.
    facts = {"job": name, "status": job["ProcessingJobStatus"], "state": states.of_job(job, {})}
    return Entry(name, follow.status_line(job, {}, datetime.now(UTC)), facts)
