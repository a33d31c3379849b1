"""What marimo needs of a space's image, for marimo-doctor and for the page of a failed installation.

It also runs with a Python that is too old for the rest of the payload, so that it can say so.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sys
from pathlib import Path

OLDEST = (3, 11)
"""The Python version that the payload's modules need."""
VOLUME = "/home/sagemaker-user"
"""Where Studio mounts a space's volume (SageMaker Developer Guide, "Custom image specifications")."""


def _python() -> str | None:
    version = sys.version_info[:2]
    if version >= OLDEST:
        return None
    return f"Python {OLDEST[0]}.{OLDEST[1]} or later (it has {version[0]}.{version[1]})"


def _proxy() -> str | None:
    try:
        importlib.import_module("jupyter_server_proxy")
    except Exception as error:
        return f"jupyter-server-proxy in JupyterLab's Python ({error})"
    return None


def _installer() -> str | None:
    # environment.sh makes the virtual environment with uv, or with venv, which takes pip from ensurepip.
    if _has_command("uv") or importlib.util.find_spec("ensurepip"):
        return None
    return "uv, or pip with Python's modules venv and ensurepip"


def _aws() -> str | None:
    return None if _has_command("aws") else "the AWS CLI, which downloads marimo at each start"


def has_other_home() -> bool:
    """Whether HOME is not on the volume, such as root's."""
    return os.path.ismount(VOLUME) and not f"{_home_path()}/".startswith(f"{VOLUME}/")


def _home_path() -> str:
    return os.path.expanduser("~")  # noqa: PTH111  # Path.home() raises an error if there is none


def _home() -> str | None:
    if not has_other_home():
        return None
    return f"HOME={VOLUME} (it is {_home_path()}, whose files are lost when the space stops)"


def _has_command(name: str) -> bool:
    return shutil.which(name) is not None or (Path(sys.prefix, "bin", name)).exists()


NEEDS = {"python": _python, "proxy": _proxy, "installer": _installer, "aws": _aws, "home": _home}


def missing(*needs: str) -> list[str]:
    """What the image lacks of these needs, or of all, each as a noun phrase."""
    return [lack for lack in (NEEDS[need]() for need in needs or NEEDS) if lack]
