"""The init process of a local processing job: what SageMaker Distribution's container does in one.

Reads one line of JSON on standard input (see Request) and runs its command; then the lines "stop" (SIGTERM to
the command) and "kill". When the command ends, or standard input is closed, everything that it started is
ended too, as in a container. Writes events to standard output, one line of JSON each:

  started                            the command runs
  line      timestamp, text          what it wrote to its output or its errors
  exited    exitCode                 it ended; 128 and the signal's number, where a signal ended it
  failed    reason                   it cannot be run

Runs in the Python of the image's stand-in (requirements.lock).
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import container
import psutil


@dataclass
class Request:
    home: str
    prefix: str
    command: list[str]
    environment: dict[str, str]


def kill_descendants() -> None:
    """What the end of a container's first process does to the others."""
    deadline = time.monotonic() + container.TERMINATION_SECONDS
    while (processes := psutil.Process().children(recursive=True)) and time.monotonic() < deadline:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=0.2)


def make_sudo(prefix: Path) -> None:
    """The image's user may become root without a password. What a job may need root for, its own folders,
    belongs to this user here."""
    sudo = prefix / "bin/sudo"
    sudo.write_text('#!/bin/sh\nwhile [ "${1#-}" != "$1" ]; do shift; done\nexec "$@"\n')
    sudo.chmod(0o755)


def follow_orders(command: subprocess.Popen[bytes]) -> None:
    for line in sys.stdin:
        if line == "stop\n" and command.poll() is None:
            command.terminate()
        elif line == "kill\n":
            command.kill()
    # `main` ends the others: psutil, waiting in kill_descendants, could take the exit status from it.
    command.kill()


def main() -> None:
    container.adopt_orphans()
    # Ctrl-C in a terminal reaches the whole group: local Studio ends its jobs in its own order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    request = Request(**json.loads(sys.stdin.readline()))
    prefix = Path(request.prefix)
    prefix.parent.mkdir(parents=True, exist_ok=True)
    Path(request.home).mkdir(parents=True, exist_ok=True)
    container.make_prefix(prefix)
    make_sudo(prefix)
    environment = container.base_environment(Path(request.home), prefix) | request.environment
    try:
        command = subprocess.Popen(  # noqa: S603  # no shell
            request.command,
            cwd=request.home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, IndexError) as error:
        container.emit(event="failed", reason=f"ClientError: the container's command cannot be run: {error}")
        return
    container.emit(event="started")
    container.in_thread(lambda: follow_orders(command))
    reader = threading.Thread(target=relay, args=(command,), daemon=True)
    reader.start()
    exit_code = command.wait()
    kill_descendants()
    reader.join(container.TERMINATION_SECONDS)
    container.emit(event="exited", exitCode=exit_code if exit_code >= 0 else 128 - exit_code)
    sys.stdout.flush()
    # The thread that follows orders waits for standard input.
    os._exit(0)


def relay(command: subprocess.Popen[bytes]) -> None:
    assert command.stdout is not None  # noqa: S101  # it is a pipe
    for line in command.stdout:
        text = line.decode(errors="replace").rstrip("\r\n")
        if text:  # CloudWatch Logs takes no event without a message (PutLogEvents)
            container.emit(event="line", timestamp=int(time.time() * 1000), text=text)


if __name__ == "__main__":
    main()
