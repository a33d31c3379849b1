"""Shows a job's status, elapsed time and log in a terminal, until the job ends or the user detaches.

The job continues without a terminal, and also if this program is killed.
"""

import os
import select
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from sagemaker_marimo.jobs import descriptions, states
from sagemaker_marimo.jobs.descriptions import Description, describe, is_training
from sagemaker_marimo.jobs.sweep_progress import INTERRUPTED, STOPPING
from sagemaker_marimo.names import JOB_LOG_GROUP, TRAINING_LOG_GROUP

TERMINAL_STATUSES = ("Completed", "Failed", "Stopped")
POLL_SECONDS = 10.0
"""Maximum seconds between two requests for a job's status."""
REPEAT_SECONDS = 60.0
"""Seconds after which an unchanged status is printed again, if there is no terminal to rewrite its line."""


def stop(sagemaker: Any, job: str) -> Description:
    """Stops a job in progress. Returns its description, with its end if it had already ended."""
    description = describe(sagemaker, job)
    if description["ProcessingJobStatus"] != "InProgress":
        return description
    try:
        descriptions.stop(sagemaker, job, description)
    except ClientError as error:
        # A job that has just ended needs no stop.
        description = describe(sagemaker, job, description)
        if description["ProcessingJobStatus"] == "InProgress":
            raise error from None
    return description


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def status_line(description: Description, result: dict[str, Any], now: datetime) -> str:
    """`result` is the content of the job's result.json, or empty."""
    state = states.of_job(description, result)
    end = description.get("ProcessingEndTime", now)
    elapsed = duration((end - description["CreationTime"]).total_seconds())
    if description["ProcessingJobStatus"] in TERMINAL_STATUSES:
        return f"{state} after {elapsed}"
    if state == states.STARTING:
        return f"{state}: waiting for the instance ({elapsed})"
    if state == INTERRUPTED:
        return f"{state}: waiting for Spot capacity ({elapsed})"
    if state == STOPPING:
        return f"{state} ({elapsed})"
    running = duration((now - description["ProcessingStartTime"]).total_seconds())
    return f"{state} for {running} ({elapsed} since it was created)"


class Log:
    """The lines of a job's log, each once."""

    def __init__(self, logs: Any, job: str, *, training: bool = False) -> None:
        self._logs = logs
        self._job = job
        self.training = training
        self._tokens: dict[str, str | None] = {}
        """By stream."""

    @property
    def _group(self) -> str:
        return TRAINING_LOG_GROUP if self.training else JOB_LOG_GROUP

    def new_lines(self) -> Iterator[str]:
        try:
            yield from self._read()
        except ClientError as error:
            # The first job in a region creates the log group.
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise

    def _read(self) -> Iterator[str]:
        # A training job has a stream for each node and, after an interruption, further ones.
        if self.training or not self._tokens:
            for stream in self._streams():
                self._tokens.setdefault(stream, None)
        hosts = {_host(stream) for stream in self._tokens}
        for stream in self._tokens:
            host = f"[{_host(stream)}] " if len(hosts) > 1 else ""
            for line in self._lines(stream):
                yield f"{host}{line}"

    def _streams(self) -> list[str]:
        # Names of log streams begin with JOB/ (JOB/algo-1-… in aws/sagemaker-python-sdk).
        found = self._logs.describe_log_streams(
            logGroupName=self._group,
            logStreamNamePrefix=f"{self._job}/",
            limit=50 if self.training else 1,
        )
        return [one["logStreamName"] for one in found["logStreams"]]

    def _lines(self, stream: str) -> Iterator[str]:
        while True:
            token = self._tokens[stream]
            page = self._logs.get_log_events(
                logGroupName=self._group,
                logStreamName=stream,
                startFromHead=True,
                **({} if token is None else {"nextToken": token}),
            )
            yield from (event["message"] for event in page["events"])
            # Only an unchanged token marks the end, not an empty page (CloudWatch Logs API, GetLogEvents).
            if page["nextForwardToken"] == token:
                return
            self._tokens[stream] = page["nextForwardToken"]


def _host(stream: str) -> str:
    """`algo-2` of JOB/algo-2-1790000000."""
    return "-".join(stream.rpartition("/")[2].split("-")[:2])


class Screen:
    """Prints the log to standard output and the status to standard error, as one line in a terminal."""

    def __init__(self) -> None:
        self._one_line = sys.stderr.isatty()
        self._printed = ""
        self._printed_at = 0.0

    def log(self, line: str) -> None:
        self.clear()
        print(line, flush=True)

    def status(self, text: str) -> None:
        if self._one_line:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
            return
        # Compared without the times in it.
        what = text.split(" (")[0].split(" for ")[0]
        if what != self._printed or time.monotonic() - self._printed_at >= REPEAT_SECONDS:
            self._printed, self._printed_at = what, time.monotonic()
            self.say(text)

    def clear(self) -> None:
        if self._one_line:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        self.clear()
        print(text, file=sys.stderr, flush=True)


def read_line() -> str:
    """A line of the terminal, or nothing at its end.

    Waits in short steps: Python notices a Ctrl-C that comes just before a wait only after the wait.
    """
    while not select.select([sys.stdin], [], [], 0.5)[0]:
        pass
    return os.read(sys.stdin.fileno(), 1024).decode(errors="replace")


def wants_to_stop(job: str) -> bool:
    """Asks after Ctrl-C whether to stop the job. Without a terminal or an answer, the program detaches."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    try:
        while True:
            print(f"{job} is running. [d]etach from it, or [s]top it? ", end="", file=sys.stderr, flush=True)
            answer = read_line()
            if answer.strip().lower() in ("s", "stop"):
                return True
            if answer.strip().lower() in ("d", "detach") or answer == "":
                return False
    except KeyboardInterrupt:
        return False


def follow(sagemaker: Any, logs: Any, job: str, *, poll_seconds: float = POLL_SECONDS) -> Description | None:
    """The job's description at its end, or None if the user detached."""
    screen, log, stopping = Screen(), Log(logs, job), False
    while True:
        try:
            return until_end(sagemaker, job, log, screen, poll_seconds)
        except KeyboardInterrupt:
            screen.say("")
        try:
            if not stopping and wants_to_stop(job):
                stop(sagemaker, job)
                stopping = True
                screen.say(f"{job} is being stopped. Press Ctrl-C to detach from it.")
                continue
        except KeyboardInterrupt:
            pass
        screen.say(f"Detached: {job} continues.\n  marimo-job logs {job} --follow\n  marimo-job stop {job}")
        return None


def until_end(sagemaker: Any, job: str, log: Log, screen: Screen, poll_seconds: float) -> Description:
    began = time.monotonic()
    description: Description | None = None
    while True:
        try:
            description = describe(sagemaker, job, description)
            log.training = is_training(description)
            for line in log.new_lines():
                screen.log(line)
            if description["ProcessingJobStatus"] in TERMINAL_STATUSES:
                break
            screen.status(status_line(description, {}, datetime.now(UTC)))
        except (ConnectionError, HTTPClientError) as error:
            # A sleeping laptop or a network change does not affect the job.
            screen.status(f"cannot get the status of {job}, trying again: {error}")
        # The pause grows with the job's duration: short jobs end promptly, long ones need few requests.
        time.sleep(min(poll_seconds, max(1.0, (time.monotonic() - began) / 20)))
    # CloudWatch may receive the last lines shortly after SageMaker reports the end.
    time.sleep(min(poll_seconds, 2.0))
    for line in log.new_lines():
        screen.log(line)
    screen.clear()
    return description
