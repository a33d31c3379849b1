"""The packages that a person adds to marimo's environment, beside those of the team's lock file.

usage: packages.py carry-over OLD NEW      after NEW was built, to have in it what a person had added to OLD
       packages.py requirements ENVIRONMENT    installs ~/requirements.txt, when it changed
Never fails: what cannot be installed is logged, and tried again at the next start.
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

# Run by its path, so that it needs neither an installation nor PYTHONPATH.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])

from sagemaker_marimo import state

REQUIREMENTS = Path.home() / "requirements.txt"
ADDED = state.STATE / "added-packages.txt"
"""What a person had added at the last start: it outlives the environment."""
LOCKED = ".locked-packages.json"
"""In an environment: what it was built with."""
INSTALLED = ".requirements"
"""In an environment: the hash of the requirements.txt that was installed into it."""
SECONDS = 900

# -r, -c, -e, ./package: what such a line names may change without the file itself.
NAMES_FILES = re.compile(rb"^\s*(-[rce]\b|--requirement|--constraint|--editable|\.|/)", re.MULTILINE)


def log(message: str) -> None:
    print(f"sagemaker-marimo: {message}", flush=True)


def find_uv() -> str | None:
    return shutil.which("uv") or shutil.which("uv", path=str(Path(sys.prefix) / "bin"))


def installer_environment() -> dict[str, str]:
    """For uv and pip: the index of the team's settings, unless the person has set another."""
    # install.sh names it with a token in it, where it needs one.
    name = "MARIMO_PACKAGE_INDEX_URL"
    index = os.environ.get(name) or state.settings().get(name)
    if not index:
        return {}
    return {name: index for name in ("UV_DEFAULT_INDEX", "PIP_INDEX_URL") if name not in os.environ}


def server_environment() -> dict[str, str]:
    """Makes marimo's package panel and `uv pip install` in its terminal mean marimo's environment.

    That one persists. The image's prefix, which CONDA_PREFIX names, is reset at each start of the app.
    """
    # marimo uses uv where UV is set (0.25.2: infer_package_manager, find_uv_bin). Without
    # UV_PROJECT_ENVIRONMENT, or it would take the environment for a uv project.
    environment, uv = state.installed_environment(), find_uv()
    return {
        **({"VIRTUAL_ENV": str(environment)} if environment else {}),
        **({"UV": uv} if uv else {}),
        **installer_environment(),
    }


def site_packages(environment: Path) -> Path:
    return next(environment.glob("lib/python*/site-packages"), environment)


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def packages(environment: Path) -> dict[str, str]:
    """The requirement for each package in an environment, by its name."""
    found = {}
    for package in importlib.metadata.distributions(path=[str(site_packages(environment))]):
        name = normalized(package.metadata["Name"])
        found[name] = requirement(name, package)
    return found


def requirement(name: str, package: importlib.metadata.Distribution) -> str:
    # The Direct URL Origin specification of the Python Packaging User Guide.
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
        return f"{name} @ {version_control['vcs']}+{url}@{version_control['commit_id']}"
    return f"{name} @ {url}"


def locked(environment: Path) -> dict[str, str] | None:
    try:
        content: dict[str, str] = json.loads((environment / LOCKED).read_text())
    except (OSError, ValueError):
        return None
    return content


def added(environment: Path) -> dict[str, str]:
    """What a person added to an environment, or had added at the last start when it is gone."""
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
    """Installs beside the marimo that is there: what does not go with it is refused, and changes nothing."""
    python = str(environment / "bin/python")
    # No uv and no network: pip has no cache of what it could install.
    uv = find_uv()
    if offline and uv is None:
        return False
    tool = [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]
    command = [*tool, *(("--offline",) if offline else ()), *arguments, packages(environment)["marimo"]]
    try:
        result = subprocess.run(  # noqa: S603  # no shell
            command,
            env={**os.environ, **installer_environment()},
            cwd=Path.home(),
            stdin=subprocess.DEVNULL,
            # That the cache lacks something is no news.
            stderr=subprocess.DEVNULL if offline else None,
            stdout=subprocess.DEVNULL if offline else None,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        log(f"not installed within {SECONDS} s")
        return False
    return result.returncode == 0


def carry_over(old: Path, new: Path) -> None:
    wanted = added(old)
    built = packages(new)
    (new / LOCKED).write_text(json.dumps(built, indent=1))
    missing = {name: line for name, line in wanted.items() if name not in built}
    if not missing:
        return
    log(f"installing what was added to marimo's last environment: {' '.join(sorted(missing))}")
    exact = new / ".carried-over.txt"
    exact.write_text("\n".join(missing.values()))
    as_they_were = ["--requirements" if find_uv() else "--requirement", str(exact)]
    if install(new, as_they_were, offline=True) or install(new, as_they_were):
        return
    log("not all of them in the versions they had: trying others")
    for name, line in missing.items():
        arguments = line.split(" ", 1) if line.startswith("-e ") else [name if "==" in line else line]
        if not install(new, arguments):
            log(f"{name} was not carried over; the lines above say why. To try again: uv pip install {name}")


def install_requirements(environment: Path) -> None:
    mark = environment / INSTALLED
    if not REQUIREMENTS.is_file():
        mark.unlink(missing_ok=True)
        log("added packages are as they were: there is no ~/requirements.txt")
        return
    content = REQUIREMENTS.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if mark.is_file() and mark.read_text() == digest and not NAMES_FILES.search(content):
        log("added packages are as they were: ~/requirements.txt has not changed")
        return
    log(f"installing {REQUIREMENTS}")
    if install(environment, ["--requirements" if find_uv() else "--requirement", str(REQUIREMENTS)]):
        mark.write_text(digest)
        log(f"{REQUIREMENTS} is installed")
    else:
        mark.unlink(missing_ok=True)
        log(f"{REQUIREMENTS} was not installed; the lines above say why. The next start tries again")


def main() -> None:
    try:
        match sys.argv[1:]:
            case ["carry-over", old, new]:
                carry_over(Path(old), Path(new))
            case ["requirements", environment]:
                install_requirements(Path(environment))
                remember(Path(environment))
            case _:
                sys.exit(__doc__)
    except Exception as error:  # a full volume, a file that is none: marimo works without
        log(f"packages that were added are left as they are: {error!r}")


if __name__ == "__main__":
    main()
