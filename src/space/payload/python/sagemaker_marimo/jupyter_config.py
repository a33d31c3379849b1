"""marimo's entry in JupyterLab: the launcher's tile, and the server behind <base url>/marimo/."""

import os
import sys
from pathlib import Path
from typing import Any

from sagemaker_marimo import state
from sagemaker_marimo.proxy import MarimoServerProcess

PAYLOAD = Path(__file__).parents[2]
TRANSPORTS = ("sse", "websocket")


def transport() -> str:
    """Studio's gateway drops the query of WebSocket upgrades, so marimo's kernel never connects over them."""
    value = os.environ.get("SAGEMAKER_MARIMO_TRANSPORT", "sse")
    if value in TRANSPORTS:
        return value
    told = f"SAGEMAKER_MARIMO_TRANSPORT={value!r} is none of {', '.join(TRANSPORTS)}"
    print(f"sagemaker-marimo: {told}: using sse", file=sys.stderr)
    return "sse"


def icon() -> Path:
    environment = state.installed_environment()
    if environment:
        # marimo's own, square; private, so it may be gone with any version.
        for logo in environment.glob("lib/python*/site-packages/marimo/_static/android-chrome-192x192.png"):
            return logo
    return PAYLOAD / "marimo.svg"


def command() -> list[str]:
    """Read when the server starts, not when JupyterLab does: marimo may have been installed in between."""
    environment = state.installed_environment()
    if environment is None:
        raise RuntimeError("marimo is not installed yet")
    state.NOTEBOOKS.mkdir(parents=True, exist_ok=True)
    return [
        str(environment / "bin/python"),
        str(PAYLOAD / "server/marimo_server.py"),
        # Quiet: its greeting would put the token into the log.
        "--quiet",
        "edit",
        str(state.NOTEBOOKS),
        "--headless",
        *("--host", "127.0.0.1"),
        *("--port", "{port}"),
        *("--base-url", "{base_url}marimo"),
        "--token",
        *("--token-password-file", str(state.token_file())),
        "--skip-update-check",
        "--no-sandbox",
    ]


def environment() -> dict[str, str]:
    return {**state.settings(), "MARIMO_SERVER_TRANSPORT": transport()}


def configure(config: Any) -> None:
    """Adds marimo to jupyter-server-proxy's servers; called from jupyter_server_config.py."""
    token = state.token_file().read_text().strip()
    server = MarimoServerProcess(
        name="marimo",
        command=command,
        environment=environment,
        # marimo knows its own base URL.
        absolute_url=True,
        # Importing marimo takes seconds before its bytecode is compiled, more on a small instance.
        timeout=60.0,
        # The gateway does not forward cookies, so marimo's own session cookie would not come back.
        request_headers_override={"Authorization": f"Bearer {token}"},
        launcher_entry={
            "enabled": True,
            "title": "marimo",
            "path_info": "marimo/",
            "category": "Notebook",
            "icon_path": str(icon()),
        },
    )
    # update: with `=`, this file and the person's own would overwrite each other's servers.
    config.ServerProxy.servers.update({"marimo": server})
