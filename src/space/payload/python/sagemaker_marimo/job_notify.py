"""Tells the sender of a job how it ended, by their topic of Amazon SNS.

usage: job_notify.py ML NOTEBOOK STATUS REASON (run.sh, for what ends a job before its notebook runs)

Of several nodes, the first tells. Of a sweep's rows, only the one that ends last does, or the first that
cannot run.
A message that cannot be sent is a line in the job's log: it never changes the job's status.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

# Run by path, so that neither an installation nor PYTHONPATH is needed.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])

from sagemaker_marimo.job_container import Container

# Variables of the job (jobs/notify.py), and of row.sh, whose file exists if the platform interrupted the row.
ON, TOPIC, ROWS = "MARIMO_NOTIFY", "MARIMO_NOTIFY_TOPIC", "MARIMO_NOTIFY_ROWS"
SPOT, INTERRUPTED = "MARIMO_NOTIFY_SPOT", "MARIMO_ROW_INTERRUPTED"
# A stopped job has 120 s (SageMaker API, StopTrainingJob), most of them for the notebook and its output.
SECONDS = 12
ROWS_SECONDS = 120
# Amazon SNS API, Publish: Subject is ASCII, of less than 100 characters; a message has at most 256 KB.
SUBJECT_CHARACTERS = 99
LINES, LINE_CHARACTERS = 20, 500
CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}


class NotifyError(Exception):
    """The message could not be sent."""


@dataclass(frozen=True)
class Ended:
    """How a job, or a run of a schedule, ended."""

    notebook: str
    status: int
    reason: str = ""
    lines: Sequence[str] = ()
    """The last lines of its output."""
    stopped: bool = False
    """By SIGTERM."""
    ran: bool = True
    """Whether the notebook began."""

    @property
    def state(self) -> str:
        if self.stopped:
            return "was stopped"
        if self.status:
            return "failed"
        return "succeeded" if self.ran else "was skipped"


def tell(container: Container, ended: Ended) -> None:
    """Sends the message that was asked for."""
    if os.environ.get(TOPIC) and container.host == container.hosts[0]:
        try:
            _tell(ended, os.environ.get("MARIMO_JOB_OUTPUT", "").rstrip("/"), container.ml)
        except (NotifyError, OSError, ValueError, KeyError) as error:
            _log(f"nobody could be notified: {error}")


def _tell(ended: Ended, output: str, ml: Path) -> None:
    if ROWS in os.environ:
        _tell_of_sweep(ended, output, ml)
        return
    # SageMaker starts an interrupted Spot job again. Guess: nothing tells it from one that is stopped.
    if not (ended.stopped and SPOT in os.environ):
        _publish(
            f"{ended.notebook} {ended.state}", _text(ended, output), succeeded=ended.state == "succeeded"
        )


def _tell_of_sweep(ended: Ended, output: str, ml: Path) -> None:
    rows, _, number = output.rpartition("/")
    sweep = rows.split("/")[-2]
    see = f"marimo-job sweep {sweep}"
    if not ended.ran:
        # Its pipeline ends with it, so that no row may come last.
        if not ended.stopped and _is_first(rows):
            text = "\n\n".join(
                [f"Row {number} of the sweep {sweep} could not run.", _text(ended, output), see]
            )
            _publish(f"{ended.notebook}: a sweep failed", text, succeeded=False)
        return
    # A row that the platform interrupts begins again.
    if Path(os.environ.get(INTERRUPTED, "/nonexistent")).exists():
        return
    # SageMaker may upload it only after this. Of two rows that end at once, each first puts its own.
    _aws("s3", "cp", "--only-show-errors", str(ml / "processing/output/result.json"), f"{output}/result.json")
    count = int(os.environ[ROWS])
    if _count(rows) < count or not _is_first(rows):
        return
    failed = sorted(number for number, status in _statuses(rows) if status)
    ends = [f"{count - len(failed)} of {count} rows succeeded."]
    if failed:
        ends.append(
            "Failed rows: " + ", ".join(map(str, failed[:LINES])) + " and others" * (len(failed) > LINES)
        )
    text = "\n\n".join(
        [f"The sweep {sweep} of {ended.notebook} ended.", *ends, f"Its table: marimo-job resume {sweep}"]
    )
    _publish(f"{ended.notebook}: a sweep {'failed' if failed else 'succeeded'}", text, succeeded=not failed)


def _text(ended: Ended, output: str) -> str:
    return "\n\n".join(_parts(ended, output)) + "\n"


def _parts(ended: Ended, output: str) -> Iterator[str]:
    status = f" with status {ended.status}" if ended.state == "failed" else ""
    yield f"{ended.notebook} {ended.state}{status}."
    if ended.reason:
        yield ended.reason
    if ended.lines:
        yield "\n".join(["Its last lines:", *(line[:LINE_CHARACTERS] for line in ended.lines[-LINES:])])
    match = re.fullmatch(r"s3://[^/]+/.*?/jobs/([^/]+)(/[^/]+)?", output)
    if match:
        schedule = match[1].partition("-schedule-")[2]
        yield f"In your space: marimo-job {f'schedules {schedule}' if match[2] else f'open {match[1]}'}"
    if output and ended.ran:
        yield f"The page: {console_url(f'{output}/page.html', os.environ[TOPIC])}"


def console_url(uri: str, topic: str) -> str:
    """The object's page in the AWS console. Guess: its form, which AWS does not document."""
    bucket, key = uri.removeprefix("s3://").split("/", 1)
    _, partition, _, region, *_ = topic.split(":")
    console = CONSOLES.get(partition, CONSOLES["aws"])
    return f"https://{region}.{console}/s3/object/{bucket}?region={region}&prefix={quote(key, safe='')}"


