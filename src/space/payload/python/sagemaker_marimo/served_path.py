"""marimo's server opens what is in one folder. Whatever else a person opens is linked into it."""

import os
import shlex
from pathlib import Path

from sagemaker_marimo import state

# What makes a file a notebook (marimo 0.25.2, _server/files/directory_scanner.py, is_marimo_app).
MARKERS = {
    ".py": (b"import marimo", b"marimo.App"),
    ".md": (b"marimo-version:",),
    ".qmd": (b"marimo-version:",),
}


class NotOpenedError(Exception):
    """Why marimo's server does not open something, and what to do: for the person who asked."""


def is_notebook(path: Path) -> bool:
    content = path.read_bytes()
    return all(marker in content for marker in MARKERS[path.suffix])


def served_notebook(path: Path) -> Path:
    """As served_path, for a file that is a notebook or is to become one, being empty.

    marimo 0.25.2 does not open a script (NonMarimoPythonScriptError), but takes any Markdown for a notebook
    and nothing but comments for an empty one, and would write both anew.
    """
    if path.suffix not in MARKERS:
        raise NotOpenedError(
            f"{path}: marimo's notebooks end in .py or .md. First: marimo convert NAME.ipynb -o NAME.py"
        )
    if path.read_bytes().strip() and not is_notebook(path):
        raise NotOpenedError(
            f"{path} is no marimo notebook. To make one of it: "
            f"marimo convert {shlex.quote(str(path))} -o NAME.py"
        )
    return served_path(str(path))


def served_path(argument: str) -> Path:
    """A path below the folder that marimo serves; makes a link there if need be, and says so."""
    # Links are not followed: one in the folder is a way to a notebook elsewhere.
    path = Path(os.path.abspath(argument))  # noqa: PTH100
    for known in (path, path.resolve()):
        if known.is_relative_to(state.NOTEBOOKS):
            return known.relative_to(state.NOTEBOOKS)
    # With its folder a notebook finds the files beside it; a folder that holds marimo's would hold itself.
    whole_folder = not state.NOTEBOOKS.is_relative_to(path.parent) and not path.is_dir()
    target = path.parent if whole_folder else path
    if state.NOTEBOOKS.is_relative_to(target):
        raise NotOpenedError(
            f"{target} holds {state.NOTEBOOKS}, the folder that marimo serves: name a notebook in it."
        )
    link = existing_link(target) or new_link(target)
    return Path(link.name) / path.name if whole_folder else Path(link.name)


def existing_link(target: Path) -> Path | None:
    for entry in sorted(state.NOTEBOOKS.iterdir()):
        if entry.is_symlink() and entry.resolve() == target.resolve():
            return entry
    return None


def new_link(target: Path) -> Path:
    link = state.NOTEBOOKS / target.name
    if link.is_symlink() or link.exists():
        raise NotOpenedError(
            f"{target} is outside {state.NOTEBOOKS}, the folder that marimo serves, where there is another "
            f"{target.name}. Link it there under a name of its own:\n"
            f"  ln -s {target} {state.NOTEBOOKS}/NAME"
        )
    link.symlink_to(target)
    print(f"Linked {link} -> {target}")
    return link
