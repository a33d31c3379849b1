"""Keeps a page's unsaved cells when another program changes the notebook's file.

marimo's page sends each edit to the server some tenths of a second later, and saves it after that. With
--watch, marimo replaces all cells by the file's. An edit that is not saved yet would be lost, also in a cell
that the other program did not touch. Where both have changed the same cell, the file wins, as in marimo.
This uses private names of marimo 0.25.2.
"""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any


def keep_unsaved_cells() -> None:
    from marimo._ast.cell_manager import CellManager
    from marimo._session.notebook.file_manager import AppFileManager

    create, reload, apply = AppFileManager.__init__, AppFileManager.reload, CellManager.apply_diff_from

    def __init__(self: Any, *args: Any, **options: Any) -> None:
        create(self, *args, **options)
        # marimo keeps what it saved last, but not what it has read.
        self.content_at_start = None
        with suppress(OSError, ValueError, TypeError):  # a new notebook has no file
            self.content_at_start = Path(self.path).read_text(encoding="utf-8")

    def reload_file(self: Any) -> Any:
        cells = self.app.cell_manager
        cells.content_before = self._last_saved_content or self.content_at_start
        try:
            return reload(self)
        finally:
            cells.content_before = None

    def apply_diff_from(self: Any, new: Any, **options: Any) -> Any:
        before = getattr(self, "content_before", None)
        try:
            if before is not None:  # else marimo saves what the page sent
                merge(self.document._cells, new.document._cells, codes(before))
        except Exception as error:
            print(f"sagemaker-marimo: unsaved edits were not kept: {error!r}", file=sys.stderr)
        return apply(self, new, **options)

    AppFileManager.__init__ = __init__
    AppFileManager.reload = reload_file
    CellManager.apply_diff_from = apply_diff_from


def codes(content: str) -> set[str]:
    """The code of each cell in a notebook file."""
    from marimo._ast.parse import parse_notebook

    notebook = parse_notebook(content)
    return {cell.code.strip() for cell in notebook.cells} if notebook else set()


def merge(page: list[Any], file: list[Any], before: set[str]) -> None:
    """Puts the page's edits into the cells that were read from the file.

    `page` and `file` are cells with the attributes `id` and `code`, in order. The same cell has the same id.
    `before` is the code of the file's cells before another program changed it.
    """
    in_file = {cell.id: cell for cell in file}
    above = -1
    for cell in page:
        same = in_file.get(cell.id)
        is_edited = cell.code.strip() not in before
        if same is None and is_edited and cell.code.strip():
            above += 1
            file.insert(above, cell)
        elif same is not None:
            above = file.index(same)
            if is_edited and same.code.strip() in before:
                same.code = cell.code
