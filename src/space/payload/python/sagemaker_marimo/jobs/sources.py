"""The files that a job receives: the notebook, its local imports, the files that its marimo.App names, the
files of --with, and its lock file."""

import ast
import base64
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_marimo import names

LOCK = "requirements.lock"
MAX_BYTES = 200_000_000
"""For files beside the notebook. Larger data belongs in the bucket, where the notebook can read it."""
MAX_FILES = 1_000
# Folders of tools.
LEFT_OUT = {"__pycache__", "__marimo__", "node_modules"}
# The options of marimo.App that name a file relative to the notebook (marimo 0.25.2, _ast/app_config.py).
APP_FILES = {"layout_file", "css_file", "html_head_file"}


@dataclass(frozen=True)
class Sources:
    files: dict[str, bytes]
    """By path below the notebook's folder. Read once, so that the hash is of the content that is sent."""
    lock: str | None

    @property
    def checksums(self) -> bytes:
        """The list of the files with their SHA-256, which the job verifies (job/copy_sources.py)."""
        lines = (f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in self.contents())
        return "".join(lines).encode()

    @property
    def sha256(self) -> str:
        """The SHA-256 of `checksums`, which is in the job's request."""
        return hashlib.sha256(self.checksums).hexdigest()

    def contents(self) -> Iterator[tuple[str, bytes]]:
        for name in sorted(self.files):
            yield name, self.files[name]
        if self.lock is not None:
            yield LOCK, self.lock.encode()

    def upload(self, s3: Any, bucket: str, folder: str) -> int:
        """Uploads files that are missing or were changed. Returns the number of uploaded files."""
        sent = 0
        for name, content in [*self.contents(), (names.CHECKSUMS, self.checksums)]:
            key = f"{prefix(folder, self.sha256)}/{name}"
            sha256 = base64.b64encode(hashlib.sha256(content).digest()).decode()
            if _sha256(s3, bucket, key) != sha256:
                s3.put_object(
                    Bucket=bucket, Key=key, Body=content, ChecksumAlgorithm="SHA256", ChecksumSHA256=sha256
                )
                sent += name != names.CHECKSUMS
        return sent


def prefix(folder: str, sha256: str) -> str:
    """Where the sender's folder has sources, by the SHA-256 of their list."""
    return f"{folder}/{names.JOB_SOURCES}/{sha256[:16]}"


def _sha256(s3: Any, bucket: str, key: str) -> str | None:
    """An object's SHA-256 as S3 computed it, or None if the object or its SHA-256 is missing."""
    try:
        checksum: str | None = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED").get(
            "ChecksumSHA256"
        )
    except ClientError as error:
        # Without s3:ListBucket, S3 answers 403 for a missing object (S3 API, HeadObject).
        if error.response["Error"]["Code"] in ("404", "403", "NoSuchKey"):
            return None
        raise
    return checksum


@dataclass(frozen=True)
class Collected:
    sources: Sources
    problems: list[str]
    warnings: list[str]


def collect(notebook: Path, others: Iterable[Path], lock: str | None) -> Collected:
    """The sources, and everything that is wrong with them."""
    folder = notebook.resolve().parent
    found = imported(notebook.resolve(), folder) | app_files(notebook.resolve(), folder)
    problems = []
    for other in others:
        path = other.resolve()
        if not path.exists():
            problems.append(f"--with {other} does not exist")
        elif not path.is_relative_to(folder) or path == folder:
            problems.append(
                f"--with {other} must be inside {folder}, and not a link that leads out of it, because a job "
                "finds files relative to the notebook"
            )
        else:
            found |= below(path) if path.is_dir() else {path} | app_files(path, folder)
    # What a link leads to, such as credentials in the home folder, is not part of the sources.
    links = {path: link_outside(path, folder) for path in found}
    files = {
        path.relative_to(folder).as_posix(): path
        for path, link in links.items()
        if link is None and path.is_file()
    }
    problems += [
        f"{name!r} cannot be sent: the list of files is {names.CHECKSUMS}, with a line for each file"
        for name in files
        if name == names.CHECKSUMS or "\n" in name
    ]
    total = sum(path.stat().st_size for path in files.values())
    if total > MAX_BYTES or len(files) > MAX_FILES:
        problems.append(
            f"{len(files)} files with {total / 1e6:.1f} MB are too many: at most {MAX_FILES} files with "
            f"{MAX_BYTES / 1e6:.0f} MB are allowed; put data into the bucket for the notebook to read"
        )
        files = {}
    warnings = [
        f"{link} is a link that leads out of {folder}: it is not followed, and not sent"
        for link in sorted({link for link in links.values() if link is not None})
    ]
    sources = Sources({name: path.read_bytes() for name, path in files.items()}, lock)
    return Collected(sources, problems, warnings)


def link_outside(path: Path, folder: Path) -> Path | None:
    """The link through which a path inside the folder leads out of it, or None."""
    name = path.relative_to(folder)
    for part in [*reversed(name.parents), name]:
        # Path.resolve raises RuntimeError for a link to itself (Python 3.12).
        if not Path(os.path.realpath(folder / part)).is_relative_to(folder):
            return part
    return None


def below(folder: Path) -> set[Path]:
    """Files and links to folders."""
    return {
        path
        for path in folder.rglob("*")
        if (path.is_file() or path.is_symlink())
        and not any(part in LEFT_OUT or part.startswith(".") for part in path.relative_to(folder).parts)
    }


def app_files(notebook: Path, folder: Path) -> set[Path]:
    """The layout, style sheet and HTML head that the notebook's marimo.App names, if they exist."""
    apps = [
        node
        for node in ast.walk(_tree(notebook))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "App"
    ]
    values = [option.value for app in apps for option in app.keywords if option.arg in APP_FILES]
    names = [one.value for one in values if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    # layout_file can also have the layout itself, as a data URI, which may be too long for a path.
    found = {Path(os.path.normpath(notebook.parent / name)) for name in names if not name.startswith("data:")}
    return {path for path in found if path.is_relative_to(folder) and (path.is_file() or path.is_symlink())}


def imported(path: Path, folder: Path) -> set[Path]:
    """The file and its local imports, recursively: modules, and packages with their data files."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.add(file)
        for name in names_imported(file):
            waiting += modules(folder, name)
    return found


def names_imported(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        # A relative import is inside a package, which is sent as a whole.
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def _tree(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_bytes() if file.suffix == ".py" else b"")
    except (OSError, SyntaxError, ValueError):
        return ast.parse("")  # notebook.problems reports this for the notebook itself


def modules(folder: Path, name: str) -> Iterable[Path]:
    """A package takes precedence over a module, as in Python. A folder without Python is not a package."""
    package, module = folder / name, folder / f"{name}.py"
    if (package / "__init__.py").is_file():
        return below(package)
    if module.is_file():
        return [module]
    return below(package) if any(package.rglob("*.py")) else []


def unsent_files(notebook: Path, sources: Sources) -> list[str]:
    """Files beside the notebook whose names are strings in it, and that are not sent."""
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
