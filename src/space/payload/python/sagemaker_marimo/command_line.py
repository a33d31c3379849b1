"""`marimo edit`, `run` and `new` as a person types them, for a space where one server serves everything."""

import sys
from collections.abc import Sequence

OWN_SERVER = "~/.local/share/sagemaker-marimo/environments/current/bin/marimo starts a server of its own."

# marimo 0.25.2's options of edit, run and new. The server behind JupyterLab is running already, protected,
# and where the browser finds it.
WITHOUT_EFFECT = {
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
WITHOUT_EFFECT_WITH_VALUE = {
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
# What would be another thing than the person asked for.
NOT_HERE = {
    "--sandbox": "notebooks share the server's environment; `uv run NOTEBOOK` runs one with its own packages",
    "--untrusted": "notebooks run as you, in this space",
    "--convert": "first: marimo convert FILE -o NOTEBOOK.py",
    "--remote-url": "notebooks run in this space",
    "--mcp": "the space's server has no MCP endpoint",
}


def refuse(message: str) -> str:
    """Ends the program, as a wrong command line does (status 2)."""
    print(message, file=sys.stderr)
    sys.exit(2)


def paths_of(command: str, arguments: Sequence[str]) -> list[str]:
    """The files and folders among a command's arguments; says which options change nothing here."""
    paths: list[str] = []
    ignored: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        option = argument.split("=", 1)[0]
        if argument == "--" or (argument.startswith("-") and paths and not known(option)):
            refuse(
                f"{argument}: arguments for a notebook do not reach it through the space's server. "
                f"As a script it takes them: python {(paths or ['NOTEBOOK.py'])[0]} …"
            )
        if not argument.startswith("-"):
            paths.append(argument)
        elif option in NOT_HERE:
            refuse(f"marimo {command} {option} does not work in a space: {NOT_HERE[option]}.\n{OWN_SERVER}")
        elif option in WITHOUT_EFFECT:
            ignored.append(option)
        elif option in WITHOUT_EFFECT_WITH_VALUE:
            ignored.append(option)
            if "=" not in argument:
                next(rest, None)
        else:
            refuse(f"marimo {command} has no option {option} in a space.\n{OWN_SERVER}")
    if ignored:
        print(f"Without effect on the space's server: {' '.join(ignored)}", file=sys.stderr)
    for path in paths:
        if path.startswith(("http://", "https://")):
            refuse(f"{path}: first bring the notebook here, for instance: curl -LO {path}")
    return paths


def known(option: str) -> bool:
    return option in WITHOUT_EFFECT | WITHOUT_EFFECT_WITH_VALUE | NOT_HERE.keys()
