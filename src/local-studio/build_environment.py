"""Builds one Python environment from a hash-locked file, once, however many processes ask for it at a time.

usage: python build_environment.py FOLDER LOCK_FILE

Virtual environments cannot be moved (their scripts name their own folder), so it is built in place and counts
only once the marker is there. The kernel gives up the lock when this process ends, however it ends.
"""

import fcntl
import shutil
import subprocess
import sys
import venv
from pathlib import Path


def build(folder: Path, lock_file: Path) -> None:
    marker = folder / ".complete"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if marker.exists():
            return
        if folder.exists():
            print("Removing an environment that was not finished", flush=True)
            shutil.rmtree(folder)
        venv.create(folder, with_pip=True)
        python = str(folder / "bin" / "python")
        pip = [
            python,
            "-m",
            "pip",
            "install",
            "--require-hashes",
            "--no-deps",
            "--requirement",
            str(lock_file),
        ]
        quiet = ["--no-compile", "--progress-bar=off", "--disable-pip-version-check", "--no-input"]
        subprocess.run([*pip, *quiet], check=True, stdin=subprocess.DEVNULL)  # noqa: S603 - our own words
        # pip compiles on one core; without compiled files a server's first start takes seconds longer.
        print("Compiling", flush=True)
        subprocess.run([python, "-m", "compileall", "-q", "-j", "0", str(folder / "lib")], check=False)  # noqa: S603
        marker.touch()


if __name__ == "__main__":
    try:
        build(Path(sys.argv[1]), Path(sys.argv[2]))
    except subprocess.CalledProcessError as error:
        sys.exit(f"pip ended with status {error.returncode}")
