"""Runs a command that ends together with the process that started it.

usage: python tether.py COMMAND [ARGUMENT...]

When standard input closes (at the parent's request, or because the parent was killed), the command's whole
process tree is ended. Terraform and cdktf do not watch standard input, and cdktf runs Terraform in a terminal
and session of its own, which signals to the process group do not reach.
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
    """Returns the process and its descendants."""
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
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)  # noqa: S603 - own command
    watcher = threading.Thread(target=watch, args=(command,), daemon=True)
    watcher.start()
    status = command.wait()
    # A regular exit would wait for the watcher thread, which blocks on standard input.
    os._exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    main()
