"""A job's status, elapsed time and log in a terminal, until the job ends or the person leaves it.

Leaving is detaching: the job goes on without a terminal, as it does when this program is killed.
"""

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
"""Its stream begins with JOB/ (aws/sagemaker-python-sdk shows it: JOB/algo-1-…)."""
OVER = ("Completed", "Failed", "Stopped")
EVERY = 10.0
"""Most seconds between two looks at a job."""
UNCHANGED = 60.0
"""Seconds after which a status that has not changed is told again, where no terminal can rewrite its line."""

Description = dict[str, Any]
"""What DescribeProcessingJob answers."""


def describe(sagemaker: Any, job: str) -> Description:
    description: Description = sagemaker.describe_processing_job(ProcessingJobName=job)
    return description


def stop(sagemaker: Any, job: str) -> None:
    try:
        sagemaker.stop_processing_job(ProcessingJobName=job)
    except ClientError as error:
        # It may have ended just now: then there is nothing to stop.
        if describe(sagemaker, job)["ProcessingJobStatus"] not in OVER:
            raise error from None


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def status_line(description: Description, now: datetime) -> str:
    status: str = description["ProcessingJobStatus"]
    end = description.get("ProcessingEndTime", now)
    elapsed = duration((end - description["CreationTime"]).total_seconds())
    started = description.get("ProcessingStartTime")
    if status in OVER:
        return f"{status} after {elapsed}"
    if started is None:
        return f"{status}, waiting for the instance ({elapsed})"
    return f"{status}, running since {duration((now - started).total_seconds())} ({elapsed})"


class Log:
    """The lines of a job's log, each of them once."""

    def __init__(self, logs: Any, job: str) -> None:
        self._logs = logs
        self._job = job
        self._stream: str | None = None
        self._token: str | None = None

    def new_lines(self) -> Iterator[str]:
        try:
            yield from self._read()
        except ClientError as error:
            # The first job of a region makes the log group.
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise

    def _read(self) -> Iterator[str]:
        if self._stream is None:
            found = self._logs.describe_log_streams(
                logGroupName=LOG_GROUP, logStreamNamePrefix=f"{self._job}/", limit=1
            )
            self._stream = next((one["logStreamName"] for one in found["logStreams"]), None)
        while self._stream is not None:
            page = self._logs.get_log_events(
                logGroupName=LOG_GROUP,
                logStreamName=self._stream,
                startFromHead=True,
                **({} if self._token is None else {"nextToken": self._token}),
            )
            yield from (event["message"] for event in page["events"])
            # An empty page is not the end; the same token is (CloudWatch Logs API Reference, GetLogEvents).
            if page["nextForwardToken"] == self._token:
                return
            self._token = page["nextForwardToken"]


class Screen:
    """The log on standard output, the status on standard error: in one line, where that is a terminal."""

    def __init__(self) -> None:
        self._one_line = sys.stderr.isatty()
        self._told = ""
        self._told_at = 0.0

    def log(self, line: str) -> None:
        self.clear()
        print(line, flush=True)

    def status(self, text: str) -> None:
        if self._one_line:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
            return
        # Without the seconds that pass.
        what = text.split("(")[0].split(" since ")[0]
        if what != self._told or time.monotonic() - self._told_at >= UNCHANGED:
            self._told, self._told_at = what, time.monotonic()
            self.say(text)

    def clear(self) -> None:
        if self._one_line:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        self.clear()
        print(text, file=sys.stderr, flush=True)


def wants_to_stop(job: str) -> bool:
    """Asks the person who pressed Ctrl-C. Nobody to ask, no answer and another Ctrl-C mean: detach."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    try:
        while True:
            print(f"{job} is running. [d]etach from it, or [s]top it? ", end="", file=sys.stderr, flush=True)
            answer = sys.stdin.readline()
            if answer.strip().lower() in ("s", "stop"):
                return True
            if answer.strip().lower() in ("d", "detach") or answer == "":
                return False
    except KeyboardInterrupt:
        return False


def follow(sagemaker: Any, logs: Any, job: str, *, every: float = EVERY) -> Description | None:
    """What the job is at its end; None when the person detached from it."""
    screen, log, stopping = Screen(), Log(logs, job), False
    while True:
        try:
            return until_end(sagemaker, job, log, screen, every)
        except KeyboardInterrupt:
            screen.say("")
        try:
            if not stopping and wants_to_stop(job):
                stop(sagemaker, job)
                stopping = True
                screen.say(f"{job} is being stopped. Ctrl-C detaches from it.")
                continue
        except KeyboardInterrupt:
            pass
        screen.say(f"Detached: {job} goes on.\n  marimo-job logs {job} --follow\n  marimo-job stop {job}")
        return None


def until_end(sagemaker: Any, job: str, log: Log, screen: Screen, every: float) -> Description:
    began = time.monotonic()
    while True:
        try:
            description = describe(sagemaker, job)
            for line in log.new_lines():
                screen.log(line)
            screen.status(status_line(description, datetime.now(UTC)))
            if description["ProcessingJobStatus"] in OVER:
                break
        except (ConnectionError, HTTPClientError) as error:
            # A laptop that slept, a network that changed: the job does not mind.
            screen.status(f"{job} cannot be asked, trying again: {error}")
        # A twentieth of the time that it has taken: its end is noticed in time, and a long job asked rarely.
        time.sleep(min(every, max(1.0, (time.monotonic() - began) / 20)))
    # CloudWatch may have the last lines a little later than SageMaker the end.
    time.sleep(min(every, 2.0))
    for line in log.new_lines():
        screen.log(line)
    screen.say(f"{job}: {status_line(description, datetime.now(UTC))}")
    return description
