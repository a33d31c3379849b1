"""marimo's server in a Code Editor space, which has no JupyterLab: `marimo edit` runs it until Ctrl+C.

The browser reaches it through Code Editor's own proxy (aws/code-editor, patches/web-server/proxy-uri.diff).
It serves the ports that Code Editor has forwarded, at two paths. `absports/PORT` leaves responses as they
are. `ports/PORT` puts `/ports/PORT` before redirects, which is not a path of Studio.

Guess: Studio's gateway treats these requests as it does those to JupyterLab. Hence the transport SSE.
"""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from sagemaker_marimo import packages, state
from sagemaker_marimo.marimo_command import EDIT, marimo_command, server_transport
from sagemaker_marimo.terminal_commands import runs_command
from sagemaker_marimo.user_activity import now, record

# Source: SageMaker Distribution 4, start-code-editor: `--base-path "/$SAGEMAKER_APP_TYPE_LOWERCASE/default"`.
BASE_PATH = "/codeeditor/default"
FIRST_PORT = 2718  # marimo's own default
START_SECONDS = 60
END_SECONDS = 10
ACTIVITY_SECONDS = 30  # Studio's shortest idle timeout is an hour


def is_code_editor() -> bool:
    return state.settings().get("MARIMO_APP_TYPE") == "CodeEditor"


def installation() -> str:
    """Like the header X-Marimo-Waiting of marimo's page in JupyterLab."""
    return "ready" if state.installed_environment() else state.why_not_installed()


def serve(show: Callable[[str], None]) -> int:
    """Runs the server, and returns its exit status. `show` gets marimo's path with a query."""
    environment = state.installed_environment()
    assert environment is not None, "installation() is ready"  # noqa: S101
    port, token = free_port(), secrets.token_urlsafe(16)
    path = f"absports/{port}"
    with tempfile.NamedTemporaryFile("w", prefix="marimo-token-") as file:  # only its owner can read it
        file.write(token)
        file.flush()
        base_url = f"{BASE_PATH}/{path}"
        command = marimo_command(
            environment, EDIT, state.NOTEBOOKS, port=str(port), base_url=base_url, token=Path(file.name)
        )
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: sys.exit(128 + number))
        # In a process group of its own: marimo 0.25.2 prints a traceback at Ctrl+C, and none at SIGTERM.
        options: dict[str, Any] = {
            "env": server_environment(),
            "stdin": subprocess.DEVNULL,
            "process_group": 0,
        }
        server: subprocess.Popen[bytes] = subprocess.Popen(command, **options)  # noqa: S603  # no shell
        try:
            wait_until_it_answers(server, port)
            show(f"{path}/?access_token={token}")
            while True:
                with suppress(subprocess.TimeoutExpired):
                    return server.wait(ACTIVITY_SECONDS)
                with suppress(OSError, ValueError):  # it may be busy, or have ended
                    api = f"http://127.0.0.1:{port}{base_url}/api"
                    if runs_command(server.pid) or is_running(api, token):
                        record(now())
        except KeyboardInterrupt:
            return 0
        finally:
            server.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.wait(END_SECONDS)
            server.kill()


def is_running(api: str, token: str) -> bool:
    """Whether a cell of any notebook is running or queued."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(path: str, **headers: str) -> Any:
        headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(f"{api}/{path}", headers=headers)  # noqa: S310  # http, as in serve()
        with opener.open(request, timeout=ACTIVITY_SECONDS) as response:
            return json.load(response)

    sessions = get("sessions")
    return any(get("kernel/status", **{"Marimo-Session-Id": one})["state"] == "running" for one in sessions)


def server_environment() -> dict[str, str]:
    return {
        **os.environ,
        **state.settings(),
        **packages.server_environment(),
        "HOME": str(state.HOME),
        "MARIMO_SERVER_TRANSPORT": server_transport(),
        # The proxy removes it from each request. server/code_editor_requests.py puts it back.
        "MARIMO_PROXY_BASE_PATH": BASE_PATH,
    }


def free_port() -> int:
    for port in range(FIRST_PORT, FIRST_PORT + 100):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    sys.exit(
        f"No port from {FIRST_PORT} to {FIRST_PORT + 99} is free: stop a marimo server in another terminal."
    )


def wait_until_it_answers(server: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with socket.socket() as connection:
            if connection.connect_ex(("127.0.0.1", port)) == 0:
                return
        if (status := server.poll()) is not None:
            sys.exit(f"marimo's server ended with status {status}.")
        if time.monotonic() > deadline:
            sys.exit(f"marimo's server did not answer within {START_SECONDS} s.")
        time.sleep(0.1)
