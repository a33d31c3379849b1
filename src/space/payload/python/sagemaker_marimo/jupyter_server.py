"""The JupyterLab that runs in this space, asked from a terminal."""

import json
import os
import urllib.request
from collections.abc import Iterator, Mapping
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, cast


def jupyter_servers() -> Iterator[dict[str, Any]]:
    """JupyterLab's own notes about running servers, newest first; those of earlier apps may lie there too."""
    runtime = Path(os.environ.get("JUPYTER_RUNTIME_DIR") or Path.home() / ".local/share/jupyter/runtime")
    for note in sorted(runtime.glob("jpserver-*.json"), key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            server = json.loads(note.read_text())
            os.kill(server["pid"], 0)
        except (OSError, ValueError, KeyError):
            continue
        yield server


def ask(
    server: dict[str, Any],
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    data: bytes | None = None,
    timeout: float,
) -> HTTPResponse:
    """Opens an address below JupyterLab's; raises urllib.error.URLError and OSError as urlopen does."""
    url = f"http://127.0.0.1:{server['port']}{server['base_url']}{path}"
    token = {"Authorization": f"token {server['token']}"} if server.get("token") else {}
    request = urllib.request.Request(url, data=data, headers={**token, **(headers or {})})
    # Not through a proxy that http_proxy names: the server is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return cast("HTTPResponse", opener.open(request, timeout=timeout))
