"""A place for JupyterLab's notes about itself and its kernels where the home folder takes none.

JupyterLab writes them to ~/.local/share/jupyter/runtime and ends at its start where it cannot (jupyter_server
2.20.0: `write_browser_open_file`). They are of no use after it has ended, so another place serves as well.
"""

import os
import sys
import tempfile
from pathlib import Path

from jupyter_core.paths import jupyter_runtime_dir

# Some notes of a few KB each, and one for each kernel.
NEEDED_BYTES = 256 << 10


def provide() -> None:
    """Before JupyterLab, which asks for its runtime folder when its configuration is read, has asked."""
    folder = Path(jupyter_runtime_dir())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * NEEDED_BYTES)
    except OSError as error:
        # Terminals inherit it, and with them whatever looks for the running JupyterLab.
        os.environ["JUPYTER_RUNTIME_DIR"] = other = tempfile.mkdtemp(prefix="jupyter-runtime-")
        told = f"skipped: {folder} cannot be written to ({error.strerror}): JupyterLab uses {other} for now"
        print(f"sagemaker-marimo: {told}", file=sys.stderr)
