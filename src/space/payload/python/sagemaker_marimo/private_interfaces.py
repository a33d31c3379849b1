"""The private interfaces of other packages that the space relies on, and which of them are missing.

jupyter_config.py asks before JupyterLab starts, `marimo-doctor` when a user runs it, and the tests with each
change. src/space/README.md lists all interfaces, also those that only a browser can show.
"""

import importlib
import inspect
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

OVERRIDDEN = {
    "ensure_process": ["self"],
    "on_message": ["self", "message"],
    "open": ["self", "path"],
    "prepare": ["self", "args", "kwargs"],
    "proxy": ["self", "port", "path"],
    "proxy_request_headers": ["self"],
    "select_subprotocol": ["self", "subprotocols"],
}
"""Parameters of the handler's methods that proxy.py and activity.py override."""
COROUTINES = ("ensure_process", "open", "prepare", "proxy")
CALLED = {
    "get_client_uri": ["self", "protocol", "host", "port", "proxied_path"],
    "get_cmd": ["self"],
    "get_env": ["self"],
    "get_request_headers_override": ["self"],
    "initialize": ["self", "state"],
    "_record_activity": ["self"],
}
"""Parameters of the handler's methods that are only called. A new version may add optional ones."""

OF_MARIMO = {
    "marimo._ast.cell_manager": ("CellManager.apply_diff_from", "CellManager.document"),
    "marimo._ast.parse": ("parse_notebook",),
    "marimo._config.config": ("DEFAULT_CONFIG",),
    "marimo._config.manager": ("UserConfigStore.save_config", "UserConfigStore.get_config_path"),
    "marimo._server.ai.providers": ("BedrockProvider.create_provider",),
    "marimo._session.notebook.file_manager": ("AppFileManager.reload", "AppFileManager.path"),
    "marimo._session.state.serialize": (
        "SessionCacheManager.is_cache_hit",
        "SessionCacheManager.read_session_view",
    ),
    "marimo._runtime.runtime": ("launch_kernel",),
    "marimo._runtime.commands": ("AppMetadata",),
    "marimo._utils.file_watcher": ("PollingFileWatcher.MAX_MISSING_POLLS",),
    "marimo._server.files.path_validator": ("PathValidator.validate_inside_directory",),
    "marimo._server.files.directory_scanner": ("DirectoryScanner.scan",),
    "marimo._server.workspace": ("DirectoryWorkspace.files", "DirectoryWorkspace.is_truncated"),
    "marimo._server.recents": ("RecentFilesManager.get_recents",),
    "marimo._server.api.endpoints.file_explorer": ("resolve_file_roots",),
    "marimo._server.models.files": ("FileRoot",),
    "marimo._export.file": ("export_html", "run_notebook"),
    "marimo._session.session": ("SessionImpl.create",),
}
"""What server/ and job/ change in marimo, by module."""
OWN_CONNECTION = "marimo's page does not open its event stream by window.fetch"
"""What own_connection.js reports: only a browser can show it."""
MISSING = """
import importlib, operator
for module, names in {names!r}.items():
    for name in names:
        try:
            operator.attrgetter(name)(importlib.import_module(module))
        except Exception:
            print(f"{{module}}.{{name}}")
"""


def missing_in_proxy() -> list[str]:
    """The interfaces that the installed jupyter-server-proxy and simpervisor do not have."""
    missing = []
    try:
        handler: Any = importlib.import_module("jupyter_server_proxy.handlers").SuperviseAndProxyHandler
        process: Any = importlib.import_module("jupyter_server_proxy.config").ServerProcess
        program: Any = importlib.import_module("simpervisor").SupervisedProcess
    except Exception as error:
        return [f"a working import ({error})"]
    for name, parameters in OVERRIDDEN.items():
        method = getattr(handler, name, None)
        is_coroutine = inspect.iscoroutinefunction(method)
        if _parameters(method) != parameters or (name in COROUTINES) != is_coroutine:
            missing.append(f"SuperviseAndProxyHandler.{name}")
    missing += [
        f"SuperviseAndProxyHandler.{name}"
        for name, parameters in CALLED.items()
        if _parameters(getattr(handler, name, None), required=len(parameters)) != parameters
    ]
    if not isinstance(getattr(handler, "port", None), property):
        missing.append("SuperviseAndProxyHandler.port")
    if _parameters(getattr(process, "get_proxy_base_class", None)) != ["self"]:
        missing.append("ServerProcess.get_proxy_base_class")
    missing += [
        f"SupervisedProcess.{name}"
        for name in ("start", "kill")
        if _parameters(getattr(program, name, None)) != ["self"]
    ]
    return missing


def missing_in_page(page: str) -> list[str]:
    """What the scripts in marimo's page need, and a page as marimo's server sent it does not have."""
    return [needed for needed in ("<head>", "<marimo-server-token") if needed not in page]


def missing_in_marimo(environment: Path) -> list[str]:
    """The private interfaces that the marimo in a virtual environment does not have."""
    command = [str(environment / "bin/python"), "-c", MISSING.format(names=OF_MARIMO)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603  # no shell
    return result.stdout.split()


def proxy_version() -> str:
    try:
        return f"jupyter-server-proxy {metadata.version('jupyter-server-proxy')}"
    except metadata.PackageNotFoundError:
        return "jupyter-server-proxy"


def _parameters(function: Any, required: int | None = None) -> list[str] | None:
    """The names of a function's parameters, without optional ones after the required number."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
    return [
        parameter.name
        for index, parameter in enumerate(parameters)
        if required is None or index < required or parameter.default is parameter.empty
    ]
