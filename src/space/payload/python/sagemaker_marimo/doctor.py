"""Checks everything that marimo needs in this space, and prints a remedy for each check that fails.

usage: marimo-doctor
Exit status: 0 if all checks pass, 1 otherwise. Prints no secrets. Each check takes at most LIMIT seconds.
"""

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

# Run by path, so that neither an installation nor PYTHONPATH is needed.
sys.path[0] = str(Path(__file__).parents[1])

from sagemaker_marimo import image as image_  # noqa: E402

if sys.version_info[:2] < image_.OLDEST:  # the checks themselves need a newer one
    print(f"FAILED image: the image lacks {'; '.join(image_.missing())}")
    sys.exit(1)

from sagemaker_marimo import state  # noqa: E402
from sagemaker_marimo.checks import files, servers, upgrades  # noqa: E402
from sagemaker_marimo.checks.backup import backup  # noqa: E402
from sagemaker_marimo.checks.bucket import bucket  # noqa: E402
from sagemaker_marimo.checks.gpu import gpu  # noqa: E402
from sagemaker_marimo.checks.image import image  # noqa: E402
from sagemaker_marimo.checks.problem import RESTART, Check, Findings, Problem  # noqa: E402
from sagemaker_marimo.checks.repositories import repositories  # noqa: E402
from sagemaker_marimo.code_editor import is_code_editor  # noqa: E402
from sagemaker_marimo.jupyter_server import jupyter_servers  # noqa: E402

LIMIT = 90.0
"""Seconds for one check. The longest is marimo's first start on a small instance."""

CHECKS: tuple[tuple[str, Check, str | None], ...] = (
    ("image", image, None),
    ("GPU", gpu, None),
    ("disk space", files.disk_space, None),
    ("payload", files.payload, None),
    ("environment", files.environment, None),
    ("packages of jobs", files.job_packages, "environment"),
    ("repositories", repositories, None),
    ("tested versions", upgrades.tested_versions, None),
    ("token", files.token, None),
    ("JupyterLab", servers.jupyterlab, None),
    ("proxy entry", servers.proxy_entry, "JupyterLab"),
    ("marimo's server", servers.marimo_server, "proxy entry"),
    ("private interfaces", upgrades.interfaces, None),
    ("event stream", servers.event_stream, "marimo's server"),
    ("bucket", bucket, None),
    ("backup", backup, None),
    ("activity watcher", files.activity_watcher, "private interfaces"),
)
"""Name, check, and the name of the check that must pass first. A check comes after the one it needs."""
IN_ANY_APP = (
    *("GPU", "disk space", "payload", "environment", "packages of jobs"),
    *("repositories", "tested versions", "bucket", "backup"),
)
"""Code Editor runs no JupyterLab, and marimo's server only while `marimo edit` runs."""


def bounded(check: Check, findings: Findings, seconds: float = LIMIT) -> str:
    """The check's result or a Problem, at the latest after this many seconds."""
    outcome: list[str | Exception] = []

    def run() -> None:
        try:
            outcome.append(check(findings))
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise Problem(f"no answer within {seconds:g} s", RESTART)
    if isinstance(outcome[0], Problem):
        raise outcome[0]
    if isinstance(outcome[0], Exception):
        raise Problem(f"the check itself failed: {outcome[0]!r}", f"Please report this. {RESTART}")
    return outcome[0]


def without_secrets(text: str) -> str:
    """Removes secrets from the output: it includes messages of other programs."""
    known = [str(server.get("token") or "") for server in jupyter_servers()]
    with suppress(OSError):
        known.append((state.STATE / "token").read_text().strip())
    for secret in filter(None, known):
        text = text.replace(secret, "…")
    return text


def main() -> int:
    findings = Findings()
    wrong = 0
    unavailable: set[str | None] = set()
    checks = [check for check in CHECKS if check[0] in IN_ANY_APP or not is_code_editor()]
    for name, check, needed in checks:
        if needed in unavailable:
            unavailable.add(name)
            print(f"  -    {name}: not checked: it needs {needed}", flush=True)
            continue
        try:
            line = f"  ok   {name}: {bounded(check, findings)}"
        except Problem as problem:
            wrong += 1
            unavailable.add(name)
            remedy = problem.remedy.replace("\n", "\n       ")
            line = f"FAILED {name}: {problem}\n       {remedy}"
        print(without_secrets(line), flush=True)
    print(f"\n{wrong} of {len(checks)} checks failed." if wrong else "\nAll checks passed.")
    return 1 if wrong else 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # Not sys.exit: a check that hangs must not keep this process alive.
    os._exit(status)
