"""The versions that this project was tested with, and the installed ones that are newer.

src/settings/marimo.ts reads the same file.
"""

import json
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

TESTED: dict[str, str] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))


def installed(environment: Path) -> Iterator[tuple[str, str]]:
    """The packages of TESTED: marimo in its virtual environment, the others in the image."""
    own = [str(folder) for folder in environment.glob("lib/python*/site-packages")]
    for name in TESTED:
        for found in metadata.distributions(name=name, path=own if name == "marimo" else sys.path):
            yield name, found.version
            break


def newer_than_tested(environment: Path) -> list[str]:
    """Such as "marimo 0.26.0 (tested: 0.25.2)"."""
    return [
        f"{name} {version} (tested: {TESTED[name]})"
        for name, version in installed(environment)
        if _numbers(version) > _numbers(TESTED[name])
    ]


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]
