"""Converts a Jupyter notebook to a marimo notebook beside it."""

import asyncio
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from pathlib import Path

from sagemaker_marimo import state
from sagemaker_marimo.served_path import NotOpenedError

SECONDS = 120
"""How long marimo may take. Importing it takes seconds without compiled bytecode."""


async def convert(notebook: Path) -> Path:
    """Returns the new file: NAME.py, or NAME-1.py if there is a NAME.py."""
    if notebook.suffix != ".ipynb":
        raise NotOpenedError(f"{notebook} is not a Jupyter notebook: its name must end in .ipynb")
    environment = state.installed_environment()
    if environment is None:
        raise NotOpenedError(f"marimo is not installed yet. Try again soon. Log: {state.INSTALL_LOG}")
    with tempfile.TemporaryDirectory() as folder:
        # Without a terminal, marimo 0.25.2 overwrites an existing output file and does not ask.
        converted = Path(folder) / "converted.py"
        await run(notebook, environment / "bin/marimo", "convert", notebook, "-o", converted)
        return write_beside(notebook, converted.read_bytes())


async def run(notebook: Path, *command: str | Path) -> None:
    process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT)
    try:
        output, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    except TimeoutError:
        process.kill()
        raise NotOpenedError(f"marimo did not convert {notebook} within {SECONDS} s") from None
    if process.returncode:
        reason = output.decode(errors="replace").strip().rsplit("\n", 1)[-1]
        raise NotOpenedError(f"marimo cannot convert {notebook}: {reason}")


def write_beside(notebook: Path, content: bytes) -> Path:
    """Never writes over an existing file."""
    path, number = notebook.with_suffix(".py"), 0
    while True:
        try:
            with path.open("xb") as file:
                file.write(content)
        except FileExistsError:
            number += 1
            path = notebook.with_name(f"{notebook.stem}-{number}.py")
        else:
            return path
