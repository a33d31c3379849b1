"""Puts marimo's entries back where a person's own `c.ServerProxy.servers = {…}` has taken their place, and
answers JupyterLab's file browser.

A Jupyter server extension, since all are linked, with the whole configuration read, before the first is
loaded: jupyter-server-proxy reads its servers after that.
"""

from typing import Any

from jupyter_server.utils import url_path_join

from sagemaker_marimo.file_browser import OpenHandler

entries: dict[str, Any] = {}
"""What jupyter_config.py configured, by name."""


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "sagemaker_marimo.extension"}]


def _link_jupyter_server_extension(serverapp: Any) -> None:
    servers = serverapp.config.ServerProxy.get("servers")
    # As long as all have used update(), these are a LazyConfigValue of traitlets, with marimo's among them.
    if not isinstance(servers, dict):
        return
    for name, server in entries.items():
        if name not in servers:
            servers[name] = server
            told = f"replaces all servers: {name} was added. `c.ServerProxy.servers.update(…)` keeps it"
            serverapp.log.warning("sagemaker-marimo: `c.ServerProxy.servers = …` in ~/.jupyter %s", told)
        elif servers[name] is not server:
            told = "skipped: your own configuration has a server of this name"
            serverapp.log.warning("sagemaker-marimo: %s: %s", name, told)


def _load_jupyter_server_extension(serverapp: Any) -> None:
    address = url_path_join(serverapp.base_url, "sagemaker-marimo/open")
    serverapp.web_app.add_handlers(".*$", [(address, OpenHandler)])
