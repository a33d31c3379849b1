"""Packages that a user adds to marimo's virtual environment, beyond those of the project's lock file.

usage: packages.py carry-over OLD NEW          installs into the new environment what was added to the old
       packages.py requirements ENVIRONMENT    installs ~/requirements.txt if it has changed
       packages.py remember ENVIRONMENT        writes down what was added, before the environment is rebuilt
       packages.py check ENVIRONMENT           exit status 1 if a locked package is missing or differs
       packages.py shadowed ENVIRONMENT        says which packages of the image it has in other versions
The others never fail: what cannot be installed is logged, and tried again at the next start.
"""

import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

# Run by path, so that neither an installation nor PYTHONPATH is needed.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])

from sagemaker_marimo import image_packages, state
from sagemaker_marimo.image_packages import LOCKED, locked, normalized

REQUIREMENTS = state.HOME / "requirements.txt"
ADDED = state.STATE / "added-packages.txt"
"""What the user had added at the last start. This file outlives the virtual environment."""
INSTALLED = ".requirements"
"""In a virtual environment: the hash of the requirements.txt that was installed into it."""
FAILED = ".requirements-failed"
"""In a virtual environment: the hash of the requirements.txt that could not be installed."""
SECONDS = 900

# -r, -c, -e, ./package: a file named on such a line can change while requirements.txt does not.
NAMES_FILES = re.compile(rb"^\s*(-[rce]\b|--requirement|--constraint|--editable|\.|/)", re.MULTILINE)


def log(message: str) -> None:
    print(f"sagemaker-marimo: {message}", flush=True)


def find_uv() -> str | None:
    return shutil.which("uv") or shutil.which("uv", path=str(Path(sys.prefix) / "bin"))


def installer_environment() -> dict[str, str]:
    """The package index of the environment's settings for uv and pip, unless the user has set another."""
    # install.sh sets the variable, including a token if the index needs one.
    name = "MARIMO_PACKAGE_INDEX_URL"
    index = os.environ.get(name) or state.settings().get(name)
    if not index:
        return {}
    return {name: index for name in ("UV_DEFAULT_INDEX", "PIP_INDEX_URL") if name not in os.environ}


def server_environment() -> dict[str, str]:
    """Makes marimo's package panel and `uv pip install` in its terminal use marimo's virtual environment.

    It is persistent, unlike the image's prefix (CONDA_PREFIX), which each start of the app resets.
    """
    # marimo uses uv if UV is set (0.25.2: infer_package_manager, find_uv_bin). UV_PROJECT_ENVIRONMENT must
    # not be set: marimo would then treat the environment as a uv project.
    environment, uv = state.installed_environment(), find_uv()
    bin_folder = state.PAYLOAD / "bin"
    return {
        **({"VIRTUAL_ENV": str(environment)} if environment else {}),
        # bin/uv adds the image's versions as constraints, and calls this uv.
        **({"UV": str(bin_folder / "uv"), "MARIMO_UV": uv} if uv else {}),
        **({"PATH": f"{bin_folder}:{os.environ.get('PATH', '')}"} if uv else {}),
        **installer_environment(),
    }


def site_packages(environment: Path) -> Path:
    return next(environment.glob("lib/python*/site-packages"), environment)


def packages(environment: Path) -> dict[str, str]:
    """The requirement of each package in a virtual environment, by name."""
    found = {}
    for package in importlib.metadata.distributions(path=[str(site_packages(environment))]):
        name = normalized(package.metadata["Name"])
        found[name] = requirement(name, package)
    return found


def requirement(name: str, package: importlib.metadata.Distribution) -> str:
    # Format: Python Packaging User Guide, "Direct URL Origin".
    try:
        origin = json.loads(package.read_text("direct_url.json") or "{}")
    except ValueError:
        origin = {}
    url = origin.get("url")
    if url is None:
        return f"{name}=={package.version}"
    if origin.get("dir_info", {}).get("editable"):
        return f"-e {url}"
    if version_control := origin.get("vcs_info"):
        folder = f"#subdirectory={origin['subdirectory']}" if "subdirectory" in origin else ""
        return f"{name} @ {version_control['vcs']}+{url}@{version_control['commit_id']}{folder}"
    return f"{name} @ {url}"


def is_intact(environment: Path) -> bool:
    """Whether marimo and its dependencies have the versions of the lock file."""
    wanted = locked(environment)
    return wanted is not None and "marimo" in wanted and wanted.items() <= packages(environment).items()


def added(environment: Path) -> dict[str, str]:
    """What the user added to a virtual environment; if it is gone, what was added at the last start."""
    before = locked(environment)
    if before is None:
        lines = ADDED.read_text().splitlines() if ADDED.is_file() else []
        return {line.split("\t")[0]: line.split("\t")[1] for line in lines if "\t" in line}
    return {name: line for name, line in packages(environment).items() if name not in before}


