"""Backs up the home folder while the space runs, and when it stops. install.sh starts it in the background.

When an app stops, this process may get SIGTERM, or be killed without a signal. at_exit() therefore does the
same in JupyterLab: SageMaker Distribution's first process is supervisord, which sends SIGTERM to JupyterLab's
process group only (entrypoint-jupyter-server, supervisord-jupyter-lab.conf: stopasgroup), and waits 10 s
(supervisord's default, stopwaitsecs). Guess: Studio stops an app by SIGTERM to the first process.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

# Run by path, so that neither an installation nor PYTHONPATH is needed.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[2])

from sagemaker_marimo import state
from sagemaker_marimo.backup import manifest
from sagemaker_marimo.backup.options import options
from sagemaker_marimo.backup.run import locked, run

FIRST_SECONDS = 60.0
"""After the start of the app, when installation and JupyterLab need the processor."""
EXIT_SECONDS = 9.0
MOST_LOG_BYTES = 10**6

stopping = threading.Event()


def log(message: str) -> None:
    """To a file of the home, and to CloudWatch by the app's log."""
    line = f"{manifest.now()} sagemaker-marimo: backup: {message}\n"
    for name in (str(state.STATE / "log/backup.log"), os.environ.get("app_log")):  # noqa: SIM112  # of start.sh
        if name:
            with suppress(OSError), Path(name).open("a") as file:
                file.write(line)


def attempt(*, is_last: bool = False, compare: bool = False) -> None:
    """Never raises: the next run may work. `error` is what `marimo-doctor` reports."""
    error = manifest.folder() / "error"
    try:
        # The last one waits, because a run that goes on may have passed by what changed since.
        with locked("run", wait=is_last) as mine:
            if not mine:
                return
            done = run(options(), log, is_last=is_last, compare=compare)
        if done != "nothing has changed":
            log(done)
        error.unlink(missing_ok=True)
    except Exception as reason:
        log(f"failed, and is tried again: {reason!r}")
        with suppress(OSError):
            error.write_text(f"{manifest.now()}: {reason}")


def seconds(default: float) -> float:
    with suppress(KeyError, ValueError):
        return max(0.1, float(os.environ["MARIMO_BACKUP_SECONDS"]))
    return default


def main() -> None:
    settings = options()
    if not settings.is_on:
        return
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    file = state.STATE / "log/backup.log"
    with suppress(OSError):
        if file.stat().st_size > MOST_LOG_BYTES:
            file.replace(file.with_suffix(".log.1"))
    try:
        with locked("loop", wait=False) as mine:
            if not mine:
                return  # another app of the same home
            is_first = True
            while not stopping.wait(seconds(FIRST_SECONDS if is_first else settings.interval_minutes * 60)):
                attempt(compare=is_first)
                is_first = False
            attempt(is_last=True)
    except OSError as error:
        log(f"no backups are made until the next start: {error}")


def at_exit() -> None:
    """In a process of its own, because an interpreter that ends starts no threads."""
    command = [sys.executable, "-B", str(Path(__file__).with_name("command.py")), "now", "--last"]
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(command, timeout=EXIT_SECONDS, check=False)  # noqa: S603  # no shell


if __name__ == "__main__":
    main()
