"""Puts marimo's entry back where a person's own `c.ServerProxy.servers = {…}` has taken its place.

A Jupyter server extension, since all are linked, with the whole configuration read, before the first is
loaded: jupyter-server-proxy reads its servers after that.
"""

from typing import Any

server: Any = None
"""What jupyter_config.py configured."""


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "sagemaker_marimo.extension"}]


def _link_jupyter_server_extension(serverapp: Any) -> None:
    servers = serverapp.config.ServerProxy.get("servers")
    # As long as all have used update(), these are a LazyConfigValue of traitlets, with marimo's among them.
    if server is None or not isinstance(servers, dict):
        return
    if "marimo" not in servers:
        servers["marimo"] = server
        told = "replaces all servers: marimo's was added to yours. `c.ServerProxy.servers.update(…)` keeps it"
        serverapp.log.warning("sagemaker-marimo: `c.ServerProxy.servers = …` in ~/.jupyter %s", told)
    elif servers["marimo"] is not server:
        serverapp.log.warning("sagemaker-marimo: skipped: your own configuration has a server named marimo")


def _load_jupyter_server_extension(serverapp: Any) -> None:
    pass
