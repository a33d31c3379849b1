"""Runs a command that must not outlive whoever started it.

usage: python tether.py COMMAND [ARGUMENT...]

When standard input closes (the starter asks for it, or was killed), the command's whole process tree is
ended. Terraform and cdktf do not watch for that, and cdktf gives Terraform a terminal and a session of its
own, out of reach of signals to a process group.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

SECONDS_TO_STOP = 5.0


def tree(root: int) -> list[int]:
    """The process and everything below it."""
    listing = subprocess.check_output(["ps", "-A", "-o", "pid=", "-o", "ppid="], text=True)  # noqa: S607
    pairs = [tuple(map(int, line.split())) for line in listing.splitlines()]
    found = [root]
    for parent in found:
        found += [pid for pid, parent_of_pid in pairs if parent_of_pid == parent]
    return found


def end(pids: list[int], how: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)


def watch(command: subprocess.Popen[bytes]) -> None:
    while os.read(0, 4096):
        pass
    pids = tree(command.pid)
    end(pids, signal.SIGTERM)
    time.sleep(SECONDS_TO_STOP)
    end(pids, signal.SIGKILL)


def main() -> None:
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)  # noqa: S603 - our own words
    watcher = threading.Thread(target=watch, args=(command,), daemon=True)
    watcher.start()
    status = command.wait()
    # The watcher waits for standard input, which a regular end of the interpreter would wait for, too.
    os._exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    main()
