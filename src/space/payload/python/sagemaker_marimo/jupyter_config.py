"""marimo's entry in JupyterLab: the launcher's tile, and the server behind <base url>/marimo/."""

import os
import sys
from pathlib import Path
from typing import Any

from sagemaker_marimo import extension, packages, runtime_dir, state
from sagemaker_marimo.proxy import add_script, server_process

PAYLOAD = Path(__file__).parents[2]
TRANSPORTS = ("auto", "sse", "polling", "websocket")


def transport() -> str:
    """The environment's setting, or what this app alone was started with."""
    value = os.environ.get("SAGEMAKER_MARIMO_TRANSPORT") or state.settings().get("MARIMO_TRANSPORT", "auto")
    if value in TRANSPORTS:
        return value
    told = f"the transport {value!r} is none of {', '.join(TRANSPORTS)}"
    print(f"sagemaker-marimo: {told}: using auto", file=sys.stderr)
    return "auto"


def server_transport() -> str:
    """Studio's gateway drops the query of WebSocket upgrades: marimo's own default never connects there."""
    return "websocket" if transport() == "websocket" else "sse"


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
    return {
        **state.settings(),
        **packages.server_environment(),
        "MARIMO_SERVER_TRANSPORT": server_transport(),
    }


def configure(config: Any) -> None:
    """Adds marimo to jupyter-server-proxy's servers; called from jupyter_server_config.py."""
    runtime_dir.provide()
    token = state.token_file().read_text().strip()
    server = server_process(
        command=command,
        environment=environment,
        # marimo knows its own base URL.
        absolute_url=True,
        # Importing marimo takes seconds before its bytecode is compiled, more on a small instance.
        timeout=60.0,
        # The gateway does not forward cookies, so marimo's own session cookie would not come back.
        request_headers_override={"Authorization": f"Bearer {token}"},
        rewrite_response=[] if server_transport() == "websocket" else [add_script(transport())],
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
    extension.server = server
    config.ServerApp.jpserver_extensions.update({"sagemaker_marimo.extension": True})
    # "Open in marimo" in JupyterLab's file browser: a prebuilt extension, found without being installed.
    config.LabServerApp.extra_labextensions_path.append(str(PAYLOAD / "labextensions"))
