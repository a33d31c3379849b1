"""Runs a notebook in a SageMaker Processing job, once job/run.sh has made marimo's environment.

Leaves in the job's output folder, which SageMaker uploads:

  page.html    the notebook with its outputs, also where a cell raised
  files/       what the notebook made or changed in its working folder, a copy of its own
  result.json  exitStatus, notebook, arguments, seconds (packages, notebook), marimo, python

Ends with the notebook's exit status. On SIGTERM, which StopProcessingJob sends, the notebook is told first.
"""

import argparse
import html
import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

# SageMaker sends SIGKILL 120 s after SIGTERM (SageMaker API, StopTrainingJob; of processing jobs nothing is
# said). What the notebook has left then is to be uploaded before.
STOP_SECONDS = float(os.environ.get("MARIMO_JOB_STOP_SECONDS", "60"))
# ExitMessage (SageMaker API).
MESSAGE_CHARACTERS = 1024
# marimo's and Python's own, no results.
LEFT_OUT = {"__marimo__", "__pycache__", ".ipynb_checkpoints"}
UPLOAD_SECONDS = 45
TRACEBACK = "application/vnd.marimo+traceback"
# As job/run.sh's own failures: EX_SOFTWARE of sysexits.h.
FAILED = 70


def log(message: str) -> None:
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} sagemaker-marimo: {message}", flush=True)


