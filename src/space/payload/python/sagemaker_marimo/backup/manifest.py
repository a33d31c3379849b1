"""What a backup contains, and this home's own one as it was written last. Does not need boto3."""

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sagemaker_marimo import state
from sagemaker_marimo.backup.options import size


class BackupError(Exception):
    """What the person can read."""


@dataclass
class Manifest:
    """It is written after its files, so it names nothing that is not in the bucket."""

    space: str
    home: str
    """When the home had its first backup: the name of the backup's folder."""
    time: str = ""
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By path: `size`, `mtimeNs`, `mode` and `uploaded`, or the target of a `link`."""
    folders: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.space}/{self.home}"

    @property
    def bytes(self) -> int:
        return sum(entry.get("size", 0) for entry in self.files.values())

    def describe(self) -> str:
        skipped = f", {len(self.skipped)} skipped" if self.skipped else ""
        return f"{self.time}, {len(self.files)} files, {size(self.bytes)}{skipped}"

    def text(self) -> str:
        return json.dumps(asdict(self))


def parse(text: str | bytes) -> Manifest:
    return Manifest(**json.loads(text))


def now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def new() -> Manifest:
    space = state.resource("SpaceName")
    if space is None:
        raise BackupError("this is not a space: its metadata has no SpaceName")
    return Manifest(space, now().replace("-", "").replace(":", ""))


def shown(path: str) -> str:
    """A name can have control characters of the terminal."""
    return path if path.isprintable() else ascii(path)


def folder() -> Path:
    return state.STATE / "backup"


def read_own() -> Manifest | None:
    try:
        return parse((folder() / "manifest.json").read_text())
    except (OSError, ValueError, TypeError):
        return None


def write_own(manifest: Manifest) -> None:
    folder().mkdir(parents=True, exist_ok=True)
    file = folder() / ".manifest.json"
    file.write_text(manifest.text())
    file.replace(folder() / "manifest.json")
