"""Finds the files of a home that a backup keeps."""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from sagemaker_marimo import state
from sagemaker_marimo.backup.options import Options, size

LEFT_OUT = (
    *("__pycache__", "*.pyc", "__marimo__", ".ipynb_checkpoints", "node_modules"),
    *(".cache", ".venv", ".restore-*"),
)
"""Names of what programs make again, and of unfinished restorations."""
MARKERS = ("pyvenv.cfg", "conda-meta", "CACHEDIR.TAG")
"""Of virtual environments (PEP 405), of conda's, and of caches (bford.info/cachedir)."""
MOST_PATH_BYTES = 800
"""The whole key has 1,024 at most (Amazon S3 User Guide, "Naming Amazon S3 objects")."""


@dataclass
class Found:
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By path below the home: `size`, `mtimeNs` and `mode`, or the target of a `link`."""
    folders: dict[str, int] = field(default_factory=dict)
    """The mode of each folder, of empty ones too: git does not work without its own."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Why something that should be in the backup is not."""
    unreadable: list[str] = field(default_factory=list)
    """What was skipped although it may be in the backup from earlier, which then keeps it."""

    @property
    def bytes(self) -> int:
        return sum(entry.get("size", 0) for entry in self.files.values())


def scan(options: Options) -> Found:
    """Smallest files first: what exceeds the limit is then few and large."""
    found = Found()
    device = state.HOME.stat().st_dev
    for root in _roots(options):
        _add(found, root, device, options)
    total = 0
    files: dict[str, dict[str, Any]] = {}
    for path, entry in sorted(found.files.items(), key=lambda item: (item[1].get("size", 0), item[0])):
        total += entry.get("size", 0)
        if total <= options.maximum_bytes:
            files[path] = entry
        else:
            found.skipped[path] = f"{size(entry['size'])}, over the limit of {size(options.maximum_bytes)}"
    found.files = files
    return found


def _roots(options: Options) -> Iterator[Path]:
    if not options.include:
        yield from (path for path in sorted(state.HOME.iterdir()) if not path.name.startswith("."))
        return
    for name in options.include:
        if os.path.lexists(state.HOME / name):
            yield state.HOME / name


def _add(found: Found, file: Path, device: int, options: Options) -> None:
    path = file.relative_to(state.HOME).as_posix()
    if file == state.STATE or _is_left_out(path, file.name, options.exclude):
        return
    encoded = os.fsencode(path)
    if encoded.decode(errors="ignore") != path:
        found.skipped[ascii(path)] = "its name is not UTF-8"
        return
    if len(encoded) > MOST_PATH_BYTES:
        found.skipped[path] = f"its path has more than {MOST_PATH_BYTES} bytes"
        return
    try:
        status = file.lstat()
        mode = stat.S_IMODE(status.st_mode)
        if status.st_dev != device:
            found.skipped[path] = "it is on another file system"
        elif stat.S_ISLNK(status.st_mode):
            target = os.readlink(file)  # noqa: PTH115  # as text, which a Path would change
            # Each start makes its own links into its state.
            if not target.startswith(f"{state.STATE}/"):
                found.files[path] = {"link": target}
        elif stat.S_ISDIR(status.st_mode):
            _add_folder(found, file, path, device, options)
        elif stat.S_ISREG(status.st_mode) and not os.access(file, os.R_OK):
            raise PermissionError(errno.EACCES, "it cannot be read")
        elif stat.S_ISREG(status.st_mode):
            found.files[path] = {"size": status.st_size, "mtimeNs": status.st_mtime_ns, "mode": mode}
    except OSError as error:
        found.skipped[path] = error.strerror or repr(error)
        found.unreadable.append(path)


def _add_folder(found: Found, folder: Path, path: str, device: int, options: Options) -> None:
    children = sorted(folder.iterdir())
    if not {child.name for child in children}.isdisjoint(MARKERS):
        return
    found.folders[path] = stat.S_IMODE(folder.stat().st_mode)
    for child in children:
        _add(found, child, device, options)


def _is_left_out(path: str, name: str, exclude: tuple[str, ...]) -> bool:
    return any(
        fnmatchcase(path if "/" in pattern else name, pattern.rstrip("/"))
        for pattern in (*LEFT_OUT, *exclude)
    )
