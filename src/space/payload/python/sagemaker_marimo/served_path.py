"""marimo's server opens what is in one folder. Whatever else a person opens is linked into it."""

import os
import sys
from pathlib import Path

from sagemaker_marimo import state


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
        sys.exit(f"{target} holds {state.NOTEBOOKS}, the folder that marimo serves: name a notebook in it.")
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
        sys.exit(
            f"{target} is outside {state.NOTEBOOKS}, the folder that marimo serves, where there is another "
            f"{target.name}. Link it there under a name of its own:\n"
            f"  ln -s {target} {state.NOTEBOOKS}/NAME"
        )
    link.symlink_to(target)
    print(f"Linked {link} -> {target}")
    return link
