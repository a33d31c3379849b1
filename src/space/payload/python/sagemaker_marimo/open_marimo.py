"""Starts marimo's server through JupyterLab if need be, and prints the address that opens it, or a notebook.

usage: open_marimo.py [NOTEBOOK]
"""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Run by its path, so that it needs neither an installation nor PYTHONPATH.
sys.path[0] = str(Path(__file__).parents[1])

from sagemaker_marimo import state  # noqa: E402

JUPYTER_PATH = "/jupyterlab/default/"
INSTALLATION_SECONDS = 300
PERMISSION_HINT = "The role needs sagemaker:DescribeSpace, and the space a route to SageMaker's API."


def jupyter_servers() -> Iterator[dict[str, Any]]:
    """JupyterLab's own notes about running servers, newest first; those of earlier apps may lie there too."""
    runtime = Path(os.environ.get("JUPYTER_RUNTIME_DIR") or Path.home() / ".local/share/jupyter/runtime")
    for note in sorted(runtime.glob("jpserver-*.json"), key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            server = json.loads(note.read_text())
            os.kill(server["pid"], 0)
        except (OSError, ValueError, KeyError):
            continue
        yield server


def request(server: dict[str, Any]) -> str:
    """Asks for marimo's page, which starts marimo. Returns "ready", or how its installation is going."""
    url = f"http://127.0.0.1:{server['port']}{server['base_url']}marimo/"
    headers = {"Authorization": f"token {server['token']}"} if server.get("token") else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=90):
            return "ready"
    except urllib.error.HTTPError as error:
        return error.headers.get("X-Marimo-Installation") or f"HTTP {error.code}"


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


def notebook_query(argument: str) -> str:
    """`?file=…` for a notebook in the folder that marimo serves; makes a new one as `marimo edit` does."""
    # Links are not followed: a link in the folder is the way to open a notebook elsewhere.
    notebook = Path(os.path.abspath(argument))  # noqa: PTH100
    if notebook == state.NOTEBOOKS:
        return ""
    if not notebook.is_relative_to(state.NOTEBOOKS):
        outside = f"{notebook} is outside {state.NOTEBOOKS}, the folder that marimo serves here."
        if state.NOTEBOOKS.is_relative_to(notebook.parent):
            sys.exit(f"{outside}\nMove it there first.")
        link = state.NOTEBOOKS / notebook.parent.name
        sys.exit(
            f"{outside}\nTo have its folder there too:\n"
            f"  ln -s {notebook.parent} {link}\n  marimo edit {link / notebook.name}"
        )
    if notebook.suffix not in (".py", ".md", ".qmd"):
        sys.exit(
            f"{argument}: marimo's notebooks end in .py or .md. First: marimo convert NAME.ipynb -o NAME.py"
        )
    if not notebook.parent.is_dir():
        sys.exit(f"There is no folder {notebook.parent}")
    notebook.touch()
    return "?" + urllib.parse.urlencode({"file": str(notebook.relative_to(state.NOTEBOOKS))})


def main() -> None:
    query = notebook_query(sys.argv[1]) if len(sys.argv) > 1 else ""
    server = next(jupyter_servers(), None)
    if server is None:
        sys.exit("No JupyterLab is running here for marimo to appear in.")
    wait_for_marimo(server)
    url, reason = describe_space()
    if url:
        print(f"marimo: {space_origin(url)}{JUPYTER_PATH}marimo/{query}")
    else:
        print(
            f"marimo is running, but its address is not known. {reason}\n"
            f"In the address of this JupyterLab, put marimo/{query} in place of all after {JUPYTER_PATH}"
        )


if __name__ == "__main__":
    main()
