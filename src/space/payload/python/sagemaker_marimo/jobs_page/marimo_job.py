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


def run(*words: str, folder: Path | None = None) -> Answer:
    """`folder` is the working folder, the home by default."""
    command = ["bash", str(state.PAYLOAD / "bin/marimo-job.sh"), *words]
    try:
        done = subprocess.run(  # noqa: S603  # no shell
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            cwd=folder or state.HOME,
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

    notebook: str | Path
    arguments: str = ""
    options: str = ""
    """Further options of `marimo-job run`. Files in them are relative to the notebook's folder."""
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
        return self._run("run", "--dry-run")

    def start(self) -> Answer:
        return self._run("run", "--detach", "--json")

    def schedule(self, cron: str, zone: str) -> Answer:
        return self._run("schedule", "--cron", cron, "--zone", zone)

    def _run(self, command: str, *before: str) -> Answer:
        return run(*self.words(command, *before), folder=Path(self.notebook).parent)


def _split(text: str, what: str) -> Sequence[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError(f"The {what} {text!r} are not valid: {error}") from None
