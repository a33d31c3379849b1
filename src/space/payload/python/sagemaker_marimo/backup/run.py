"""One backup: uploads what has changed since the last one, then deletes what the home has no more.

A run can be interrupted at any time. Every file is an object of its own, and the manifest is written after
the files that it names, several times in a long run.
"""

import fcntl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sagemaker_marimo.backup import manifest as manifests
from sagemaker_marimo.backup.manifest import Manifest
from sagemaker_marimo.backup.options import Options, size
from sagemaker_marimo.backup.scan import Found, scan

if TYPE_CHECKING:
    from sagemaker_marimo.backup.store import Store

LONG_SECONDS = 5.0
"""A longer run writes its manifest and a line of progress this often."""
LARGE_BYTES = 100 * 10**6
LARGE_SECONDS = 24 * 3600
"""A large file that keeps changing is uploaded once a day and when the app stops: the bucket keeps each
version for 90 days."""

Log = Callable[[str], None]


@contextmanager
def locked(name: str, *, wait: bool) -> Iterator[bool]:
    """False if another process has this lock. The kernel releases the lock of a process that is killed."""
    manifests.folder().mkdir(parents=True, exist_ok=True)
    with (manifests.folder() / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True


def run(options: Options, log: Log, *, is_last: bool = False, compare: bool = False) -> str:
    """Returns what was done. Loads boto3 only if something has changed.

    is_last: large files too. compare: uploads again what is missing in the bucket.
    """
    own = manifests.read_own()
    found = scan(options)
    if own and not compare and _is_same(found, own, is_last=is_last):
        return "nothing has changed"
    from sagemaker_marimo.backup import store as stores

    store = stores.connect()
    manifest = replace(own or manifests.new(), folders=found.folders, skipped=found.skipped)
    if own and compare:
        there = store.sizes(manifest.name)
        for path, entry in list(manifest.files.items()):
            if "size" in entry and there.get(path) != entry["size"]:
                del manifest.files[path]
    return _Run(store, manifest, found, log).run(is_last=is_last, workers=stores.WORKERS)


def _changed(found: Found, before: dict[str, dict[str, Any]], *, is_last: bool) -> list[str]:
    changed = []
    for path, entry in found.files.items():
        old = before.get(path, {})
        if all(old.get(name) == value for name, value in entry.items()):
            continue
        waits = entry.get("size", 0) > LARGE_BYTES and time.time() - old.get("uploaded", 0) < LARGE_SECONDS
        if is_last or not waits:
            changed.append(path)
    return changed


def _removed(found: Found, before: dict[str, Any]) -> list[str]:
    """What could not be read now may still be in the home."""
    unreadable = tuple(f"{path}/" for path in found.unreadable)
    return [path for path in before if path not in found.files and not f"{path}/".startswith(unreadable)]


def _is_same(found: Found, own: Manifest, *, is_last: bool) -> bool:
    if _changed(found, own.files, is_last=is_last) or _removed(found, own.files):
        return False
    return found.folders == own.folders and found.skipped == own.skipped


class _Run:
    def __init__(self, store: "Store", manifest: Manifest, found: Found, log: Log) -> None:
        self._store = store
        self._manifest = manifest
        self._found = found
        self._log = log
        self._written = time.monotonic()

    def run(self, *, is_last: bool, workers: int) -> str:
        paths = _changed(self._found, self._manifest.files, is_last=is_last)
        done, sent = self._upload_all(paths, workers)
        for path in _removed(self._found, self._manifest.files):
            if "size" in self._manifest.files[path]:
                self._store.delete(self._manifest.name, path)
            del self._manifest.files[path]
        self._write()
        return f"uploaded {done} files, {size(sent)}; the backup: {self._manifest.describe()}"

    def _upload_all(self, paths: list[str], workers: int) -> tuple[int, int]:
        sizes = {path: self._found.files[path].get("size", 0) for path in paths}
        done = sent = 0
        with ThreadPoolExecutor(workers) as pool:
            futures = {pool.submit(self._upload, path): path for path in paths}
            try:
                for future in as_completed(futures):
                    path = futures[future]
                    try:
                        self._manifest.files[path] = future.result()
                    except OSError as error:  # such as a file that was deleted meanwhile
                        self._manifest.skipped[path] = error.strerror or repr(error)
                        continue
                    done, sent = done + 1, sent + sizes[path]
                    if time.monotonic() - self._written > LONG_SECONDS:
                        self._write()
                        of = size(sum(sizes.values()))
                        self._log(f"uploaded {done} of {len(paths)} files, {size(sent)} of {of}")
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return done, sent

    def _upload(self, path: str) -> dict[str, Any]:
        # As it was before the upload: what changes meanwhile is uploaded again by the next run.
        entry = self._found.files[path]
        if "link" in entry:
            return entry
        self._store.upload(self._manifest.name, path)
        return {**entry, "uploaded": int(time.time())}

    def _write(self) -> None:
        self._manifest.time = manifests.now()
        self._store.write(self._manifest)
        manifests.write_own(self._manifest)
        self._written = time.monotonic()