def remember(environment: Path) -> None:
    lines = [f"{name}\t{line}\n" for name, line in sorted(added(environment).items())]
    unfinished = ADDED.with_name(f".{ADDED.name}.{os.getpid()}")
    try:
        unfinished.write_text("".join(lines))
        unfinished.replace(ADDED)
    finally:
        unfinished.unlink(missing_ok=True)


def install(environment: Path, arguments: Sequence[str], *, offline: bool = False) -> bool:
    """Installs beside the existing marimo. What conflicts with it is rejected and changes nothing."""
    python = str(environment / "bin/python")
    # Without uv there is no offline installation: pip cannot install from its cache alone.
    uv = find_uv()
    if offline and uv is None:
        return False
    arguments = [*(("--offline",) if offline else ()), *arguments, packages(environment)["marimo"]]
    # A package missing from the cache is not worth a message.
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} if offline else {}
    options: dict[str, Any] = {"cwd": state.HOME, "stdin": subprocess.DEVNULL, "timeout": SECONDS, **quiet}
    variables = {**os.environ, **installer_environment()}
    try:
        tool = [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]
        status = image_packages.install(tool, arguments, environment, variables, **options)
    except subprocess.TimeoutExpired:
        log(f"the installation was stopped after {SECONDS} s")
        return False
    return status == 0


def say_what_is_shadowed(environment: Path) -> None:
    """marimo's lock, extraPackages' and a job's own are made without knowledge of the image."""
    own, image = (
        image_packages.distributions([site_packages(environment)]),
        image_packages.distributions(sys.path),
    )
    different = [
        f"{name} {own[name].version} ({image[name].version})"
        for name in sorted(own.keys() & image.keys())
        if own[name].version != image[name].version
    ]
    if different:
        log(f"notebooks import these packages instead of the image's (its version): {', '.join(different)}")


def carry_over(old: Path, new: Path) -> None:
    wanted = added(old)
    built = packages(new)
    (new / LOCKED).write_text(json.dumps(built, indent=1))
    image_packages.write_constraints(new, built)
    missing = {name: line for name, line in wanted.items() if name not in built}
    if not missing:
        return
    log(f"installing the packages added to marimo's previous environment: {' '.join(sorted(missing))}")
    exact = new / ".carried-over.txt"
    exact.write_text("\n".join(missing.values()))
    as_they_were = ["--requirements" if find_uv() else "--requirement", str(exact)]
    if install(new, as_they_were, offline=True) or install(new, as_they_were):
        return
    log("some could not be installed in their previous versions: trying other versions")
    for name, line in missing.items():
        arguments = line.split(" ", 1) if line.startswith("-e ") else [name if "==" in line else line]
        if not install(new, arguments):
            log(f"{name} was not carried over: see the lines above. To try again, run: uv pip install {name}")


def requirements_outcome(environment: Path) -> Literal["installing", "failed"] | None:
    """Whether ~/requirements.txt is being installed or could not be. None: marimo need not wait."""
    try:
        digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    except OSError:  # such as no file
        return None

    def is_noted(mark: str) -> bool:
        return (environment / mark).is_file() and (environment / mark).read_text() == digest

    if is_noted(INSTALLED):
        return None
    if state.installation_status() == "installing":
        return "installing"
    return "failed" if is_noted(FAILED) else None


def install_requirements(environment: Path) -> None:
    installed, failed = environment / INSTALLED, environment / FAILED
    if not REQUIREMENTS.is_file():
        installed.unlink(missing_ok=True)
        log("added packages are unchanged: there is no ~/requirements.txt")
        return
    content = REQUIREMENTS.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if installed.is_file() and installed.read_text() == digest and not NAMES_FILES.search(content):
        log("added packages are unchanged: ~/requirements.txt has not changed")
        return
    image_packages.write_constraints(environment, packages(environment))
    log(f"installing {REQUIREMENTS}")
    if install(environment, ["--requirements" if find_uv() else "--requirement", str(REQUIREMENTS)]):
        installed.write_text(digest)
        log(f"{REQUIREMENTS} is installed")
    else:
        installed.unlink(missing_ok=True)
        failed.write_text(digest)
        log(f"{REQUIREMENTS} was not installed: see the lines above. The next start tries again")


def main() -> None:
    try:
        match sys.argv[1:]:
            case ["carry-over", old, new]:
                carry_over(Path(old), Path(new))
            case ["requirements", environment]:
                install_requirements(Path(environment))
                image_packages.write_constraints(Path(environment), packages(Path(environment)))
                remember(Path(environment))
            case ["remember", environment]:
                remember(Path(environment))
            case ["shadowed", environment]:
                say_what_is_shadowed(Path(environment))
            case ["check", environment]:
                sys.exit(0 if is_intact(Path(environment)) else 1)
            case _:
                sys.exit(__doc__)
    except Exception as error:  # such as a full volume or an unreadable file: marimo must still start
        log(f"added packages could not be updated: {error!r}")


if __name__ == "__main__":
    main()
