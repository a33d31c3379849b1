"""Check of the home's backup, with the environment's setting `homeBackup`."""

from sagemaker_marimo import state
from sagemaker_marimo.backup import manifest as manifests
from sagemaker_marimo.backup.options import options
from sagemaker_marimo.backup.run import locked
from sagemaker_marimo.checks.problem import RESTART, Findings, Problem

MOST_NAMES = 3


def backup(_: Findings) -> str:
    own, settings = manifests.read_own(), options()
    if not settings.is_on:
        by_hand = f"; the last one by hand: {own.describe()}" if own else ""
        return f"off in this environment, `marimo-backup now` makes one{by_hand}"
    remedy = f"Run: marimo-backup now\nLog: {state.STATE}/log/backup.log"
    error = manifests.folder() / "error"
    if error.exists():
        raise Problem(f"the last backup failed, {error.read_text()}", remedy)
    every = f"every {settings.interval_minutes:g} minutes if something has changed, and when the space stops"
    if own is None:
        return f"none yet: {every}"
    with locked("loop", wait=False) as is_free:
        runs = not is_free
    if not runs:
        raise Problem(f"no backups are made since {own.time}", f"{RESTART} Until then: marimo-backup now")
    names = [f"{manifests.shown(path)} ({why})" for path, why in sorted(own.skipped.items())]
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    skipped = f"; not in it: {'; '.join(names[:MOST_NAMES])}{more}" if names else ""
    return f"{own.describe()}; {every}{skipped}"
