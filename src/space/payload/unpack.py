"""Unpacks files.tar, which has most files of the payload, beside itself. It leaves files that are equal.

Each file is written under another name first: a full home volume leaves no half-written file.
"""

import os
import pathlib
import sys
import tarfile
from collections.abc import Iterator


def differing(folder: pathlib.Path) -> Iterator[tuple[pathlib.Path, bytes]]:
    """The files that are missing or were altered, with their content in the archive."""
    with tarfile.open(folder / "files.tar") as archive:
        for member in archive:
            file = archive.extractfile(member)
            content = b"" if file is None else file.read()
            target = folder / member.name
            if not target.is_file() or target.read_bytes() != content:
                yield target, content


def main() -> None:
    for target, content in differing(pathlib.Path(__file__).parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            unfinished.write_bytes(content)
            unfinished.replace(target)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            sys.exit(f"{target}: {error.strerror}")


if __name__ == "__main__":
    main()
