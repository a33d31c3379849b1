"""The lock file of a notebook's own packages, which a job installs in addition to marimo."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from sagemaker_marimo import packages, state
from sagemaker_marimo.image_packages import distributions, normalized
from sagemaker_marimo.jobs import notebook
from sagemaker_marimo.jobs.settings import Refused

SECONDS = 300
# job/run.sh looks for this first line: the job then installs these packages without their dependencies.
NO_DEPENDENCIES = "# no-deps"
COMMIT = re.compile(r"^\S+ @ git\+\S+@[0-9a-f]{40}(#subdirectory=\S+)?$")
PINNED = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(\[[^]]*\])?\s*==\s*(?P<version>[^\s;\\]+)")


def find(path: Path, given: Path | None, python: str, marimo: str) -> str | None:
    """The lock file's text, or None if the image and marimo have everything that the notebook needs."""
    script_lock = path.with_name(f"{path.name}.lock")
    if given is not None:
        try:
            text = given.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Refused([f"--lock {given} cannot be read: {error}"]) from None
        return checked(text, str(given), marimo)
    if script_lock.is_file():
        # --frozen: use the lock as it is, even if the notebook's metadata changed since.
        text = uv(["export", "--script", str(path), "--frozen", "--no-header"], f"{script_lock}")
        return checked(text, str(script_lock), marimo)
    environment = state.installed_environment()
    have = {} if environment is None else versions(environment)
    wanted = [line for line in dependencies(path) if not is_satisfied(line, {"marimo": marimo, **have})]
    if wanted:
        raise Refused(
            [
                f"{path} depends on {', '.join(wanted)} (# /// script) but has no lock file: "
                f"run uv lock --script {path}, or use --lock FILE"
            ]
        )
    added = {} if environment is None else packages.added(environment)
    if not added:
        return None
    return checked(lock_added(list(added.values()), python), "packages added to marimo's environment", marimo)


def versions(environment: Path) -> dict[str, str]:
    """The packages that a notebook can import both in this space and in a job.

    These are the packages of marimo's virtual environment, whose additions are sent too, and of the image.
    """
    found = {**distributions(sys.path), **distributions([packages.site_packages(environment)])}
    return {name: package.version for name, package in found.items()}


def unmet(environment: Path | None) -> list[str]:
    """What added packages need and neither marimo's virtual environment nor the image has.

    uv does not complain when a dependency is removed or replaced.
    """
    if environment is None:
        return []
    have, own = versions(environment), distributions([packages.site_packages(environment)])
    return [
        f"{name} {own[name].version} needs {line.partition(';')[0].strip()}, but {found_version(line, have)}"
        for name in packages.added(environment)
        if name in own
        for line in own[name].requires or ()
        # An address does not say which version it has.
        if not is_satisfied(line.partition(" @ ")[0], have)
    ]


def found_version(line: str, have: dict[str, str]) -> str:
    name = normalized(Requirement(line).name)
    return f"{name} is {have[name]}" if name in have else f"{name} is not installed"


def is_satisfied(line: str, have: dict[str, str]) -> bool:
    """Whether the installed packages satisfy a requirement (PEP 508)."""
    try:
        wanted = Requirement(line)
    except InvalidRequirement:
        return False
    if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
        return True
    version = have.get(normalized(wanted.name))
    return wanted.url is None and version is not None and wanted.specifier.contains(version, prereleases=True)


def dependencies(path: Path) -> list[str]:
    try:
        found = notebook.header(path.read_text(encoding="utf-8")).get("dependencies", [])
    except (OSError, ValueError):
        return []  # notebook.problems reports this
    return [str(line) for line in found]


def lock_added(requirements: Sequence[str], python: str) -> str:
    """Locks only the added packages: their dependencies are in the list, in marimo's lock or in the image.

    A package from git is pinned by its commit, for which neither uv nor pip has hashes.
    """
    if local := [line for line in requirements if line.startswith("-e ") or "file:" in line]:
        raise Refused(
            [
                f"{', '.join(local)}: added to marimo's environment from a folder that jobs do not have; "
                "uninstall it and put it beside the notebook, or use --lock FILE"
            ]
        )
    platform = ["--python-version", python, "--python-platform", "x86_64-manylinux_2_28"]
    options = ["--generate-hashes", "--no-deps", "--no-header", "--no-annotate", "--quiet"]
    commits = [line for line in requirements if COMMIT.match(line)]
    hashed = uv(
        ["pip", "compile", *platform, *options, "-"],
        "packages added to marimo's environment",
        "\n".join(line for line in requirements if line not in commits),
    )
    return "\n".join([NO_DEPENDENCIES, *commits, hashed])


def uv(arguments: Sequence[str], what: str, text: str = "") -> str:
    command = packages.find_uv()
    if command is None:
        raise Refused([f"locking {what} needs uv: install it (docs.astral.sh/uv), or use --lock FILE"])
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
    """Checks that every package has a commit or a version with hashes, and marimo the job's version."""
    problems = []
    # A line that ends with a backslash continues on the next line (pip, "Requirements File Format").
    for line in text.replace("\\\n", " ").splitlines():
        line = line.split(" #")[0].strip()
        if not line or line.startswith("#"):
            continue
        if COMMIT.match(line):
            continue
        match = PINNED.match(line)
        if match is None and not (" @ " in line and "--hash=" in line):
            problems.append(f"{what}: {line[:80]!r} is not pinned; each line must be NAME==VERSION --hash=…")
        elif "--hash=" not in line:
            problems.append(
                f"{what}: {line[:80]!r} has no --hash; create it with uv pip compile --generate-hashes"
            )
        elif match is not None and match["name"].lower() == "marimo" and match["version"] != marimo:
            problems.append(
                f"{what}: has marimo {match['version']}, but jobs run marimo {marimo} of the environment's "
                f"lock file; lock again with marimo=={marimo}"
            )
    if problems:
        raise Refused(problems)
    return text
