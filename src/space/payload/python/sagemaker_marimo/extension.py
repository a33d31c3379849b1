"""Restores marimo's entries if the user's own `c.ServerProxy.servers = {…}` replaced them, answers
JupyterLab's file browser, adds pip_notice.py to JupyterLab's terminals, and backs up the home at its end.

This is a Jupyter server extension: all extensions are linked after the whole configuration is read and before
the first extension is loaded. jupyter-server-proxy reads its servers after that.
"""

import atexit
from typing import Any

from jupyter_server.utils import url_path_join

from sagemaker_marimo.backup import loop
from sagemaker_marimo.backup.options import options
from sagemaker_marimo.file_browser import FileBrowserHandler
from sagemaker_marimo.pip_notice import terminal_environment
from sagemaker_marimo.stock_server import guard

entries: dict[str, Any] = {}
"""The entries that jupyter_config.py configured, by name."""
is_stock = False
"""Whether jupyter-server-proxy's own handler answers for them."""


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "sagemaker_marimo.extension"}]


def _link_jupyter_server_extension(serverapp: Any) -> None:
    servers = serverapp.config.ServerProxy.get("servers")
    # If all configurations use update(), this is traitlets' LazyConfigValue and contains marimo's entries.
    if not isinstance(servers, dict):
        return
    for name, server in entries.items():
        if name not in servers:
            servers[name] = server
            warning = (
                f"replaces all servers: {name} was added again. `c.ServerProxy.servers.update(…)` keeps it"
            )
            serverapp.log.warning("sagemaker-marimo: `c.ServerProxy.servers = …` in ~/.jupyter %s", warning)
        elif servers[name] is not server:
            warning = "skipped: your own configuration has a server with this name"
            serverapp.log.warning("sagemaker-marimo: %s: %s", name, warning)


def _load_jupyter_server_extension(serverapp: Any) -> None:
    address = url_path_join(serverapp.base_url, "sagemaker-marimo/(open|app|convert|job)")
    serverapp.web_app.add_handlers(".*$", [(address, FileBrowserHandler)])
    if options().is_on:
        atexit.register(loop.at_exit)
    if is_stock:
        guards = [guard(url_path_join(serverapp.base_url, name)) for name in entries]
        serverapp.web_app.default_router.rules[:0] = guards
    # Private: jupyter_server_terminals 0.5.4, which is loaded before this extension, in alphabetical order.
    terminals = getattr(serverapp.web_app.settings.get("terminal_manager"), "extra_env", None)
    if isinstance(terminals, dict):
        terminals.update(terminal_environment())
