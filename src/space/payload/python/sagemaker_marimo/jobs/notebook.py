"""Checks whether a notebook can run as a job, before anything is sent."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from sagemaker_marimo import packages, state
from sagemaker_marimo.served_path import is_notebook

CHECK_SECONDS = 120
# The regular expression of PEP 723, "Inline script metadata".
HEADER = re.compile(r"(?m)^# /// script$\s(?P<content>(^#(| .*)$\s)+)^# ///$")


def problems(path: Path, python: str, marimo: str) -> Iterator[str]:
    """All problems of a notebook. `python` is the version in the job's image, `marimo` the payload's."""
    if path.suffix != ".py":
        yield f"{path} is not a marimo notebook: it must be a Python file, such as analysis.py"
        return
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        yield f"{path} does not exist"
        return
    except (OSError, UnicodeDecodeError) as error:
        yield f"{path} cannot be read: {error}"
        return
    try:
        ast.parse(text)
    except SyntaxError as error:
        yield f"{path} is not valid Python: line {error.lineno}: {error.msg}"
        return
    if not is_notebook(path):
        yield f"{path} is not a marimo notebook: it must import marimo and call marimo.App()"
        return
    yield from python_problems(path, text, python)
    yield from check(path, marimo)


def header(text: str) -> dict[str, Any]:
    """The inline script metadata that uv and marimo's sandbox write into a notebook."""
    match = HEADER.search(text)
    if match is None:
        return {}
    lines = match["content"].splitlines()
    return tomllib.loads("\n".join(line.removeprefix("#").removeprefix(" ") for line in lines))


def python_problems(path: Path, text: str, python: str) -> Iterator[str]:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if here != python:
        yield (
            f"this is Python {here}, but the image of jobs has {python}: the notebook may not run there; "
            f"on a laptop, install with: uv tool install --python {python} …"
        )
    try:
        wanted = header(text).get("requires-python", "")
        if not SpecifierSet(wanted).contains(python):
            yield f"{path} has requires-python {wanted!r}, but the image of jobs has Python {python}"
    except (tomllib.TOMLDecodeError, InvalidSpecifier, TypeError) as error:
        yield f"the metadata (# /// script) of {path} cannot be read: {error}"


def marimo_command(version: str) -> list[str] | None:
    """The space's marimo. Elsewhere, the marimo installed with this Python, or one that uv downloads."""
    environment = state.installed_environment()
    if environment is not None:
        return [str(environment / "bin/python"), "-m", "marimo"]
    beside = shutil.which("marimo", path=str(Path(sys.executable).parent))
    if beside is not None:
        return [beside]
    uv = packages.find_uv()
    return None if uv is None else [uv, "tool", "run", f"marimo@{version}"]


def check(path: Path, version: str) -> Iterator[str]:
    """The errors of `marimo check`; its warnings are ignored."""
    command = marimo_command(version)
    if command is None:
        yield f"{path} cannot be checked without marimo or uv: install uv (docs.astral.sh/uv)"
        return
    try:
        result = subprocess.run(  # noqa: S603  # no shell
            [*command, "check", str(path)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CHECK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        yield f"{path} cannot be checked: {error}"
        return
    if result.returncode != 0:
        yield f"marimo check found errors in {path}:\n{(result.stdout + result.stderr).strip()}"
