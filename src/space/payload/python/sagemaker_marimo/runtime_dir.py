"""A runtime folder for JupyterLab if the home folder cannot be written to.

JupyterLab writes files about itself and its kernels to ~/.local/share/jupyter/runtime, and does not start if
it cannot (jupyter_server 2.20.0: `write_browser_open_file`). They are temporary, so any folder works.
"""

import os
import sys
import tempfile
from pathlib import Path

from jupyter_core.paths import jupyter_runtime_dir

# Some files of a few KB each, and one for each kernel.
NEEDED_BYTES = 256 << 10


def provide() -> None:
    """Must be called before JupyterLab reads its runtime folder, which it does with its configuration."""
    folder = Path(jupyter_runtime_dir())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * NEEDED_BYTES)
    except OSError as error:
        # Terminals inherit this variable, so that programs in them find the running JupyterLab.
        os.environ["JUPYTER_RUNTIME_DIR"] = other = tempfile.mkdtemp(prefix="jupyter-runtime-")
        warning = (
            f"skipped: {folder} cannot be written to ({error.strerror}): JupyterLab uses {other} instead"
        )
        print(f"sagemaker-marimo: {warning}", file=sys.stderr)
