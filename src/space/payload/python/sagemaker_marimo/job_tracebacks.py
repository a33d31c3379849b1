"""The tracebacks of a job's notebook, with the notebook's own cells and lines."""

import html
import json
import re
import subprocess
from pathlib import Path

TRACEBACK = "application/vnd.marimo+traceback"
# Such as: File "/tmp/marimo_12/__marimo__cell_Hbol_.py", line 2, in f (marimo 0.25.2, _ast/compiler.py).
CELL_LINE = re.compile(r'File "[^"\n]*__marimo__cell_(\w+?)_\.py", line (\d+)([^\n]*)(?=\n *([^\n]*))')
PARSE = """
import json, pathlib, sys
from marimo._ast.parse import parse_notebook
text = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
print(json.dumps([(cell.name, cell.lineno) for cell in parse_notebook(text).cells]))
"""


def cells_of(notebook: Path, environment: Path) -> list[tuple[str, int]]:
    """The name of each cell, and the line before its code; empty if marimo does not say it."""
    command = [str(environment / "bin/python"), "-c", PARSE, str(notebook)]
    try:
        result = subprocess.run(  # noqa: S603  # no shell
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=True
        )
        return [(str(name), int(before)) for name, before in json.loads(result.stdout)]
    except (OSError, subprocess.SubprocessError, ValueError, TypeError) as error:
        print(f"sagemaker-marimo: the lines of the notebook's cells are unknown: {error!r}", flush=True)
        return []


def with_lines(
    traceback: str, name: str, lines: list[str], ids: list[str], cells: list[tuple[str, int]]
) -> str:
    """Replaces the temporary file of each cell with the notebook, its line in it, and the cell."""

    def replace(match: re.Match[str]) -> str:
        cell_id, line, function, source = match.groups()
        if cell_id not in ids or len(ids) != len(cells):
            return match[0]
        index = ids.index(cell_id)
        cell, number = cells[index][0], cells[index][1] + int(line)
        # Another line there means that marimo counts differently.
        if number > len(lines) or lines[number - 1].strip() != source:
            return match[0]
        return f'File "{name}", line {number}{function} (cell {index + 1 if cell == "_" else cell})'

    return CELL_LINE.sub(replace, traceback)


def raised(work: Path, environment: Path) -> list[str]:
    """The traceback of each cell that raised: marimo 0.25.2 writes them beside an exported notebook."""
    found: list[str] = []
    for file in work.rglob("__marimo__/session/*.json"):
        try:
            cells = json.loads(file.read_text())["cells"]
            outputs = [output for cell in cells for output in cell.get("console") or []]
            texts = [output["text"] for output in outputs if output.get("mimetype") == TRACEBACK]
            plain = [html.unescape(re.sub(r"<[^>]+>", "", text)).strip() for text in texts]
            if not plain:
                continue
            notebook, ids = file.parents[2] / file.stem, [cell["id"] for cell in cells]
            name, lines = str(notebook.relative_to(work)), notebook.read_text("utf-8").splitlines()
            places = cells_of(notebook, environment)
            found += [with_lines(text, name, lines, ids, places) for text in plain]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            print(f"sagemaker-marimo: marimo's session file cannot be read: {error!r}", flush=True)
    # Modules beside the notebook.
    return [text.replace(f'File "{work}/', 'File "') for text in found]
