"""Starts marimo's server through JupyterLab if need be, and prints the address that opens it, or a notebook.

usage: open_marimo.py edit [NOTEBOOK] | run NOTEBOOK… | new | tutorial [NAME], with marimo's options
"""

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

# Run by its path, so that it needs neither an installation nor PYTHONPATH.
sys.path[0] = str(Path(__file__).parents[1])

from sagemaker_marimo import state  # noqa: E402
from sagemaker_marimo.command_line import paths_of, refuse  # noqa: E402
from sagemaker_marimo.jupyter_server import ask, jupyter_servers  # noqa: E402
from sagemaker_marimo.served_path import (  # noqa: E402
    MARKERS,
    NotOpenedError,
    is_notebook,
    served_notebook,
    served_path,
)

JUPYTER_PATH = "/jupyterlab/default/"
INSTALLATION_SECONDS = 300
RUN_NOTE = (
    "That is the notebook's own session, shown as an app: one person at a time, in this space. An app for "
    "others needs a server of its own, which a space has no address for."
)
PERMISSION_HINT = "The role needs sagemaker:DescribeSpace, and the space a route to SageMaker's API."


def request(server: dict[str, Any]) -> str:
    """Asks for marimo's page, which starts marimo. Returns "ready", or how its installation is going."""
    try:
        with ask(server, "marimo/", timeout=90):
            return "ready"
    except urllib.error.HTTPError as error:
        return error.headers.get("X-Marimo-Installation") or f"HTTP {error.code}"
    except OSError as error:
        return str(error)


def wait_for_marimo(server: dict[str, Any]) -> None:
    deadline = time.monotonic() + INSTALLATION_SECONDS
    told = False
    while (answer := request(server)) == "running":
        if time.monotonic() > deadline:
            sys.exit(f"Still being installed after {INSTALLATION_SECONDS} s. The log: {state.INSTALL_LOG}")
        if not told:
            print("marimo is being installed …", flush=True)
            told = True
        time.sleep(1)
    if answer == "failed":
        again = f"bash {state.STATE}/payload/current/install.sh"
        sys.exit(f"marimo could not be installed. The log: {state.INSTALL_LOG}\nTo try again: {again}")
    if answer != "ready":
        sys.exit(f"marimo's server did not start ({answer}). The log: {app_log()}")


def app_log() -> str:
    return os.environ.get("SAGEMAKER_APP_LOG", "/var/log/apps/app_container.log")


def describe_space() -> tuple[str | None, str]:
    """The space's address from the SageMaker API, or None and why not."""
    metadata_file = os.environ.get("SAGEMAKER_RESOURCE_METADATA", "/opt/ml/metadata/resource-metadata.json")
    try:
        metadata = json.loads(Path(metadata_file).read_text())
        domain, space = metadata["DomainId"], metadata["SpaceName"]
    except (OSError, ValueError, KeyError) as error:
        return None, f"{metadata_file} does not name the space ({error!r})."
    region = state.settings().get("MARIMO_REGION")
    command = [
        *("aws", "sagemaker", "describe-space", "--domain-id", domain, "--space-name", space),
        *("--query", "Url", "--output", "text", "--cli-connect-timeout", "5", "--cli-read-timeout", "10"),
        *(("--region", region) if region else ()),
    ]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)  # noqa: S603  # no shell
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"The AWS CLI could not be asked: {error}."
    url = result.stdout.strip()
    if result.returncode or not url.startswith("http"):
        reason = result.stderr.strip().split("\n")[0] or f"it answered {url!r}"
        return None, f"SageMaker did not tell the space's address: {reason}\n{PERMISSION_HINT}"
    return url, ""


def space_origin(url: str) -> str:
    """What comes before /jupyterlab/default, with or without an app's path and a query after it."""
    return url.split("?")[0].split("#")[0].split(JUPYTER_PATH.rstrip("/"))[0].rstrip("/")


def file_to_edit(argument: str) -> Path | None:
    """Below the folder that marimo serves; None for a folder. Makes a new file, as marimo does."""
    path = Path(argument)
    if path.is_dir():
        folder = served_path(argument)
        if folder != Path():
            print(f"Its notebooks are under {folder} on marimo's page.")
        return None
    if not path.parent.is_dir():
        raise NotOpenedError(f"There is no folder {path.parent}")
    if path.suffix in MARKERS:
        path.touch()
    return served_notebook(path)


def files_to_run(arguments: Sequence[str]) -> list[Path]:
    apps: list[Path] = []
    for path in map(Path, arguments):
        if path.is_dir():
            found = [file for file in sorted(path.glob("*.py")) if is_notebook(file)]
            if not found:
                raise NotOpenedError(f"There is no marimo notebook in {path}")
            apps += found
        elif not path.is_file():
            raise NotOpenedError(f"There is no notebook {path}")
        else:
            apps.append(path)
    return [served_path(str(app)) for app in apps]


def queries(command: str, arguments: Sequence[str]) -> list[str]:
    """What comes after marimo's address, for each thing to open."""
    if command == "tutorial":
        print("Tutorials open from marimo's page.")
        return [""]
    paths = paths_of(command, arguments)
    if command == "new":
        if paths:
            refuse("marimo new takes no prompt in a space: open a new notebook, then ask in its AI panel.")
        # As the page's own button does: a name that no other new notebook has.
        return ["?" + urlencode({"file": f"__new__s_{secrets.token_hex(3)}"})]
    state.NOTEBOOKS.mkdir(parents=True, exist_ok=True)
    if command == "run":
        if not paths:
            refuse("marimo run: which notebook?")
        # marimo's own view of a notebook without its code, in the server that edits it (marimo 0.25.2).
        view = {"view-as": "present", "show-chrome": "false"}
        return ["?" + urlencode({"file": str(file), **view}) for file in files_to_run(paths)]
    if len(paths) > 1:
        refuse(f"marimo edit takes one notebook; {' '.join(paths[1:])} would be arguments of it.")
    file = file_to_edit(paths[0]) if paths else None
    return ["" if file is None else "?" + urlencode({"file": str(file)})]


def main() -> None:
    command, *arguments = sys.argv[1:] or ["edit"]
    try:
        wanted = queries(command, arguments)
    except NotOpenedError as error:
        sys.exit(str(error))
    server = next(jupyter_servers(), None)
    if server is None:
        sys.exit("No JupyterLab is running here for marimo to appear in.")
    wait_for_marimo(server)
    url, reason = describe_space()
    if url is None:
        print(f"marimo is running, but its address is not known. {reason}")
    for query in wanted:
        if url:
            print(f"marimo: {space_origin(url)}{JUPYTER_PATH}marimo/{query}")
        else:
            print(
                f"In the address of this JupyterLab, put marimo/{query} in place of all after {JUPYTER_PATH}"
            )
    if command == "run":
        print(RUN_NOTE)


if __name__ == "__main__":
    main()
