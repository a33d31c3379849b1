"""Runs a notebook in a processing or training job, after job/run.sh has built marimo's virtual environment.

Writes to the job's output folder, which is uploaded while the job runs and at its end:

  page.html    the notebook with its outputs so far, each minute, and at the end even if a cell raised
  files/       the files that the notebook created or changed in its working folder, which is a copy
  result.json  exitStatus, notebook, arguments, seconds (packages, notebook), marimo, python; in a training
               job that failed, message

Exits with the notebook's status. On SIGTERM, which a stop sends, stops the notebook first.
"""

import argparse
import importlib.metadata
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

# Run by path, so that neither an installation nor PYTHONPATH is needed.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])

from sagemaker_marimo import aws_secrets, job_notify, job_tracebacks
from sagemaker_marimo.job_container import Container
from sagemaker_marimo.job_upload import Upload

# SageMaker sends SIGKILL 120 s after SIGTERM (SageMaker API, StopTrainingJob; not documented for Processing
# jobs). The notebook must stop early enough for its output to be uploaded.
STOP_SECONDS = float(os.environ.get("MARIMO_JOB_STOP_SECONDS", "60"))
# ExitMessage and FailureReason (SageMaker API).
MESSAGE_CHARACTERS = 1024
# Files of marimo and Python that are not results.
LEFT_OUT = {"__marimo__", "__pycache__", ".ipynb_checkpoints"}
UPLOAD_SECONDS = 45
SAVE_UPLOAD_SECONDS = 600
# Between two pages, and two looks for new files, while the notebook runs.
SAVE_SECONDS = float(os.environ.get("MARIMO_JOB_SAVE_SECONDS", "60"))
EXPORT = Path(__file__).parents[2] / "job/export_page.py"
# The same status as for failures of job/run.sh: EX_SOFTWARE of sysexits.h.
FAILED = 70


def log(message: str) -> None:
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} sagemaker-marimo: {message}", flush=True)


