"""The lock file of a notebook's own packages, which a job installs beside marimo."""

import importlib.metadata
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from sagemaker_marimo import packages, state
from sagemaker_marimo.jobs import notebook
from sagemaker_marimo.jobs.settings import Refused

SECONDS = 300
PINNED = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(\[[^]]*\])?\s*==\s*(?P<version>[^\s;\\]+)")


def find(path: Path, given: Path | None, python: str, marimo: str) -> str | None:
    """Its text, or none where the notebook needs no more than the image and marimo have."""
    script_lock = path.with_name(f"{path.name}.lock")
    if given is not None:
        try:
            text = given.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Refused([f"--lock {given} cannot be read: {error}"]) from None
        return checked(text, str(given), marimo)
    if script_lock.is_file():
        # --frozen: what was locked, also where the notebook's metadata have changed since.
        text = uv(["export", "--script", str(path), "--frozen", "--no-header"], f"{script_lock}")
        return checked(text, str(script_lock), marimo)
    environment = state.installed_environment()
    have = {} if environment is None else versions(environment)
    wanted = [line for line in dependencies(path) if not is_met(line, {"marimo": marimo, **have})]
    if wanted:
        raise Refused(
            [
                f"{path} depends on {', '.join(wanted)} (# /// script), and has no lock file: "
                f"uv lock --script {path}, or --lock FILE"
            ]
        )
    added = {} if environment is None else packages.added(environment)
    if not added:
        return None
    return checked(lock_added(list(added.values()), python), "what you added to marimo's environment", marimo)


def versions(environment: Path) -> dict[str, str]:
    """What a notebook in this space can import, and in a job too.

    That is what marimo's environment has, of which what was added is sent along, and what the image has.
    """
    paths = [[str(packages.site_packages(environment))], sys.path]
    found: dict[str, str] = {}
    for path in reversed(paths):
        for package in importlib.metadata.distributions(path=path):
            found[packages.normalized(package.metadata["Name"])] = package.version
    return found


def is_met(line: str, have: dict[str, str]) -> bool:
    """Whether a requirement (PEP 508) asks for nothing but what is there."""
    try:
        wanted = Requirement(line)
    except InvalidRequirement:
        return False
    if wanted.marker is not None and not wanted.marker.evaluate():
        return True
    version = have.get(packages.normalized(wanted.name))
    return wanted.url is None and version is not None and wanted.specifier.contains(version, prereleases=True)


def dependencies(path: Path) -> list[str]:
    try:
        found = notebook.header(path.read_text(encoding="utf-8")).get("dependencies", [])
    except (OSError, ValueError):
        return []  # told by notebook.problems
    return [str(line) for line in found]


def lock_added(requirements: Sequence[str], python: str) -> str:
    """With hashes, just what was added: what it needs beside is in the list too, or in the image."""
    if local := [line for line in requirements if line.startswith("-e ") or "file:" in line]:
        raise Refused(
            [
                f"{', '.join(local)}: added to marimo's environment from a folder, which jobs lack; "
                "uninstall it and keep it beside the notebook, or use --lock FILE"
            ]
        )
    platform = ["--python-version", python, "--python-platform", "x86_64-manylinux_2_28"]
    options = ["--generate-hashes", "--no-deps", "--no-header", "--no-annotate", "--quiet"]
    return uv(
        ["pip", "compile", *platform, *options, "-"],
        "what you added to marimo's environment",
        "\n".join(requirements),
    )


def uv(arguments: Sequence[str], what: str, text: str = "") -> str:
    command = packages.find_uv()
    if command is None:
        raise Refused([f"{what} needs uv, which is not here: install it (docs.astral.sh/uv), or --lock FILE"])
    try:
        result = subprocess.run(  # noqa: S603  # no shell
            [command, *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            env={**os.environ, **packages.installer_environment()},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Refused([f"{what} could not be locked within {SECONDS} s"]) from None
    if result.returncode != 0:
        raise Refused([f"{what} could not be locked:\n{result.stderr.strip()}"])
    return result.stdout


def checked(text: str, what: str, marimo: str) -> str:
    """Of one marimo, and with hashes: a job installs nothing else."""
    problems = []
    # A backslash at a line's end goes on with the next (pip, "Requirements File Format").
    for line in text.replace("\\\n", " ").splitlines():
        line = line.split(" #")[0].strip()
        if not line or line.startswith("#"):
            continue
        match = PINNED.match(line)
        if match is None and not (" @ " in line and "--hash=" in line):
            problems.append(
                f"{what}: {line[:80]!r} is not pinned; a job installs NAME==VERSION --hash=… alone"
            )
        elif "--hash=" not in line:
            problems.append(
                f"{what}: {line[:80]!r} has no --hash; uv pip compile --generate-hashes makes them"
            )
        elif match is not None and match["name"].lower() == "marimo" and match["version"] != marimo:
            problems.append(
                f"{what}: has marimo {match['version']}, and jobs run marimo {marimo} of the environment's "
                f"lock file; make it again with marimo=={marimo}"
            )
    if problems:
        raise Refused(problems)
    return text
