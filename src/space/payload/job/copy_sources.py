"""Copies a job's sources, if they are those that were sent. run.sh calls it before anything of them runs.

usage: copy_sources.py FROM TO SHA256

FROM has a list of its files, SHA256SUMS, and SHA256 is the list's own, from the job's request. Files that are
not listed are left out: Python could import one in place of another module. Prints what differs, and then
exits with 65 (EX_DATAERR of sysexits.h). Runs isolated (python -I), and imports only the standard library.
"""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

LIST = "SHA256SUMS"
ALTERED = 65


def differences(source: Path, target: Path, expected: str) -> Iterator[str]:
    """Copies what is as it was sent, and yields what is not."""
    try:
        text = (source / LIST).read_bytes()
    except FileNotFoundError:
        yield f"{LIST} is missing"
        return
    if hashlib.sha256(text).hexdigest() != expected:
        yield f"{LIST} was changed"
        return
    for line in text.decode().removesuffix("\n").split("\n"):
        sha256, name = line.split("  ", 1)
        try:
            content = (source / name).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            yield f"{name} is missing"
            continue
        if hashlib.sha256(content).hexdigest() != sha256:
            yield f"{name} was changed"
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(content)


def unlisted(source: Path, target: Path) -> list[str]:
    files = (path.relative_to(source) for path in source.rglob("*") if path.is_file())
    return sorted(str(name) for name in files if str(name) != LIST and not (target / name).is_file())


def main(source: Path, target: Path, expected: str) -> int:
    found = list(differences(source, target, expected))
    if found:
        print(", ".join(found))
        return ALTERED
    if left_out := unlisted(source, target):
        print(f"left out, because they were not sent: {', '.join(left_out)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
