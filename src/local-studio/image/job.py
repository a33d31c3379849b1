"""The init process of a local job. It does what the container of SageMaker Distribution does.

Reads one line of JSON from standard input (see Request) and runs its command. Then reads the lines "stop"
(sends SIGTERM to the command) and "kill". When the command ends or standard input is closed, the command's
processes are ended too, as in a container. Writes events to standard output, one line of JSON each:

  started                            the command is running
  line      timestamp, text          a line that the command wrote to standard output or standard error
  exited    exitCode                 the command has ended; 128 plus the signal number if a signal ended it
  failed    reason                   the command cannot be run

Runs in the virtual environment that replaces the image (requirements.lock).
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

import psutil
from init_process import TERMINATION_SECONDS, adopt_orphans, emit, in_thread
from prefix import base_environment, make_prefix

SUDO = """#!/bin/sh
while [ "${1#-}" != "$1" ]; do shift; done
[ "$1" = chown ] || exec "$@"
shift
options=
while [ "${1#-}" != "$1" ]; do options="$options $1"; shift; done
shift # the owner
exec chmod $options u+rwX "$@"
"""


@dataclass
class Request:
    home: str
    prefix: str
    command: list[str]
    environment: dict[str, str]


def kill_descendants() -> None:
    """Kills the other processes, as happens when the first process of a container ends."""
    deadline = time.monotonic() + TERMINATION_SECONDS
    while (processes := psutil.Process().children(recursive=True)) and time.monotonic() < deadline:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=0.2)


def make_sudo(prefix: Path) -> None:
    """In the image, the user can run sudo without a password. Here sudo runs the command as this user, who
    already owns the job's folders. So only their modes keep the user out, and chown gives the right to write.
    """
    sudo = prefix / "bin/sudo"
    sudo.write_text(SUDO)
    sudo.chmod(0o755)


def read_commands(command: subprocess.Popen[bytes]) -> None:
    for line in sys.stdin:
        if line == "stop\n" and command.poll() is None:
            command.terminate()
        elif line == "kill\n":
            command.kill()
    # `main` ends the other processes: psutil in kill_descendants could take the exit status from it here.
    command.kill()


def main() -> None:
    adopt_orphans()
    # Ctrl-C in a terminal reaches the whole process group, but local Studio stops its jobs itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    request = Request(**json.loads(sys.stdin.readline()))
    prefix = Path(request.prefix)
    prefix.parent.mkdir(parents=True, exist_ok=True)
    Path(request.home).mkdir(parents=True, exist_ok=True)
    make_prefix(prefix)
    make_sudo(prefix)
    environment = base_environment(Path(request.home), prefix) | request.environment
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
        emit(event="failed", reason=f"ClientError: the container's command cannot be run: {error}")
        return
    emit(event="started")
    in_thread(lambda: read_commands(command))
    reader = threading.Thread(target=relay, args=(command,), daemon=True)
    reader.start()
    exit_code = command.wait()
    kill_descendants()
    reader.join(TERMINATION_SECONDS)
    emit(event="exited", exitCode=exit_code if exit_code >= 0 else 128 - exit_code)
    sys.stdout.flush()
    # A regular exit would wait for the thread that reads standard input.
    os._exit(0)


def relay(command: subprocess.Popen[bytes]) -> None:
    assert command.stdout is not None  # noqa: S101  # stdout is a pipe
    for line in command.stdout:
        text = line.decode(errors="replace").rstrip("\r\n")
        if text:  # CloudWatch Logs rejects empty messages (PutLogEvents)
            emit(event="line", timestamp=int(time.time() * 1000), text=text)


if __name__ == "__main__":
    main()
