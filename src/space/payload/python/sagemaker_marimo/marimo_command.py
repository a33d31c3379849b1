"""The command that starts marimo's server, for JupyterLab and for Code Editor."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sagemaker_marimo import state

TRANSPORTS = ("auto", "sse", "polling", "websocket")
# With --watch, an open page shows what git or an editor changes in its file, and does not overwrite it.
EDIT = ("edit", "--skip-update-check", "--watch")


def transport() -> str:
    """The transport in the environment's settings, or the one in this app's environment variable."""
    value = os.environ.get("SAGEMAKER_MARIMO_TRANSPORT") or state.settings().get("MARIMO_TRANSPORT", "auto")
    if value in TRANSPORTS:
        return value
    warning = f"the transport {value!r} must be one of {', '.join(TRANSPORTS)}"
    print(f"sagemaker-marimo: {warning}: using auto", file=sys.stderr)
    return "auto"


def server_transport() -> str:
    """SSE by default: Studio's gateway drops the query of WebSocket upgrades, which marimo needs."""
    return "websocket" if transport() == "websocket" else "sse"


def marimo_command(
    environment: Path, command: Sequence[str], folder: Path, *, port: str, base_url: str, token: Path
) -> list[str]:
    """`command` is marimo's subcommand with its options, and `token` the file with the password.

    `folder` may be an app of the payload.
    """
    if not folder.is_file():
        folder.mkdir(parents=True, exist_ok=True)
    return [
        str(environment / "bin/python"),
        str(state.PAYLOAD / "server/marimo_server.py"),
        # Without --quiet, marimo would print the token to the log.
        "--quiet",
        command[0],
        str(folder),
        "--headless",
        *("--host", "127.0.0.1"),
        *("--port", port),
        *("--base-url", base_url),
        "--token",
        *("--token-password-file", str(token)),
        *command[1:],
        "--no-sandbox",
    ]
