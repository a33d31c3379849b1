"""The command lines of `marimo edit`, `run` and `new` in a space, where one server serves all notebooks."""

import sys
from collections.abc import Sequence
from typing import NoReturn

OWN_SERVER = "For a separate server, run ~/.local/share/sagemaker-marimo/environments/current/bin/marimo."

# Options of marimo 0.25.2's edit, run and new that have no effect here: the server behind JupyterLab is
# already running, protected, and reachable by the browser.
IGNORED_OPTIONS = {
    "--headless",
    "--token",
    "--no-token",
    "--skip-update-check",
    "--no-sandbox",
    "--trusted",
    "--watch",
    "--skew-protection",
    "--no-skew-protection",
    "--include-code",
    "--redirect-console-to-browser",
    "--check",
    "--no-check",
    "--show-tracebacks",
    "--no-show-tracebacks",
}
IGNORED_OPTIONS_WITH_VALUE = {
    "-p",
    "--port",
    "--host",
    "--proxy",
    "--token-password",
    "--token-password-file",
    "--base-url",
    "--allow-origins",
    "--asset-url",
    "--timeout",
    "--session-ttl",
}
# Options that cannot work here. Ignoring them would give the user a wrong result.
UNSUPPORTED_OPTIONS = {
    "--sandbox": "notebooks share the server's environment; `uv run NOTEBOOK` runs one with its own packages",
    "--untrusted": "notebooks run as you, in this space",
    "--convert": "run first: marimo convert FILE -o NOTEBOOK.py",
    "--remote-url": "notebooks run in this space",
    "--mcp": "the space's server has no MCP endpoint",
}


def refuse(message: str) -> NoReturn:
    """Ends the program with status 2, as for any invalid command line."""
    print(message, file=sys.stderr)
    sys.exit(2)


def paths_of(command: str, arguments: Sequence[str]) -> list[str]:
    """The files and folders among a command's arguments. Prints the options that are ignored."""
    paths: list[str] = []
    ignored: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        option = argument.split("=", 1)[0]
        if argument == "--" or (argument.startswith("-") and paths and not is_known(option)):
            refuse(
                f"{argument}: the space's server cannot pass arguments to a notebook. "
                f"Run the notebook as a script instead: marimo-python {(paths or ['NOTEBOOK.py'])[0]} …"
            )
        if not argument.startswith("-"):
            paths.append(argument)
        elif option in UNSUPPORTED_OPTIONS:
            refuse(
                f"marimo {command} {option} does not work in a space: "
                f"{UNSUPPORTED_OPTIONS[option]}.\n{OWN_SERVER}"
            )
        elif option in IGNORED_OPTIONS:
            ignored.append(option)
        elif option in IGNORED_OPTIONS_WITH_VALUE:
            ignored.append(option)
            if "=" not in argument:
                next(rest, None)
        else:
            refuse(f"marimo {command} has no option {option} in a space.\n{OWN_SERVER}")
    if ignored:
        print(f"Ignored in a space: {' '.join(ignored)}", file=sys.stderr)
    for path in paths:
        if path.startswith(("http://", "https://")):
            refuse(f"{path}: download the notebook first, for example: curl -LO {path}")
    return paths


def is_known(option: str) -> bool:
    return option in IGNORED_OPTIONS | IGNORED_OPTIONS_WITH_VALUE | UNSUPPORTED_OPTIONS.keys()
