"""Backups of home folders in your part of the environment's bucket.

The volume of a space is deleted with the space. A backup stays until the environment's bucket is deleted.
Exit status: 0 if everything was done, 1 if files were skipped, left as they were or are missing, or for an
error, 2 for an invalid command line.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

# Run by path, so that neither an installation nor PYTHONPATH is needed.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[2])

from sagemaker_marimo import state
from sagemaker_marimo.backup import manifest as manifests
from sagemaker_marimo.backup.manifest import BackupError, Manifest, shown
from sagemaker_marimo.backup.options import options
from sagemaker_marimo.backup.restore import restore
from sagemaker_marimo.backup.run import locked, run
from sagemaker_marimo.backup.store import ERRORS, Store, connect

MOST_LINES = 20


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    main_parser = argparse.ArgumentParser(
        "marimo-backup", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = main_parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    now = commands.add_parser("now", help="back up this space's home folder")
    now.add_argument("--last", action="store_true", help=argparse.SUPPRESS)
    list_parser = commands.add_parser("list", help="list your backups")
    list_parser.add_argument("--json", action="store_true")
    restore_parser = commands.add_parser(
        "restore",
        help="put a backup's files into this home; a different file that is there stays, and the backup's is "
        "put beside it as NAME.from-backup.py",
    )
    restore_parser.add_argument(
        "--space", metavar="NAME", help="the space, or SPACE/TIME of `list` (default: the only other one)"
    )
    restore_parser.add_argument("--to", type=Path, metavar="FOLDER", help="default: your home folder")
    return main_parser


def name_all(title: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    more = len(lines) - MOST_LINES
    say("\n  ".join([title, *lines[:MOST_LINES], *([f"and {more} more"] if more > 0 else [])]))


def back_up(*, is_last: bool) -> int:
    with locked("run", wait=False) as is_free:
        pass
    if not is_free:
        say("waiting for the backup that goes on")
    with locked("run", wait=True):
        done = run(options(), say, is_last=True, compare=not is_last)
    if is_last:
        return 0
    say(done)
    own = manifests.read_own()
    skipped = own.skipped if own else {}
    name_all("Not in the backup:", [f"{shown(path)}: {why}" for path, why in sorted(skipped.items())])
    return 1 if skipped else 0


def list_all(store: Store, *, as_json: bool) -> int:
    own = manifests.read_own()
    found = [manifest for name in store.names() if (manifest := store.read(name))]
    if as_json:
        facts = [
            {
                "name": one.name,
                "time": one.time,
                "files": len(one.files),
                "bytes": one.bytes,
                "skipped": one.skipped,
                "url": store.url(one.name),
                "isThisHome": own is not None and one.name == own.name,
            }
            for one in found
        ]
        print(json.dumps(facts))
        return 0
    for one in found:
        this = " (this home)" if own and one.name == own.name else ""
        print(f"{one.name}{this}: {one.describe()}\n  {store.url(one.name)}")
    if not found:
        say("There are no backups. To make one: marimo-backup now")
    return 0


def choose(store: Store, space: str | None) -> Manifest:
    """The one that is named, or the only one of another home, or this home's own."""
    own = manifests.read_own()
    found = store.names(space.partition("/")[0] if space else None)
    if space and "/" in space:
        found = [name for name in found if name == space]
    others = [name for name in found if own is None or name != own.name]
    if not space and len({name.partition("/")[0] for name in others}) > 1:
        raise BackupError("name one with --space: " + ", ".join(sorted(others)))
    # An interrupted first run has no manifest.
    for name in reversed(others or found):
        if manifest := store.read(name):
            return manifest
    raise BackupError(f"there is no backup{f' of {space}' if space else ''}. To see all: marimo-backup list")


def put_back(store: Store, space: str | None, target: Path) -> int:
    manifest = choose(store, space)
    say(f"restoring {manifest.name} into {target}: {manifest.describe()}")
    result = restore(store, manifest, target, say)
    say(f"{len(result.written)} files restored, {len(result.same)} were there already")
    name_all(
        "These files were different and are unchanged; the backup's are beside them:",
        [f"{shown(path)}: {shown(beside)}" for path, beside in sorted(result.beside.items())],
    )
    name_all("These files of the backup could not be restored:", sorted(map(shown, result.missing)))
    name_all(
        "These were not in the backup:",
        [f"{shown(path)}: {why}" for path, why in sorted(manifest.skipped.items())],
    )
    return 1 if result.beside or result.missing or manifest.skipped else 0


def main(words: Sequence[str] | None = None) -> int:
    given = parser().parse_args(words)
    try:
        match given.command:
            case "now":
                return back_up(is_last=given.last)
            case "list":
                return list_all(connect(), as_json=given.json)
            case _:
                return put_back(connect(), given.space, given.to or state.HOME)
    except BackupError as error:
        say(str(error))
    except ERRORS as error:
        say(f"S3: {error}")
    except OSError as error:
        say(str(error))
    except KeyboardInterrupt:
        say("interrupted; what was done stays")
        return 130
    return 1


if __name__ == "__main__":
    sys.exit(main())
