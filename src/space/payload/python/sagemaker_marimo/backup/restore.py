"""Puts the files of a backup into a home, and never over a file that is different there."""

import filecmp
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

from sagemaker_marimo.backup.manifest import BackupError, Manifest
from sagemaker_marimo.backup.options import size
from sagemaker_marimo.backup.store import WORKERS, Store

SUFFIX = ".from-backup"


@dataclass
class Restored:
    written: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    beside: dict[str, str] = field(default_factory=dict)
    """Where the backup's file is, by the path whose file was left as it is."""
    missing: list[str] = field(default_factory=list)
    """What the manifest names and the bucket has no more."""


def restore(store: Store, manifest: Manifest, target: Path, log: Callable[[str], None]) -> Restored:
    _check(manifest, target)
    target.mkdir(parents=True, exist_ok=True)
    made = [path for path in sorted(manifest.folders) if _make_folder(target, path)]
    restored = Restored()

    def one(path: str) -> None:
        _restore_file(store, manifest, target, path, restored)

    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            for number, _ in enumerate(pool.map(one, manifest.files), 1):
                if number % 500 == 0:
                    log(f"{number} of {len(manifest.files)} files")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    # Last, since a folder may be read-only.
    for path in reversed(made):
        (target / path).chmod(manifest.folders[path])
    return restored


def _check(manifest: Manifest, target: Path) -> None:
    """All shared spaces can write the backups in `shared`."""
    wrong = [
        path
        for path in (*manifest.files, *manifest.folders)
        if not path or PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts
    ]
    if wrong:
        raise BackupError(f"the backup names paths outside of a home: {', '.join(map(ascii, wrong[:3]))}")
    existing = next(folder for folder in (target, *target.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if free < manifest.bytes:
        raise BackupError(
            f"the backup has {size(manifest.bytes)}, and {target} has {size(free)} free: enlarge the space's "
            "volume in Studio, or use --to FOLDER"
        )


def _make_folder(target: Path, path: str) -> bool:
    """Whether it was made. What is a file or a link in the home stays one."""
    folder = target / path
    if os.path.lexists(folder):
        return False
    _inside(target, folder).mkdir(parents=True)
    return True


def _inside(target: Path, path: Path) -> Path:
    """Refuses a path through a link to another place."""
    if not path.parent.resolve().is_relative_to(target.resolve()):
        raise BackupError(f"{path.parent} leads out of {target}: use --to FOLDER with an empty folder")
    return path


def _restore_file(store: Store, manifest: Manifest, target: Path, path: str, restored: Restored) -> None:
    entry = manifest.files[path]
    file = _inside(target, target / path)
    if _has(file, entry):
        restored.same.append(path)
        return
    # A file may be where the backup has a folder.
    if any(os.path.lexists(one) and not one.is_dir() for one in file.parents if one.is_relative_to(target)):
        restored.missing.append(f"{path}: a file has the name of its folder")
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".restore-")
    os.close(handle)
    new = Path(name)
    try:
        if "link" in entry:
            new.unlink()
            new.symlink_to(entry["link"])
        elif store.download(manifest.name, path, new):
            new.chmod(entry["mode"] & 0o777)
            # The object is newer than the manifest if the next run was interrupted.
            if new.stat().st_size == entry["size"]:
                os.utime(new, ns=(entry["mtimeNs"], entry["mtimeNs"]))
        else:
            restored.missing.append(path)
            return
        if os.path.lexists(file) and _is_equal(new, file):
            restored.same.append(path)
            return
        written = _put(new, file)
        if written == file:
            restored.written.append(path)
        else:
            restored.beside[path] = written.relative_to(target).as_posix()
    finally:
        new.unlink(missing_ok=True)


def _has(file: Path, entry: dict[str, Any]) -> bool:
    try:
        if "link" in entry:
            return os.readlink(file) == str(entry["link"])  # noqa: PTH115  # as text
        status = file.lstat()
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (entry["size"], entry["mtimeNs"])


def _put(new: Path, file: Path) -> Path:
    """A hard link, because unlike a rename it never replaces a file."""
    for number in count():
        suffix = "" if number == 0 else SUFFIX if number == 1 else f"{SUFFIX}-{number}"
        there = file.with_name(f"{file.stem}{suffix}{file.suffix}")
        try:
            os.link(new, there, follow_symlinks=False)
        except FileExistsError:
            # Of an earlier restoration.
            if number > 0 and _is_equal(new, there):
                return there
            continue
        return there
    raise AssertionError


def _is_equal(new: Path, there: Path) -> bool:
    if new.is_symlink() or there.is_symlink():
        both = new.is_symlink() and there.is_symlink()
        return both and os.readlink(new) == os.readlink(there)  # noqa: PTH115  # as text
    return there.is_file() and filecmp.cmp(new, there, shallow=False)
