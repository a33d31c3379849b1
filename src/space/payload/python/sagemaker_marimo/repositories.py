"""Clones the environment's git repositories into a new home folder, and never over anything that exists.

usage: repositories.py new|used
A new home gets all of them. What could not be cloned is tried again at the next start.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

# Run by path, so that neither an installation nor PYTHONPATH is needed.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])

from sagemaker_marimo import git_credentials, state

TIMEOUT = 600.0


def log(message: str) -> None:
    print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} sagemaker-marimo: {message}", flush=True)


def folder_of(url: str) -> Path:
    return state.HOME / url.rstrip("/").rpartition("/")[2].removesuffix(".git")


def git_clone(url: str, target: Path) -> str | None:
    """Returns why it failed."""
    # Nobody is there to answer a question for credentials. A redirect to another protocol is refused.
    env = {"GIT_ALLOW_PROTOCOL": "https", **os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": ""}
    command = ["git", "clone", "--quiet", *git_credentials.clone_options(url), "--", url, str(target)]
    try:
        git = subprocess.Popen(  # noqa: S603  # no shell
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        return f"git does not run: {error.strerror}"
    try:
        messages = git.communicate(timeout=TIMEOUT)[1].strip()
    except subprocess.TimeoutExpired:
        # The programs that git starts have the same output open, and would outlive it.
        os.killpg(git.pid, signal.SIGKILL)
        git.communicate()
        return f"it took longer than {TIMEOUT:.0f} s"
    if git.returncode == 0:
        return None
    # Advice may follow the reason, and what git could not do without a secret.
    lines = messages.splitlines()
    errors = [line for line in lines if line.startswith(("error: ", "fatal: "))] or lines[-1:]
    reason = errors[0] if errors else f"git ended with {git.returncode}"
    # A user's own git configuration may add credentials to an address.
    return re.sub(r"//[^/@\s]*@", "//", reason)


def clone(url: str) -> str | None:
    """Returns why another attempt is needed, if it is."""
    folder = folder_of(url)
    # Beside the home folder's own files: a person sees a repository only when it is complete.
    unfinished = state.STATE / "cloning"
    shutil.rmtree(unfinished, ignore_errors=True)
    # lexists: a broken link is somebody's too.
    if not os.path.lexists(folder):
        reason = git_clone(url, unfinished)
        if reason is not None:
            shutil.rmtree(unfinished, ignore_errors=True)
            log(f"{url} was not cloned, and is tried again at the next start: {reason}")
            return reason
    if os.path.lexists(folder):
        shutil.rmtree(unfinished, ignore_errors=True)
        log(f"{url} was not cloned: {folder} already exists and is left unchanged")
    else:
        unfinished.rename(folder)
        log(f"{url} was cloned into {folder}")
    return None


def offered() -> list[str]:
    return state.settings().get("MARIMO_REPOSITORIES", "").split()


def waiting_file() -> Path:
    return state.STATE / "repositories.json"


def read_waiting() -> dict[str, str | None]:
    """The repositories that this home still gets, each with why its last attempt failed."""
    try:
        waiting = json.loads(waiting_file().read_text())
    except (OSError, ValueError):
        return {}
    urls = offered()
    return {url: waiting[url] for url in waiting if url in urls} if isinstance(waiting, dict) else {}


def write_waiting(waiting: dict[str, str | None]) -> None:
    file = waiting_file()
    new = file.with_name(f".{file.name}")
    new.write_text(json.dumps(waiting))
    new.replace(file)


def clone_each(home: str) -> None:
    with (state.STATE / "repositories.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # another app of the same home clones them
        waiting = dict.fromkeys(offered()) if home == "new" else read_waiting()
        # Before the first attempt: an app may stop at any time.
        write_waiting(waiting)
        for url in list(waiting):
            waiting[url] = clone(url)
            if waiting[url] is None:
                del waiting[url]
            write_waiting(waiting)


def main(home: str) -> None:
    if not offered():
        return
    try:
        clone_each(home)
    except OSError as error:
        log(f"not all repositories could be cloned: {error}")


if __name__ == "__main__":
    main(sys.argv[1])
