"""Starts marimo's server through JupyterLab if necessary, and prints the address of marimo or a notebook.
In Code Editor, the server runs until Ctrl+C (code_editor.py).

usage: open_marimo.py edit [NOTEBOOK] | run NOTEBOOK… | new | tutorial [NAME], with marimo's options
"""

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# Run by path, so that neither an installation nor PYTHONPATH is needed.
sys.path[0] = str(Path(__file__).parents[1])

from sagemaker_marimo import code_editor, state  # noqa: E402
from sagemaker_marimo.command_line import paths_of, refuse  # noqa: E402
from sagemaker_marimo.jupyter_server import ask, jupyter_servers  # noqa: E402
from sagemaker_marimo.served_path import (  # noqa: E402
    MARKERS,
    NotOpenedError,
    is_notebook,
    notebook_query,
    served_notebook,
    served_path,
)

JUPYTER_PATH = "/jupyterlab/default"
INSTALLATION_SECONDS = 300
RUN_NOTE = (
    "This is the notebook's own session, shown as an app for one person at a time, in this space. An app for "
    "other people needs a server of its own, and a space has no address for one."
)
PERMISSION_HINT = "The role needs sagemaker:DescribeSpace, and the space needs a route to the SageMaker API."


def request(server: dict[str, Any]) -> str:
    """Requests marimo's page, which starts marimo. Returns "ready", what it waits for or an error."""
    try:
        with ask(server, "marimo/", timeout=90):
            return "ready"
    except urllib.error.HTTPError as error:
        return error.headers.get("X-Marimo-Waiting") or f"HTTP {error.code}"
    except OSError as error:
        return str(error)


def wait_for_marimo(ask_marimo: Callable[[], str]) -> None:
    deadline = time.monotonic() + INSTALLATION_SECONDS
    printed = False
    while (answer := ask_marimo()) == "installing":
        if time.monotonic() > deadline:
            sys.exit(f"marimo is not installed after {INSTALLATION_SECONDS} s. Log: {state.INSTALL_LOG}")
        if not printed:
            print("marimo is being installed …", flush=True)
            printed = True
        time.sleep(1)
    if answer == "not installed":
        again = f"bash {state.STATE}/payload/current/install.sh"
        sys.exit(f"marimo could not be installed. Log: {state.INSTALL_LOG}\nTo try again, run: {again}")
    if answer != "ready":
        sys.exit(f"marimo's server did not start ({answer}). Log: {app_log()}")


def app_log() -> str:
    return os.environ.get("SAGEMAKER_APP_LOG", "/var/log/apps/app_container.log")


def describe_space() -> tuple[str | None, str]:
    """The space's URL from the SageMaker API, or None and the reason."""
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
        return None, f"The AWS CLI failed: {error}."
    url = result.stdout.strip()
    if result.returncode or not url.startswith("http"):
        reason = result.stderr.strip().split("\n")[0] or f"the AWS CLI printed {url!r}"
        return None, f"SageMaker did not return the space's URL: {reason}\n{PERMISSION_HINT}"
    return url, ""


def space_origin(url: str, base_path: str) -> str:
    """What precedes the app's base path, which may follow, with the rest of an address."""
    return url.split("?")[0].split("#")[0].split(base_path)[0].rstrip("/")


def show_addresses(queries: Sequence[str], app: str, base_path: str, path: str) -> None:
    """Prints the address of each query. `path` is marimo's, below the app's."""
    url, reason = describe_space()
    if url is None:
        print(f"marimo is running, but its address is unknown. {reason}")
    for query in queries:
        # The path may have a query itself, with the token.
        address = path + (query.replace("?", "&") if "?" in path else query)
        if url:
            print(f"marimo: {space_origin(url, base_path)}{base_path}/{address}", flush=True)
        else:
            where = f"In this {app}'s address, replace everything after {base_path}/ with"
            print(f"{where} {address}", flush=True)


def file_to_edit(argument: str) -> Path | None:
    """The notebook's path for marimo's server; None for a folder. Creates a new file, as marimo does."""
    path = Path(argument)
    if path.is_dir():
        folder = served_path(argument)
        if folder not in (Path(), state.HOME):
            name = f"~/{folder.relative_to(state.HOME)}" if folder.is_absolute() else folder
            print(f"Its notebooks are listed under {name} on marimo's page.")
        return None
    if not path.parent.is_dir():
        raise NotOpenedError(f"There is no folder {path.parent}")
    if path.suffix in MARKERS:
        served_path(argument)  # before a file is created outside the home
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
    """The part after marimo's address, for each notebook or page to open."""
    if command == "tutorial":
        print("Tutorials can be opened on marimo's page.")
        return [""]
    paths = paths_of(command, arguments)
    if command == "new":
        if paths:
            refuse("marimo new takes no prompt in a space: open a new notebook, then use its AI panel.")
        # The same query as that of the page's own button, with a unique name for the new notebook.
        return [notebook_query(Path(f"__new__s_{secrets.token_hex(3)}"))]
    state.NOTEBOOKS.mkdir(parents=True, exist_ok=True)
    if command == "run":
        if not paths:
            refuse("marimo run needs a notebook: marimo run NOTEBOOK.py")
        return [notebook_query(file, as_app=True) for file in files_to_run(paths)]
    if len(paths) > 1:
        refuse(f"marimo edit takes one notebook: {' '.join(paths[1:])} would be arguments of that notebook.")
    file = file_to_edit(paths[0]) if paths else None
    return ["" if file is None else notebook_query(file)]


def main() -> None:
    command, *arguments = sys.argv[1:] or ["edit"]
    try:
        wanted = queries(command, arguments)
    except NotOpenedError as error:
        sys.exit(str(error))
    if command == "run":
        print(RUN_NOTE)
    if code_editor.is_code_editor():
        wait_for_marimo(code_editor.installation)
        sys.exit(code_editor.serve(lambda path: show_in_code_editor(wanted, path)))
    server = next(jupyter_servers(), None)
    if server is None:
        sys.exit("No JupyterLab is running here, so marimo cannot be opened.")
    wait_for_marimo(lambda: request(server))
    show_addresses(wanted, "JupyterLab", JUPYTER_PATH, "marimo/")


def show_in_code_editor(queries: Sequence[str], path: str) -> None:
    show_addresses(queries, "Code Editor", code_editor.BASE_PATH, path)
    port = path.split("/")[1]
    print(
        f"The address is for you only. If it answers Bad Request, add {port} on Code Editor's Ports tab. "
        "Ctrl+C ends marimo and its notebooks.",
        flush=True,
    )


if __name__ == "__main__":
    main()
