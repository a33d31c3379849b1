"""Installs the sample notebooks into a user's folder, and never changes a file that the user has edited.

usage: samples.py SOURCE TARGET MANIFEST
MANIFEST (JSON) has the hash of each file as installed. Only a file that still has this hash is replaced.
"""

import hashlib
import itertools
import json
import os
import sys
from pathlib import Path

NOTE = "NEW-SAMPLES.txt"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def replace(path: Path, content: bytes) -> None:
    """Atomically: an app that stops halfway leaves either the old file or the new one."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def put(sample: Path, path: Path) -> None:
    """Installs a sample, and its results as marimo's session cache, for a page that has not run it yet."""
    replace(path, sample.read_bytes())
    results = sample.parent / "results" / f"{sample.name}.json"
    if results.exists():
        cache = path.parent / "__marimo__/session" / f"{path.name}.json"
        cache.parent.mkdir(parents=True, exist_ok=True)
        replace(cache, results.read_bytes())


def new_version_path(path: Path, latest: str, manifest: dict[str, str]) -> Path:
    """The name for the new version of an edited file: 01_explore_data.py -> 01_explore_data.new.py.

    An earlier new version is replaced, unless it was edited as well.
    """
    names = (f".new{number or ''}{path.suffix}" for number in itertools.chain([0], itertools.count(2)))
    return next(
        offered
        for offered in map(path.with_suffix, names)
        if not offered.exists() or sha256(offered) in (manifest.get(offered.name), latest)
    )


def install(source: Path, target: Path, manifest: dict[str, str]) -> list[str]:
    """Updates the manifest. Returns a message for each new version that was put beside an edited file."""
    messages = []
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(path for path in source.iterdir() if path.is_file()):
        installed, latest = target / file.name, sha256(file)
        last = manifest.get(file.name)
        if last == latest:
            continue  # no new version: edited and deleted files stay as they are
        if not installed.exists():
            if last is None:
                put(file, installed)
            # Otherwise the user deleted the file, and does not want a new version of it.
        elif sha256(installed) in (last, latest):
            put(file, installed)
        else:
            offered = new_version_path(installed, latest, manifest)
            put(file, offered)
            manifest[offered.name] = latest
            messages.append(f"You edited {file.name}: its new version is in {offered.name}")
        manifest[file.name] = latest
    return messages


def read_manifest(manifest_file: Path) -> dict[str, str]:
    try:
        manifest = json.loads(manifest_file.read_text())
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def main() -> None:
    source, target, manifest_file = (Path(argument) for argument in sys.argv[1:4])
    if not source.is_dir():
        return  # the setting sampleNotebooks is off
    manifest = read_manifest(manifest_file)
    messages = install(source, target, manifest)
    replace(manifest_file, json.dumps(manifest, indent=1).encode())
    if messages:
        (target / NOTE).write_text("\n".join(messages) + "\n")
        print("\n".join(messages))


if __name__ == "__main__":
    main()
