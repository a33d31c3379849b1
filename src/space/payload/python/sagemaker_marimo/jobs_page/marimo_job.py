"""Runs `marimo-job`, as the person would in a terminal: its checks, refusals and texts are the page's too."""

import json
import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagemaker_marimo import state
from sagemaker_marimo.jobs.parser import parser

SECONDS = 600
"""How long the command may take: it uploads the notebook's files."""


@dataclass(frozen=True)
class Answer:
    status: int
    output: str
    messages: str

    @property
    def facts(self) -> Any:
        """The JSON that the command printed, or None."""
        try:
            return json.loads(self.output)
        except ValueError:
            return None


def run(*words: str) -> Answer:
    command = ["bash", str(state.PAYLOAD / "bin/marimo-job.sh"), *words]
    try:
        done = subprocess.run(  # noqa: S603  # no shell
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            cwd=state.HOME,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Answer(1, "", f"marimo-job failed: {error}")
    return Answer(done.returncode, done.stdout.strip(), done.stderr.strip())


def has_schedules() -> bool:
    """Whether this version of marimo-job has the commands for schedules."""
    return re.search(r"^\s+schedule\s", parser().format_help(), re.MULTILINE) is not None


@dataclass(frozen=True)
class Wanted:
    """What the person entered to run a notebook."""

    notebook: Path
    arguments: str = ""
    options: str = ""
    """Further options of `marimo-job run`."""
    instance: str | None = None
    minutes: int | None = None

    def words(self, command: str, *before: str) -> list[str]:
        """The words of `marimo-job`. Raises ValueError for a quote that is not closed."""
        limit = () if self.minutes is None else ("--time-limit", str(int(self.minutes)))
        return [
            command,
            str(self.notebook),
            *before,
            *(("--instance", self.instance) if self.instance else ()),
            *limit,
            *_split(self.options, "options"),
            "--",
            *_split(self.arguments, "arguments"),
        ]

    def check(self) -> Answer:
        return run(*self.words("run", "--dry-run"))

    def start(self) -> Answer:
        return run(*self.words("run", "--detach", "--json"))

    def schedule(self, cron: str, zone: str) -> Answer:
        return run(*self.words("schedule", "--cron", cron, "--zone", zone))


def _split(text: str, what: str) -> Sequence[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError(f"The {what} {text!r} are not valid: {error}") from None
