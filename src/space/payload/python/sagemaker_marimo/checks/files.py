"""Checks of the files that marimo has in this space."""

import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sagemaker_marimo import state, user_activity
from sagemaker_marimo.checks.problem import INSTALL_AGAIN, RESTART, Findings, Problem

FREE_MEGABYTES = 500
"""marimo's virtual environment takes 189 MB, and an update builds a second one beside it."""


def last_log_line() -> str:
    lines = [line for line in state.install_log_tail().splitlines() if line.strip()]
    return lines[-1].strip() if lines else "there is no log yet"


def payload(_: Findings) -> str:
    current = (state.STATE / "payload/current").resolve()
    remedy = f"{RESTART} This downloads the payload again. Log: {state.STATE}/log/space.log"
    try:
        listed = (current / "SHA256SUMS").read_text().splitlines()
    except OSError as error:
        raise Problem(f"no payload in {current} ({error.strerror})", remedy) from None
    if not hashlib.sha256((current / "SHA256SUMS").read_bytes()).hexdigest().startswith(current.name):
        raise Problem(f"{current / 'SHA256SUMS'} was altered", remedy)
    for line in listed:
        digest, _separator, name = line.partition("  ")
        try:
            content = (current / name).read_bytes()
        except OSError as error:
            raise Problem(f"{current / name}: {error.strerror}", remedy) from None
        if hashlib.sha256(content).hexdigest() != digest:
            raise Problem(f"{current / name} was altered", remedy)
    with tarfile.open(current / "files.tar") as archive:
        members = archive.getmembers()
        for member in members:
            packed = archive.extractfile(member)
            try:
                unpacked = (current / member.name).read_bytes()
            except OSError as error:
                raise Problem(f"{current / member.name}: {error.strerror}", remedy) from None
            if packed is None or unpacked != packed.read():
                raise Problem(f"{current / member.name} was altered", remedy)
    return f"{current.name}, {len(listed) + len(members)} files, unchanged since upload"


def environment(_: Findings) -> str:
    folder = state.installed_environment()
    if folder is None:
        current = state.STATE / "environments/current"
        if state.installation_failed():
            raise Problem(f"marimo could not be installed: {last_log_line()}", INSTALL_AGAIN)
        if (current / ".complete").is_file():
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            raise Problem(f"{current.resolve().name} was not built for Python {version}", INSTALL_AGAIN)
        raise Problem(f"marimo is not installed (yet): {last_log_line()}", INSTALL_AGAIN)
    command = [str(folder / "bin/python"), "-c", "import marimo; print(marimo.__version__)"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603  # no shell
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Problem(f"{command[0]} does not run: {error}", rebuild_remedy(folder)) from None
    if result.returncode:
        reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Problem(f"marimo cannot be imported: {reason}", rebuild_remedy(folder))
    if state.installation_failed():
        raise Problem(f"marimo's last update failed: {last_log_line()}", INSTALL_AGAIN)
    return f"marimo {result.stdout.strip()} in {folder}"


def job_packages(_: Findings) -> str:
    """Locks the packages that were added in marimo, as `marimo-job run` does, and finds what they lack."""
    # Imported here because they need boto3 and packaging: the other checks must work without them.
    from sagemaker_marimo import packages
    from sagemaker_marimo.jobs import lock, settings

    folder = state.installed_environment()
    added = {} if folder is None else packages.added(folder)
    if folder is None or not added:
        return "no packages were added in marimo, so jobs need no others"
    try:
        lock.lock_added(list(added.values()), f"{sys.version_info.major}.{sys.version_info.minor}")
    except settings.Refused as refused:
        remedy = "Remove what cannot be locked with uv pip uninstall, or run jobs with --lock FILE."
        raise Problem(str(refused), remedy) from None
    if unmet := lock.unmet(folder):
        raise Problem(
            "; ".join(unmet), "Add in marimo's package panel what is missing, or remove what needs it."
        )
    return f"jobs can install the {len(added)} packages that were added in marimo"


def rebuild_remedy(folder: Path) -> str:
    return f"Run: rm {folder / '.complete'}\n{INSTALL_AGAIN}"


def disk_space(_: Findings) -> str:
    remedy = "Delete files, for instance ~/.cache, or enlarge the space's volume in Studio."
    try:
        state.STATE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=state.STATE) as file:
            file.write(b"\0" * 4096)
    except OSError as error:
        raise Problem(f"cannot write to {state.STATE}: {error.strerror}", remedy) from None
    free = shutil.disk_usage(state.STATE).free // 2**20
    if free < FREE_MEGABYTES:
        raise Problem(f"{free} MB free in the home folder, at least {FREE_MEGABYTES} MB are needed", remedy)
    return f"{free} MB free in the home folder"


def token(_: Findings) -> str:
    path = state.STATE / "token"
    remedy = f"Run: rm -f {path}\n{RESTART} This creates a new token."
    try:
        status, empty = path.stat(), not path.read_text().strip()
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}", remedy) from None
    if empty:
        raise Problem(f"{path} is empty", remedy)
    if status.st_uid != os.geteuid():
        raise Problem(f"{path} belongs to user {status.st_uid}", remedy)
    if (mode := stat.S_IMODE(status.st_mode)) != 0o600:
        raise Problem(f"{path} has mode {mode:o}: other users can read it", f"Run: chmod 600 {path}")
    return "only you can read it (mode 600)"


def activity_watcher(_: Findings) -> str:
    """Checks the file that the watcher writes. Only the time in it shows that the watcher runs."""
    path = user_activity.file()
    remedy = f"Run: rm -f {path}\nUntil then Studio may stop this space while it is in use, or never stop it."
    if path.exists() and not (os.access(path, os.R_OK) and os.access(path.parent, os.W_OK)):
        raise Problem(f"{path} belongs to another user", remedy)
    recorded = user_activity.recorded()
    if recorded is None:
        if path.exists():
            raise Problem(f"{path} does not contain a time", remedy)
        return "no work in marimo has been recorded for Studio's idle shutdown yet"
    if recorded > datetime.now(UTC) + timedelta(minutes=1):
        raise Problem(f"{path} contains a time in the future: {recorded:%Y-%m-%d %H:%M:%S}", remedy)
    return f"last work in marimo recorded for Studio's idle shutdown: {recorded:%Y-%m-%d %H:%M:%S} UTC"
