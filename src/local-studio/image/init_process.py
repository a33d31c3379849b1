"""What the init processes of apps (container.py) and of jobs (job.py) share."""

import ctypes
import json
import sys
import threading
import time
from collections.abc import Callable

import psutil

TERMINATION_SECONDS = 5


def emit(**event: object) -> None:
    print(json.dumps(event), flush=True)


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def adopt_orphans() -> None:
    """Makes this process the parent of orphaned processes, as the init process of a container is."""
    if sys.platform == "linux":
        pr_set_child_subreaper = 36  # linux/prctl.h
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_child_subreaper, 1, 0, 0, 0)


def end_descendants() -> None:
    """Sends SIGTERM to all descendants, then SIGKILL to the remaining and newly started ones."""
    me = psutil.Process()
    deadline = time.monotonic() + TERMINATION_SECONDS
    terminated: set[int] = set()
    while processes := me.children(recursive=True):
        for process in processes:
            try:
                if time.monotonic() > deadline:
                    process.kill()
                elif process.pid not in terminated:
                    terminated.add(process.pid)
                    process.terminate()
            except psutil.NoSuchProcess:
                pass
        psutil.wait_procs(processes, timeout=0.2)
        if time.monotonic() > deadline + TERMINATION_SECONDS:
            return  # the remaining processes cannot be interrupted
