"""Keeps added packages compatible with the image's and with marimo's own: uv for marimo's package panel and
terminal (bin/uv).

marimo's virtual environment comes before the image's packages. Without constraints, adding scikit-learn
brings another numpy, with which the image's pandas and torch fail, because they were built for theirs.
Therefore `uv pip install` gets the image's versions as constraints, except for packages that the user names
with a version, and the versions in marimo's lock, without exception. marimo's own packages cannot be removed.

The package panel lists what `uv pip list --format=json` prints: the image's packages are added to it.
"""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

# Run by path, so that neither an installation nor PYTHONPATH is needed.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])

CONSTRAINTS = ".image-constraints.txt"
"""In a virtual environment: `NAME==VERSION` of each package of the image that it has in no other version."""
LOCKED = ".locked-packages.json"
"""In a virtual environment: the packages that it was built with, as `NAME==VERSION` by name."""

WITH_VERSION = re.compile(r"^\s*(?P<name>[A-Za-z0-9][\w.-]*)\s*(\[[^]]*\])?\s*([=<>!~]=?|@)")
# uv 0.9: the image may have versions that only conda has.
NOT_ON_INDEX = re.compile(
    r"no version of (?P<missing>[\w.-]+)=="
    r"|(?P<unusable>[\w.-]+)==\S+ has no (?:usable |compatible )?(?:wheels|source)"
)


SAYS = "sagemaker-marimo: "
"""How each message of this module begins."""
LIST = ["pip", "list", "--format=json"]


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def distributions(path: Iterable[str | Path]) -> dict[str, importlib.metadata.Distribution]:
    """The packages in folders, by name."""
    found: dict[str, importlib.metadata.Distribution] = {}
    for package in importlib.metadata.distributions(path=[str(folder) for folder in path]):
        if name := package.metadata["Name"]:
            found.setdefault(normalized(name), package)  # the first folder wins
    return found


def versions(path: Iterable[str | Path]) -> dict[str, str]:
    """Version by name of the packages in folders. Only those that an index may have."""
    # Not a local version such as 2.5.0+cpu, and nothing that was installed from a file or a repository.
    return {
        name: package.version
        for name, package in distributions(path).items()
        if "+" not in package.version and package.read_text("direct_url.json") is None
    }


def site_packages(environment: Path) -> list[Path]:
    return [*environment.glob("lib/python*/site-packages")]


def only_in_image(environment: Path) -> dict[str, str]:
    """Version by name of the packages that marimo has from the image. Called by the image's Python."""
    own = distributions(site_packages(environment))
    return {name: package.version for name, package in distributions(sys.path).items() if name not in own}


def write_constraints(environment: Path, own: Mapping[str, str]) -> None:
    """Called by the image's Python. `own`: the virtual environment's packages, as `NAME==VERSION` by name."""
    image = {name: f"{name}=={version}" for name, version in versions(sys.path).items()}
    # What marimo itself needs, or the user has asked for, in another version stays.
    lines = [f"{line}\n" for name, line in sorted(image.items()) if own.get(name, line) == line]
    (environment / CONSTRAINTS).write_text("".join(lines))


def read_constraints(environment: Path) -> dict[str, str]:
    try:
        lines = (environment / CONSTRAINTS).read_text().splitlines()
    except OSError:
        return {}
    return {line.partition("==")[0]: line for line in lines}


def locked(environment: Path) -> dict[str, str] | None:
    try:
        content: dict[str, str] = json.loads((environment / LOCKED).read_text())
    except (OSError, ValueError):
        return None
    return content


def named_with_version(arguments: Sequence[str]) -> set[str]:
    """The packages that the user asks for in a certain version, also in files of requirements."""
    requirements: list[str] = []
    for before, argument in zip(["", *arguments], arguments, strict=False):
        if before in ("-r", "--requirement", "--requirements"):
            try:
                requirements += Path(argument).read_text(errors="replace").splitlines()
            except OSError:
                continue  # uv reports it
        else:
            requirements.append(argument)
    matches = (WITH_VERSION.match(requirement) for requirement in requirements)
    return {normalized(match["name"]) for match in matches if match}


