"""What a backup keeps: the environment's setting `homeBackup`, or its defaults."""

import json
from dataclasses import dataclass

from sagemaker_marimo import names, state


@dataclass(frozen=True)
class Options:
    is_on: bool
    """Whether spaces make backups by themselves. `marimo-backup now` makes one in any space."""
    interval_minutes: float
    include: tuple[str, ...]
    """Files and folders of the home. Empty: everything but hidden ones."""
    exclude: tuple[str, ...]
    """Patterns of names, or with a slash of paths below the home."""
    maximum_bytes: int


def options() -> Options:
    text = state.settings().get("MARIMO_HOME_BACKUP")
    values = {**names.HOME_BACKUP, **(json.loads(text) if text else {})}
    return Options(
        is_on=text is not None,
        interval_minutes=values["intervalMinutes"],
        include=tuple(values["include"]),
        exclude=tuple(values["exclude"]),
        maximum_bytes=int(values["maximumSizeGb"] * 10**9),
    )


def size(count: int) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} bytes"
