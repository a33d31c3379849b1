"""Puts the sample notebooks into a person's folder, and never touches what the person made of them.

usage: samples.py SOURCE TARGET MANIFEST
MANIFEST (JSON) remembers the hash of each file as it was put there: what still has it may be replaced.
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
    """In one step: an app that stops in the middle leaves the old file or the new one."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def beside(path: Path, latest: str, manifest: dict[str, str]) -> Path:
    """Where the new version of an edited file goes: 01_explore_data.py -> 01_explore_data.new.py.

    An earlier one is replaced, unless it is edited as well.
    """
    names = (f".new{number or ''}{path.suffix}" for number in itertools.chain([0], itertools.count(2)))
    return next(
        offered
        for offered in map(path.with_suffix, names)
        if not offered.exists() or sha256(offered) in (manifest.get(offered.name), latest)
    )


def install(source: Path, target: Path, manifest: dict[str, str]) -> list[str]:
    """Returns what to tell of files whose new version lies beside the person's; updates the manifest."""
    told = []
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(path for path in source.iterdir() if path.is_file()):
        mine, latest = target / file.name, sha256(file)
        last = manifest.get(file.name)
        if last == latest:
            continue  # nothing new; edited and deleted files stay so
        if not mine.exists():
            if last is None:
                replace(mine, file.read_bytes())
            # else: the person deleted it, and does not want the new one either
        elif sha256(mine) in (last, latest):
            replace(mine, file.read_bytes())
        else:
            offered = beside(mine, latest, manifest)
            replace(offered, file.read_bytes())
            manifest[offered.name] = latest
            told.append(f"{file.name} is yours, edited; the new version is {offered.name}")
        manifest[file.name] = latest
    return told


def remembered(manifest_file: Path) -> dict[str, str]:
    try:
        manifest = json.loads(manifest_file.read_text())
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def main() -> None:
    source, target, manifest_file = (Path(argument) for argument in sys.argv[1:4])
    if not source.is_dir():
        return  # sample notebooks are off
    manifest = remembered(manifest_file)
    told = install(source, target, manifest)
    replace(manifest_file, json.dumps(manifest, indent=1).encode())
    if told:
        (target / NOTE).write_text("\n".join(told) + "\n")
        print("\n".join(told))


if __name__ == "__main__":
    main()