def files_in(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and modification time of each file, by path."""
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
    """One run of a notebook in its own process group. SIGTERM may arrive before the run has started."""

    def __init__(self) -> None:
        self.stopped = False
        self._last: deque[str] = deque(maxlen=20)
        self._process: subprocess.Popen[str] | None = None

    def start(self, command: list[str], folder: Path, variables: dict[str, str]) -> None:
        self._process = subprocess.Popen(  # noqa: S603  # no shell
            command,
            cwd=folder,
            env={**variables, "PYTHONUNBUFFERED": "1"},
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
        """Sends SIGTERM now, and SIGKILL after STOP_SECONDS."""
        if not self.stopped:
            self.stopped = True
            log("received SIGTERM: stopping the notebook")
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
            raise AssertionError("start() was called, and the output is a pipe")
        for line in self._process.stdout:
            print(line, end="", flush=True)
            if line.strip():
                self._last.append(line.rstrip())
        status = self._process.wait()
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._signal(signal.SIGKILL)  # processes that it left would keep the container running
        # As in a shell: 137, for example, means SIGKILL, which often means out of memory.
        return 128 - status if status < 0 else status

    @property
    def last_lines(self) -> list[str]:
        return list(self._last)


class Saver:
    """Copies the page and the notebook's new and changed files to the job's output."""

    def __init__(self, work: Path, page: Path, output: Path, upload: Upload | None) -> None:
        """`upload` is that of a training job, whose output SageMaker does not upload while it runs."""
        self._work, self._page, self._output, self._upload = work, page, output, upload
        self._before = self._saved = self._seen = files_in(work)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._save_now_and_then, daemon=True)
        self._thread.start()

    def _save_now_and_then(self) -> None:
        # A full volume, for example, is reported at the end.
        with suppress(OSError):
            while not self._ended.wait(SAVE_SECONDS):
                now = files_in(self._work)
                # A file that changed since the last look may be half written.
                self._copy({name: state for name, state in now.items() if self._seen.get(name) == state})
                self._seen = now
                if self._upload:
                    self._upload.changes(SAVE_UPLOAD_SECONDS)

    def finish(self) -> int:
        """Copies what is left. Returns the number of files that the notebook wrote."""
        self._ended.set()
        if self._upload:
            self._upload.cancel()
        self._thread.join()
        now = files_in(self._work)
        self._copy(now)
        for name in self._saved.keys() - now.keys() - self._before.keys():
            (self._output / "files" / name).unlink(missing_ok=True)
        return sum(self._before.get(name) != state for name, state in now.items())

    def _copy(self, files: dict[str, tuple[int, int]]) -> None:
        for name, state in files.items():
            if self._saved.get(name) != state:
                target = self._output / "files" / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with suppress(FileNotFoundError):  # the notebook has just deleted it
                    shutil.copy2(self._work / name, target)
        self._saved = self._saved | files
        if self._page.is_file():
            shutil.copyfile(self._page, self._output / "page.html")


def marimo_version(environment: Path) -> str:
    for site_packages in environment.glob("lib/python*/site-packages"):
        for package in importlib.metadata.distributions(name="marimo", path=[str(site_packages)]):
            return package.version
    return "unknown"


def run(
    ml: Path, work: Path, environment: Path, packages_seconds: float, notebook: str, arguments: list[str]
) -> int:
    container, output = Container.of(ml), ml / "processing/output"
    process = Notebook()
    signal.signal(signal.SIGTERM, process.stop)
    variables = aws_secrets.notebook_environment(os.environ) | container.variables()
    page = Path(tempfile.mkdtemp(prefix="page-", dir=os.environ.get("MARIMO_STATE"))) / "page.html"
    log(f"running {notebook}")
    began = time.monotonic()
    upload = Upload(output, container.target, log)
    saver = Saver(work, page, output, upload if container.is_training else None)
    process.start(
        [
            str(environment / "bin/python"),
            *(str(EXPORT), str(SAVE_SECONDS), notebook, "-o", str(page), "--no-sandbox"),
            *("--", *arguments),
        ],
        work / Path(notebook).parent,
        variables,
    )
    status = process.wait()
    if process.stopped and status == 0:
        status = 128 + signal.SIGTERM
    seconds = round(time.monotonic() - began, 2)

    files = saver.finish()
    result: dict[str, Any] = {
        "exitStatus": status,
        "notebook": notebook,
        "arguments": arguments,
        "seconds": {"packages": packages_seconds, "notebook": seconds},
        "marimo": marimo_version(environment),
        "python": ".".join(map(str, sys.version_info[:3])),
    }
    log(f"{notebook} ended with status {status} after {seconds} s; it wrote {files} files")
    message = ""
    if status != 0:
        tracebacks = job_tracebacks.raised(work, environment)
        for traceback in tracebacks:
            print(traceback, flush=True)
        message = (
            "stopped by SIGTERM" if process.stopped else ["\n".join(process.last_lines), *tracebacks][-1]
        )
        container.message.write_text(message[-MESSAGE_CHARACTERS:])
        if container.is_training:
            result["message"] = message[-MESSAGE_CHARACTERS:]
    (output / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    if container.is_training:
        if not upload.all(UPLOAD_SECONDS if process.stopped else None):
            # Without it, row.sh takes the job for one that has no outcome.
            (output / "result.json").unlink()
            raise OSError("it could not be uploaded")
    elif status != 0:
        upload.all(UPLOAD_SECONDS)
    lines = process.last_lines
    reason = "" if message == "\n".join(lines) else message[-MESSAGE_CHARACTERS:]
    job_notify.tell(container, job_notify.Ended(notebook, status, reason, lines, stopped=process.stopped))
    return status


def main() -> int:
    parser = argparse.ArgumentParser(
        usage="%(prog)s --ml FOLDER --work FOLDER --environment FOLDER -- NOTEBOOK [ARGUMENT…]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--ml", type=Path, required=True, help="the container's /opt/ml")
    parser.add_argument("--work", type=Path, required=True, help="a copy of the job's sources")
    parser.add_argument("--environment", type=Path, required=True, help="the virtual environment with marimo")
    parser.add_argument("--packages-seconds", type=float, default=0, help="how long its installation took")
    # Everything after the first -- is passed on unchanged: argparse would remove a second --.
    ours, words = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    given = parser.parse_args(ours)
    try:
        return run(given.ml, given.work, given.environment, given.packages_seconds, words[0], words[1:])
    except (OSError, aws_secrets.SecretError) as error:
        # Such as a full volume. The status must differ from the notebook's own.
        message = f"the output could not be written: {error}" if isinstance(error, OSError) else str(error)
        log(message)
        container = Container.of(given.ml)
        with suppress(OSError):
            container.message.write_text(message[:MESSAGE_CHARACTERS])
        Upload(given.ml / "processing/output", container.target, log).all(UPLOAD_SECONDS)
        job_notify.tell(container, job_notify.Ended(words[0], FAILED, message, ran=False))
        return FAILED
    finally:
        if state := os.environ.get("MARIMO_STATE"):
            shutil.rmtree(state, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