def install(
    tool: Sequence[str],
    arguments: Sequence[str],
    environment: Path,
    variables: Mapping[str, str],
    **options: Any,
) -> int:
    """Runs `uv pip install` or `pip install`, the `tool`, and returns its exit status.

    `options` are those of subprocess.run. Only uv is asked which versions of the image the index lacks.
    """
    named = named_with_version(arguments)
    image = read_constraints(environment)
    own = locked(environment) or {}
    constraints = {name: line for name, line in image.items() if name not in named} | own
    command = [*tool, *arguments]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "constraints.txt"
        env = {**variables}
        for name in ("UV_CONSTRAINT", "PIP_CONSTRAINT"):
            env[name] = f"{variables.get(name, '')} {file}".strip()
        # Offline, a version that is missing from the cache may well be on the index.
        can_ask = tool[1:2] == ["pip"] and "--offline" not in arguments and "UV_OFFLINE" not in variables
        while True:
            file.write_text("".join(f"{line}\n" for line in constraints.values()))
            missing = refused(command, image, own, env, options) & set(constraints) if can_ask else set()
            if not missing:
                break
            for name in missing:
                say(f"{constraints.pop(name)} of the image is not on the package index")
        result = subprocess.run(command, **{**options, "env": env, "check": False})  # noqa: S603  # no shell
    status: int = result.returncode
    return status


def refused(
    command: Sequence[str],
    image: Mapping[str, str],
    own: Mapping[str, str],
    env: Mapping[str, str],
    options: Mapping[str, Any],
) -> set[str]:
    """The packages whose versions are not on the index. Explains any other refusal."""
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    tried = [argument for argument in command if argument != "--dry-run"]  # uv accepts it once
    trial = subprocess.run([*tried, "--dry-run"], **{**options, **pipes, "env": env, "check": False})  # noqa: S603  # no shell
    if trial.returncode == 0:
        return set()
    matches = NOT_ON_INDEX.finditer(re.sub(r"\s+", " ", trial.stderr))
    missing = {normalized(match["missing"] or match["unusable"]) for match in matches}
    if missing.isdisjoint({*image, *own}):
        explain(trial.stderr, image, own)
    return missing


def explain(refusal: str, image: Mapping[str, str], own: Mapping[str, str]) -> None:
    """Says what to do about constraints that uv names in a refusal."""
    for name, line in sorted({**image, **own}.items()):
        if line not in refusal:
            continue
        if name in own:
            say(f"marimo itself needs {line}, so no other version can be installed.")
        else:
            say(f"The image has {line}. To use another version in marimo, name it too: {name}==VERSION")


def say(text: str) -> None:
    print(f"{SAYS}{text}", file=sys.stderr)


def say_what_is_replaced(environment: Path, named: set[str]) -> None:
    image = read_constraints(environment)
    now = versions(site_packages(environment))
    for name in sorted(named & set(image) & set(now)):
        if image[name] != f"{name}=={now[name]}":
            say(
                f"{name} {now[name]} is now used instead of the image's {image[name]}. Packages of the image "
                f"that need the image's may fail. To return to it, run: uv pip uninstall {name}"
            )


def refuses_removal(names: set[str], environment: Path) -> bool:
    """Whether packages cannot be removed. Says why."""
    if needed := sorted(names & set(locked(environment) or ())):
        say(f"marimo itself needs {', '.join(needed)}: nothing was removed.")
    elif images := sorted(names & set(only_in_image(environment))):
        belong = "belongs" if len(images) == 1 else "belong"
        say(
            f"{', '.join(images)} {belong} to the image: nothing was removed. "
            f"To use another version in marimo, add {images[0]}==VERSION"
        )
    return bool(needed or images)


def list_packages(command: Sequence[str], environment: Path) -> int:
    """Runs `uv pip list --format=json`, and adds the image's packages to its list."""
    result = subprocess.run(command, stdout=subprocess.PIPE, check=False)  # noqa: S603  # no shell
    if result.returncode == 0:
        image = [{"name": name, "version": version} for name, version in only_in_image(environment).items()]
        packages = sorted([*json.loads(result.stdout), *image], key=lambda package: package["name"])
        print(json.dumps(packages))
    return result.returncode


def main() -> int:
    uv, environment = os.environ["MARIMO_UV"], Path(os.environ.get("VIRTUAL_ENV", ""))
    arguments = sys.argv[1:]
    python = next(
        (value for option, value in pairwise(arguments) if option in ("-p", "--python")), str(environment)
    )
    is_marimos = locked(environment) is not None and Path(python).is_relative_to(environment)
    is_removal = is_marimos and arguments[:2] == ["pip", "uninstall"]
    if is_removal and refuses_removal({normalized(argument) for argument in arguments[2:]}, environment):
        return 2
    # As marimo 0.25.2 calls it. Other options, such as --outdated, are only about what can be changed.
    if is_marimos and arguments in (LIST, [*LIST, "-p", python]):
        return list_packages([uv, *arguments], environment)
    if arguments[:2] != ["pip", "install"] or not is_marimos or "UV_CONSTRAINT" in os.environ:
        os.execv(uv, [uv, *arguments])  # noqa: S606  # no shell
    status = install([uv, "pip", "install"], arguments[2:], environment, os.environ)
    if status == 0:
        say_what_is_replaced(environment, named_with_version(arguments[2:]))
    return status


if __name__ == "__main__":
    sys.exit(main())
