"""marimo's entries in JupyterLab: the editor, the page of jobs and, if configured, a gallery of apps."""

import sys
from pathlib import Path
from typing import Any

from sagemaker_marimo import extension, packages, private_interfaces, runtime_dir, state, stock_server
from sagemaker_marimo.marimo_command import EDIT, marimo_command, server_transport, transport
from sagemaker_marimo.pip_notice import terminal_environment

PAYLOAD = Path(__file__).parents[2]
JOBS_PAGE = PAYLOAD / "apps/jobs.py"


def icon() -> Path:
    environment = state.installed_environment()
    if environment:
        # marimo's own square logo. Its path is private and may change with any version.
        for logo in environment.glob("lib/python*/site-packages/marimo/_static/android-chrome-192x192.png"):
            return logo
    return PAYLOAD / "marimo.svg"


def apps_folder() -> Path | None:
    """The folder of the gallery, from the environment's setting `appsFolder`."""
    name = state.settings().get("MARIMO_APPS_FOLDER")
    return state.NOTEBOOKS / name if name else None


def environment() -> dict[str, str]:
    values = {
        **state.settings(),
        **packages.server_environment(),
        **terminal_environment(),  # for marimo's terminal
        "HOME": str(state.HOME),  # marimo's own configuration is on the volume too
        "MARIMO_SERVER_TRANSPORT": server_transport(),
    }
    # jupyter-server-proxy passes each value through str.format.
    return {name: value.replace("{", "{{").replace("}", "}}") for name, value in values.items()}


def entry(name: str, title: str, folder: Path, *command: str, problem: str | None) -> Any:
    """A tile in the launcher, and a marimo server for a folder or an app at <base url>/<name>/.

    A problem is why jupyter-server-proxy's own handler must be used.
    """

    def read() -> list[str]:
        """Called when the server starts, not when JupyterLab does: marimo may be installed in between."""
        environment = state.installed_environment()
        if environment is None:
            raise RuntimeError("marimo is not installed yet")
        port, base_url = "{port}", "{base_url}" + name  # jupyter-server-proxy fills these in
        return marimo_command(
            environment, command, folder, port=port, base_url=base_url, token=state.token_file()
        )

    token = state.token_file().read_text().strip()
    options = {
        "command": read,
        "environment": environment,
        # The path is not rewritten, because marimo knows its base URL.
        "absolute_url": True,
        # Importing marimo takes seconds without compiled bytecode, longer on a small instance.
        "timeout": 60.0,
        # Neither the gateway nor proxy.py forwards cookies, so marimo's own session cookie would be lost.
        "request_headers_override": {"Authorization": f"Bearer {token}"},
        "launcher_entry": {
            "enabled": True,
            "title": title,
            "path_info": f"{name}/",
            "category": "Notebook",
            "icon_path": str(icon()),
        },
    }
    if problem:
        return stock_server.entry(problem, **options)
    # Imported only now: without the interfaces that it extends, this import fails.
    from sagemaker_marimo.proxy import add_script, server_process

    scripts = [] if server_transport() == "websocket" else [add_script(transport())]
    return server_process(name, rewrite_response=scripts, **options)


def proxy_problem() -> str | None:
    """Which private interfaces the installed jupyter-server-proxy lacks, as a clause."""
    missing = private_interfaces.missing_in_proxy()
    return f"{private_interfaces.proxy_version()} does not have {', '.join(missing)}" if missing else None


def configure(config: Any) -> None:
    """Adds marimo to jupyter-server-proxy's servers. Called from jupyter_server_config.py."""
    runtime_dir.provide()
    problem = proxy_problem()
    if problem:
        print(f"sagemaker-marimo: marimo runs with its own connection: {problem}", file=sys.stderr)
    entries = {
        "marimo": entry("marimo", "marimo", state.NOTEBOOKS, *EDIT, problem=problem),
        "marimo-jobs": entry("marimo-jobs", "marimo jobs", JOBS_PAGE, "run", problem=problem),
    }
    if apps := apps_folder():
        # With --watch the gallery lists the folder's current files, not those at its start.
        entries["marimo-apps"] = entry("marimo-apps", "marimo apps", apps, "run", "--watch", problem=problem)
    # update: with `=`, this configuration and the user's own would replace each other's servers.
    config.ServerProxy.servers.update(entries)
    extension.entries = entries
    extension.is_stock = problem is not None
    config.ServerApp.jpserver_extensions.update({"sagemaker_marimo.extension": True})
    # "Open in marimo" in JupyterLab's file browser: a prebuilt extension, which needs no installation.
    config.LabServerApp.extra_labextensions_path.append(str(PAYLOAD / "labextensions"))
