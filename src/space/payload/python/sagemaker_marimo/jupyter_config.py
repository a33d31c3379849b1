"""marimo's entries in JupyterLab: the editor and, by setting, a gallery of apps."""

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


def apps_folder() -> Path | None:
    """What the gallery shows, by the environment's setting `appsFolder`."""
    name = state.settings().get("MARIMO_APPS_FOLDER")
    return state.NOTEBOOKS / name if name else None


def environment() -> dict[str, str]:
    return {
        **state.settings(),
        **packages.server_environment(),
        "MARIMO_SERVER_TRANSPORT": server_transport(),
    }


def entry(name: str, title: str, folder: Path, *command: str) -> Any:
    """A tile in the launcher and, behind <base url>/<name>/, a marimo that serves a folder."""

    def read() -> list[str]:
        """When the server starts, not when JupyterLab does: marimo may have been installed in between."""
        environment = state.installed_environment()
        if environment is None:
            raise RuntimeError("marimo is not installed yet")
        folder.mkdir(parents=True, exist_ok=True)
        return [
            str(environment / "bin/python"),
            str(PAYLOAD / "server/marimo_server.py"),
            # Quiet: its greeting would put the token into the log.
            "--quiet",
            command[0],
            str(folder),
            "--headless",
            *("--host", "127.0.0.1"),
            *("--port", "{port}"),
            *("--base-url", "{base_url}" + name),
            "--token",
            *("--token-password-file", str(state.token_file())),
            *command[1:],
            "--no-sandbox",
        ]

    token = state.token_file().read_text().strip()
    return server_process(
        name,
        command=read,
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
            "title": title,
            "path_info": f"{name}/",
            "category": "Notebook",
            "icon_path": str(icon()),
        },
    )


def configure(config: Any) -> None:
    """Adds marimo to jupyter-server-proxy's servers; called from jupyter_server_config.py."""
    runtime_dir.provide()
    entries = {"marimo": entry("marimo", "marimo", state.NOTEBOOKS, "edit", "--skip-update-check")}
    if apps := apps_folder():
        # With --watch the gallery lists what its folder has at the moment, not what it had at the start.
        entries["marimo-apps"] = entry("marimo-apps", "marimo apps", apps, "run", "--watch")
    # update: with `=`, this file and the person's own would overwrite each other's servers.
    config.ServerProxy.servers.update(entries)
    extension.entries = entries
    config.ServerApp.jpserver_extensions.update({"sagemaker_marimo.extension": True})
    # "Open in marimo" in JupyterLab's file browser: a prebuilt extension, found without being installed.
    config.LabServerApp.extra_labextensions_path.append(str(PAYLOAD / "labextensions"))
