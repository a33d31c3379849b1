"""Paths of notebooks as marimo's server takes them, and which files it opens."""

import os
import shlex
from pathlib import Path
from urllib.parse import urlencode

from sagemaker_marimo import state

# How marimo recognizes a notebook (marimo 0.25.2, _server/files/directory_scanner.py, is_marimo_app).
MARKERS = {
    ".py": (b"import marimo", b"marimo.App"),
    ".md": (b"marimo-version:",),
    ".qmd": (b"marimo-version:",),
}


class NotOpenedError(Exception):
    """Why marimo's server cannot open a file, and what the user can do."""


def is_notebook(path: Path) -> bool:
    content = path.read_bytes()
    return all(marker in content for marker in MARKERS[path.suffix])


def served_notebook(path: Path) -> Path:
    """Like served_path, for a file that is a notebook, or an empty file that becomes one.

    marimo 0.25.2 does not open a plain script (NonMarimoPythonScriptError). But it opens any Markdown file,
    and a script with only comments as an empty notebook, and would overwrite both.
    """
    if path.suffix not in MARKERS:
        raise NotOpenedError(
            f"{path} must end in .py or .md to be a marimo notebook. "
            "To convert a Jupyter notebook, run: marimo convert NAME.ipynb -o NAME.py"
        )
    if path.read_bytes().strip() and not is_notebook(path):
        raise NotOpenedError(
            f"{path} is not a marimo notebook. To convert it, run: "
            f"marimo convert {shlex.quote(str(path))} -o NAME.py"
        )
    return served_path(str(path))


def served_path(argument: str) -> Path:
    """A path as marimo's server takes it: relative to `~/marimo-notebooks`, or absolute in the home."""
    path = Path(os.path.normpath(working_folder() / argument))
    # A file has one address, whichever link it is reached by. Links that lead out of the home are kept.
    for known in (path.resolve(), path):
        if known.is_relative_to(state.NOTEBOOKS):
            return known.relative_to(state.NOTEBOOKS)
        if known.is_relative_to(state.HOME):
            return known
    folder = path if path.is_dir() else path.parent
    raise NotOpenedError(
        f"{path} is outside {state.HOME}. marimo opens notebooks in your home folder only. Link the folder "
        f"there, and open the notebook by that link:\n  ln -s {shlex.quote(str(folder))} ~/NAME"
    )


def notebook_query(path: Path, *, as_app: bool = False) -> str:
    """The query of a notebook's address on marimo's server."""
    # marimo's own view of a notebook without its code, served by the editing server (marimo 0.25.2).
    view = {"view-as": "present", "show-chrome": "false"} if as_app else {}
    return "?" + urlencode({"file": str(path), **view})


def job_query(notebook: Path) -> str:
    """The query of the jobs page's address, for a new job with this notebook."""
    if notebook.suffix != ".py":
        raise NotOpenedError(f"{notebook} must end in .py to run as a job")
    if not is_notebook(notebook):
        raise NotOpenedError(f"{notebook} is not a marimo notebook, so it cannot run as a job")
    served = served_path(str(notebook))  # must be in the home
    return "?" + urlencode({"notebook": str((state.NOTEBOOKS / served).relative_to(state.HOME))})


def working_folder() -> Path:
    """The working folder with the links by which the user came there, which os.getcwd() resolves."""
    folder = Path(os.environ.get("PWD", ""))
    return folder if folder.is_absolute() and folder.resolve() == Path.cwd() else Path.cwd()