def files_in(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of each file, by its path."""
    found = {}
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in LEFT_OUT]
        for name in names:
            path = Path(root, name)
            if path.is_file() and not path.is_symlink():
                state = path.stat()
                found[str(path.relative_to(folder))] = (state.st_size, state.st_mtime_ns)
    return found


class Notebook:
    """One run of a notebook, as a process of its own group. SIGTERM may come before it has begun."""

    def __init__(self) -> None:
        self.stopped = False
        self._last: deque[str] = deque(maxlen=20)
        self._process: subprocess.Popen[str] | None = None

    def start(self, command: list[str], folder: Path) -> None:
        self._process = subprocess.Popen(  # noqa: S603  # no shell
            command,
            cwd=folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        if self.stopped:
            self._signal(signal.SIGTERM)

    def stop(self, *_: object) -> None:
        """SIGTERM now, SIGKILL in a while."""
        if not self.stopped:
            self.stopped = True
            log("told to stop: the notebook ends")
            self._signal(signal.SIGTERM)
            signal.signal(signal.SIGALRM, lambda *_: self._signal(signal.SIGKILL))
            signal.setitimer(signal.ITIMER_REAL, STOP_SECONDS)

    def _signal(self, number: int) -> None:
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def wait(self) -> int:
        if self._process is None or self._process.stdout is None:
            raise AssertionError("it was started, and its output is a pipe")
        for line in self._process.stdout:
            print(line, end="", flush=True)
            if line.strip():
                self._last.append(line.rstrip())
        status = self._process.wait()
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._signal(signal.SIGKILL)  # what it left running would hold the container up
        # As a shell tells it: 137 is what memory that ran out looks like.
        return 128 - status if status < 0 else status

    def message(self) -> str:
        return "\n".join(self._last)


def raised(work: Path) -> list[str]:
    """The traceback of each cell that raised: marimo 0.25.2 leaves them beside a notebook that it exports."""
    found = []
    for file in work.rglob("__marimo__/session/*.json"):
        try:
            cells = json.loads(file.read_text())["cells"]
            lines = [line for cell in cells for line in cell.get("console") or []]
            texts = [line["text"] for line in lines if line.get("mimetype") == TRACEBACK]
            found += [html.unescape(re.sub(r"<[^>]+>", "", text)).strip() for text in texts]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log(f"marimo's session file says nothing of what was raised: {error!r}")
    return found


def copy_new_files(work: Path, before: dict[str, tuple[int, int]], target: Path) -> int:
    changed = [name for name, state in files_in(work).items() if before.get(name) != state]
    for name in changed:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(work / name, target / name)
    return len(changed)


def upload(output: Path) -> None:
    """What SageMaker does at the end of a job that completed; of one that failed no documentation says it."""
    target = os.environ.get("MARIMO_JOB_OUTPUT")
    if not target:
        return
    command = ["aws", "s3", "cp", "--recursive", "--only-show-errors", str(output), f"{target.rstrip('/')}/"]
    try:
        result = subprocess.run(  # noqa: S603  # no shell
            command, stdin=subprocess.DEVNULL, timeout=UPLOAD_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log(f"the outcome could not be uploaded: {error}")
    else:
        log("the outcome was uploaded" if result.returncode == 0 else "the outcome could not be uploaded")


def marimo_version(environment: Path) -> str:
    for site_packages in environment.glob("lib/python*/site-packages"):
        for package in importlib.metadata.distributions(name="marimo", path=[str(site_packages)]):
            return package.version
    return "unknown"


def run(ml: Path, environment: Path, packages_seconds: float, notebook: str, arguments: list[str]) -> int:
    output = ml / "processing/output"
    process = Notebook()
    signal.signal(signal.SIGTERM, process.stop)
    work = Path(tempfile.mkdtemp(prefix="notebook-", dir=os.environ.get("MARIMO_STATE")))
    # A copy: marimo writes beside a notebook, and inputs may not be writable.
    shutil.copytree(ml / "processing/input/source", work, dirs_exist_ok=True, copy_function=shutil.copyfile)
    before = files_in(work)
    page = Path(tempfile.mkdtemp(prefix="page-", dir=os.environ.get("MARIMO_STATE"))) / "page.html"
    log(f"running {notebook}")
    began = time.monotonic()
    process.start(
        [
            str(environment / "bin/python"),
            *("-m", "marimo", "export", "html", "--no-sandbox", notebook, "-o", str(page)),
            *("--", *arguments),
        ],
        work / Path(notebook).parent,
    )
    status = process.wait()
    if process.stopped and status == 0:
        status = 128 + signal.SIGTERM
    seconds = round(time.monotonic() - began, 2)

    files = copy_new_files(work, before, output / "files")
    if page.is_file():
        shutil.copyfile(page, output / "page.html")
    result: dict[str, Any] = {
        "exitStatus": status,
        "notebook": notebook,
        "arguments": arguments,
        "seconds": {"packages": packages_seconds, "notebook": seconds},
        "marimo": marimo_version(environment),
        "python": ".".join(map(str, sys.version_info[:3])),
    }
    (output / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    log(f"{notebook} ended with status {status} after {seconds} s, and left {files} files")
    if status != 0:
        tracebacks = raised(work)
        for traceback in tracebacks:
            print(traceback, flush=True)
        message = "told to stop" if process.stopped else [process.message(), *tracebacks][-1]
        (ml / "output/message").write_text(message[-MESSAGE_CHARACTERS:])
        upload(output)
    return status


def main() -> int:
    parser = argparse.ArgumentParser(
        usage="%(prog)s --ml FOLDER --environment FOLDER -- NOTEBOOK [ARGUMENT…]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--ml", type=Path, required=True, help="the container's /opt/ml")
    parser.add_argument("--environment", type=Path, required=True, help="the environment that has marimo")
    parser.add_argument("--packages-seconds", type=float, default=0, help="how long that took to make")
    # What follows -- is for the notebook, word for word: argparse would take a second -- away.
    ours, words = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    given = parser.parse_args(ours)
    try:
        return run(given.ml, given.environment, given.packages_seconds, words[0], words[1:])
    except OSError as error:
        # Such as a volume that is full: not the notebook's own status.
        log(f"the outcome could not be written: {error}")
        with suppress(OSError):
            (given.ml / "output/message").write_text(f"the outcome could not be written: {error}")
        upload(given.ml / "processing/output")
        return FAILED
    finally:
        if state := os.environ.get("MARIMO_STATE"):
            shutil.rmtree(state, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
