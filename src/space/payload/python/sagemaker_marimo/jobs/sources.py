"""What a job is sent: a notebook, what it imports beside it, what is named with --with, and its lock file."""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

LOCK = "requirements.lock"
MOST_BYTES = 200_000_000
"""Data belong in the bucket, where a notebook reads them; this is for what lies beside it."""
MOST_FILES = 1_000
# What tools leave behind.
LEFT_OUT = {"__pycache__", "__marimo__", "node_modules"}


@dataclass(frozen=True)
class Sources:
    files: dict[str, bytes]
    """By their paths below the notebook's folder. Read once: what is sent is what the hash is of."""
    lock: str | None

    @property
    def hash(self) -> str:
        """16 digits of a SHA-256 over paths and contents."""
        digest = hashlib.sha256()
        for name, content in self.contents():
            digest.update(f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode())
        return digest.hexdigest()[:16]

    @property
    def prefix(self) -> str:
        return f"marimo/job-sources/{self.hash}/"

    def contents(self) -> Iterator[tuple[str, bytes]]:
        for name in sorted(self.files):
            yield name, self.files[name]
        if self.lock is not None:
            yield LOCK, self.lock.encode()

    def upload(self, s3: Any, bucket: str) -> int:
        """Sends what is not there yet: names say the content. The number of files that were sent."""
        sent = 0
        for name, content in self.contents():
            key = self.prefix + name
            if not _is_there(s3, bucket, key):
                s3.put_object(Bucket=bucket, Key=key, Body=content)
                sent += 1
        return sent


def _is_there(s3: Any, bucket: str, key: str) -> bool:
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        # Without s3:ListBucket a missing object is 403 (S3 API, HeadObject).
        if error.response["Error"]["Code"] in ("404", "403", "NoSuchKey"):
            return False
        raise
    return True


def collect(notebook: Path, others: Iterable[Path], lock: str | None) -> tuple[Sources, list[str]]:
    """The sources, and all that is wrong with them."""
    folder = notebook.resolve().parent
    files = {path.relative_to(folder).as_posix(): path for path in imported(notebook.resolve(), folder)}
    problems = []
    for other in others:
        path = other.resolve()
        if not path.exists():
            problems.append(f"--with {other} does not exist")
        elif not path.is_relative_to(folder) or path == folder:
            problems.append(
                f"--with {other} is not below {folder}: what a job gets lies where the notebook looks for it"
            )
        else:
            found = below(path) if path.is_dir() else [path]
            files |= {file.relative_to(folder).as_posix(): file for file in found}
    files = {name: path for name, path in files.items() if path.is_file()}
    total = sum(path.stat().st_size for path in files.values())
    if total > MOST_BYTES or len(files) > MOST_FILES:
        problems.append(
            f"{len(files)} files of {total / 1e6:.1f} MB are too much: at most {MOST_FILES} of "
            f"{MOST_BYTES / 1e6:.0f} MB in all; put data into the bucket and let the notebook read them"
        )
        files = {}
    return Sources({name: path.read_bytes() for name, path in files.items()}, lock), problems


def below(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not any(part in LEFT_OUT or part.startswith(".") for part in path.relative_to(folder).parts)
    )


def imported(path: Path, folder: Path) -> set[Path]:
    """The file, and all it imports that lies beside the notebook: modules, and packages with their data."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.add(file)
        if file.suffix == ".py":
            for name in names_imported(file):
                waiting += modules(folder, name)
    return found


def names_imported(file: Path) -> set[str]:
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return set()  # of the notebook itself it is told elsewhere
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        # Relative ones are within a package, which is sent whole.
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def modules(folder: Path, name: str) -> list[Path]:
    """A package goes before a module of its name, as Python has it; a folder without Python is none."""
    package, module = folder / name, folder / f"{name}.py"
    if (package / "__init__.py").is_file():
        return below(package)
    if module.is_file():
        return [module]
    return below(package) if any(package.rglob("*.py")) else []


def left_behind(notebook: Path, sources: Sources) -> list[str]:
    """Files beside it that the notebook names in so many words, and that are not sent."""
    folder = notebook.resolve().parent
    named = {
        node.value
        for node in ast.walk(ast.parse(notebook.read_bytes()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and 0 < len(node.value) < 256
    }
    return sorted(
        name
        for name in named
        if "\0" not in name
        and "\n" not in name
        and not name.startswith("/")
        and name not in sources.files
        and (folder / name).is_file()
    )
