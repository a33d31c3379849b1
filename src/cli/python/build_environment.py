"""Builds a virtual environment from a lock file with hashes, if it does not exist yet.

usage: python build_environment.py FOLDER LOCK_FILE

A virtual environment cannot be moved, because its scripts contain its path. Therefore it is built in place,
and a marker file shows that it is complete.
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

from package_installer import find_uv, once, pip_settings, pip_wheel, uv_settings

# The 14,800 classes of plotly take longer to compile than all other packages. A notebook imports few of
# them, and no package's tests.
UNCOMPILED = "/plotly/(graph_objs|validators)/|/tests/"


def build(folder: Path, lock_file: Path) -> None:
    uv = find_uv(folder.parent)
    venv.create(folder)
    python = str(folder / "bin/python")
    environment = {**os.environ, **uv_settings(pip_settings(), os.environ)}
    install = [uv, "pip", "install", "--python", python, "--no-deps"]
    for packages in (
        ["--require-hashes", "--requirement", str(lock_file)],
        # Installs pip like `python -m venv`, which would take seconds.
        ["--offline", str(pip_wheel())],
    ):
        subprocess.run([*install, *packages], check=True, stdin=subprocess.DEVNULL, env=environment)  # noqa: S603
    # Without compiled files, the first start of a server takes seconds longer.
    print("Compiling", flush=True)
    compiling = [python, "-m", "compileall", "-q", "-j", "0", "-x", UNCOMPILED, str(folder / "lib")]
    subprocess.run(compiling, check=False)  # noqa: S603


def main(folder: Path, lock_file: Path) -> None:
    try:
        once(folder, lambda: build(folder, lock_file))
    except subprocess.CalledProcessError as error:
        sys.exit(f"{Path(error.cmd[0]).name} exited with status {error.returncode}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