def _count(rows: str) -> int:
    """How many rows have a result."""
    bucket, prefix = rows.removeprefix("s3://").split("/", 1)
    keys = json.loads(
        _aws(
            *("s3api", "list-objects-v2", "--bucket", bucket, "--prefix", f"{prefix}/"),
            *("--query", "Contents[?ends_with(Key, '/result.json')].Key", "--output", "json"),
            seconds=ROWS_SECONDS,
        )
        or "[]"
    )
    return sum(
        re.fullmatch(r"\d+/result\.json", key.removeprefix(f"{prefix}/")) is not None for key in keys or ()
    )


def _statuses(rows: str) -> Iterator[tuple[int, int]]:
    """The number and status of each row."""
    filters = ("--exclude", "*", "--include", "*/result.json", "--exclude", "*/files/*")
    with tempfile.TemporaryDirectory() as folder:
        command = ("s3", "cp", "--recursive", "--only-show-errors", *filters, f"{rows}/", folder)
        _aws(*command, seconds=ROWS_SECONDS)
        for path in Path(folder).glob("*/result.json"):
            yield int(path.parent.name), json.loads(path.read_text())["exitStatus"]


def _is_first(rows: str) -> bool:
    """Whether nobody has told of the sweep since its start or `marimo-job resume` (jobs/sweep.py)."""
    bucket, key = rows.removeprefix("s3://").split("/", 1)
    marker = f"{key.rpartition('/')[0]}/told"
    try:
        _aws("s3api", "put-object", "--bucket", bucket, "--key", marker, "--if-none-match", "*")
    except NotifyError as error:
        # An image's older AWS CLI does not know the option: then two rows may tell.
        return "PreconditionFailed" not in str(error)
    return True


def _publish(subject: str, text: str, *, succeeded: bool) -> None:
    if os.environ.get(ON) == ("failure" if succeeded else "success"):
        return
    plain = re.sub(r"[^ -~]", "?", f"marimo: {subject}")[:SUBJECT_CHARACTERS]
    members = {"TopicArn": os.environ[TOPIC], "Subject": plain, "Message": text}
    region = os.environ[TOPIC].split(":")[3]
    _aws("sns", "publish", "--region", region, "--cli-input-json", json.dumps(members))
    _log(f"notified by {os.environ[TOPIC]}: {subject}")


def _aws(*words: str, seconds: float = SECONDS) -> str:
    """By the AWS CLI, which every image has."""
    limits = ("--cli-connect-timeout", "3", "--cli-read-timeout", "5")
    environment: dict[str, Any] = {**os.environ, "AWS_MAX_ATTEMPTS": "2", "AWS_PAGER": ""}
    try:
        done = subprocess.run(  # noqa: S603  # no shell
            ["aws", *words, *limits],  # noqa: S607  # on PATH
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotifyError(str(error)) from None
    if done.returncode:
        reason = done.stderr.strip() or f"the AWS CLI exited with {done.returncode}"
        raise NotifyError(reason.splitlines()[-1])
    return done.stdout


def _log(message: str) -> None:
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} sagemaker-marimo: {message}", flush=True)


def main(ml: str, notebook: str, status: str, reason: str) -> None:
    stopped = reason.startswith("stopped by SIGTERM")
    tell(Container.of(Path(ml)), Ended(notebook, int(status), reason, stopped=stopped, ran=False))


if __name__ == "__main__":
    main(*sys.argv[1:5])
