"""Lets marimo's editor open every notebook in the home folder, and list it on its home page.

marimo 0.25.2 opens and lists only what is in the folder that it serves. It serves `~/marimo-notebooks`: new
notebooks are stored there, and the home page lists them first. Serving the home folder would change both.
The interfaces of marimo that this file uses are private.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HOME = Path.home()
NOTEBOOKS = HOME / "marimo-notebooks"
MAX_DEPTH = 10
"""marimo's own limit is 5 below the served folder. Repositories are deeper, counted from the home folder."""
MAX_SECONDS = 5
"""The home page shows no notebook until the search has ended. marimo's own limit is 10 s for each search."""


def serve_home() -> None:
    for change in (open_in_home, list_home, list_recent_in_home, show_home_in_file_panel):
        try:
            change()
        except Exception as error:  # an upgrade may rename what it uses
            message = f"marimo serves only {NOTEBOOKS} ({change.__name__}): {error!r}"
            print(f"sagemaker-marimo: {message}", file=sys.stderr)
    # The paths in the home page's list of running notebooks are relative to the working folder.
    os.chdir(NOTEBOOKS)


def open_in_home() -> None:
    """marimo validates the path of each notebook that is opened, saved, renamed or copied."""
    from marimo._server.files.path_validator import PathValidator

    validate = PathValidator.validate_inside_directory

    def validate_inside_home(self: Any, directory: Path, filepath: Path) -> None:
        # marimo uses the same method for other folders, such as a notebook's public files.
        validate(self, HOME if directory == NOTEBOOKS else directory, directory / filepath)

    PathValidator.validate_inside_directory = validate_inside_home


def list_home() -> None:
    from marimo._server.files.directory_scanner import DirectoryScanner
    from marimo._server.workspace import DirectoryWorkspace
    from marimo._utils.http import HTTPException

    own_files, own_truncated = DirectoryWorkspace.files.fget, DirectoryWorkspace.is_truncated.fget

    def files(self: Any) -> list[Any]:
        scanner = DirectoryScanner(
            str(HOME), self.include_markdown, max_depth=MAX_DEPTH, max_execution_time=MAX_SECONDS
        )
        try:
            found = scanner.scan()
        except HTTPException:  # it took too long
            found = scanner.partial_results
        self.home_truncated = scanner.truncated
        return [*own_files(self), *outside_notebooks(found)]

    def is_truncated(self: Any) -> bool:
        return bool(own_truncated(self) or getattr(self, "home_truncated", False))

    DirectoryWorkspace.files, DirectoryWorkspace.is_truncated = property(files), property(is_truncated)


def outside_notebooks(found: Iterable[Any]) -> list[Any]:
    """The files and folders with absolute paths, and with names that say where they are."""
    others = [file for file in found if Path(file.path).parts[0] != NOTEBOOKS.name]
    for file in others:
        file.name = f"~/{file.path}"
        make_absolute(file)
    return others


def make_absolute(file: Any) -> None:
    # The page shortens a path that begins like the served folder's, such as that of ~/marimo-notebooks-old.
    begins_alike = file.path.startswith(NOTEBOOKS.name)
    file.id = file.path = f"{HOME}/./{file.path}" if begins_alike else str(HOME / file.path)
    for child in file.children:
        make_absolute(child)


def list_recent_in_home() -> None:
    from marimo._server.recents import RecentFilesManager

    get_recents = RecentFilesManager.get_recents

    def recents_in_home(self: Any, _directory: Path | None = None) -> list[Any]:
        recents: list[Any] = get_recents(self, HOME)
        for file in recents:
            path = HOME / file.path
            file.path = str(path.relative_to(NOTEBOOKS) if path.is_relative_to(NOTEBOOKS) else path)
        return recents

    RecentFilesManager.get_recents = recents_in_home


def show_home_in_file_panel() -> None:
    """Adds the home folder as a root from which notebooks can be opened.

    marimo's page opens only notebooks in "primary" roots, by their path relative to the first one. Below
    `~/marimo-notebooks/..` this is `../repository/notebook.py`, which the server finds.
    """
    from marimo._server.api.endpoints import file_explorer
    from marimo._server.models.files import FileRoot

    resolve_file_roots = file_explorer.resolve_file_roots

    def with_home(primary_root: str, config: Any) -> list[Any]:
        roots = resolve_file_roots(primary_root, config)
        own = Path(roots[0].path)
        is_inside = own.parent == HOME.resolve()  # not if it is a link to another place
        home = FileRoot(path=f"{own}/.." if is_inside else str(HOME), name="Home", is_primary=is_inside)
        # An earlier version wrote the home folder into the user's marimo.toml.
        return [*(root for root in roots if Path(root.path) != HOME), home]

    file_explorer.resolve_file_roots = with_home
