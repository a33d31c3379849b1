"""Checks of JupyterLab and of marimo's server, by requests as a browser sends them."""

import json
import re
import secrets
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from sagemaker_marimo import state
from sagemaker_marimo.checks.problem import APP_LOG, INSTALL_AGAIN, RESTART, Findings, Problem
from sagemaker_marimo.jupyter_server import ask, jupyter_servers


def jupyterlab(findings: Findings) -> str:
    server = next(jupyter_servers(), None)
    if server is None:
        raise Problem("no JupyterLab is running here", "Run marimo-doctor in a terminal of JupyterLab.")
    try:
        with ask(server, "api/status", timeout=15):
            findings.server = server
    except (OSError, ValueError) as error:
        raise Problem(f"JupyterLab does not answer: {error}", f"{RESTART} Log: {APP_LOG}") from None
    return f"answers on port {server['port']}"


def proxy_entry(findings: Findings) -> str:
    remedy = (
        f"See the lines with `sagemaker-marimo` in {APP_LOG}.\n"
        f"A configuration of your own in ~/.jupyter may replace the entry with `c.ServerProxy.servers = …`: "
        f"use `c.ServerProxy.servers.update(…)` there instead.\n{RESTART}"
    )
    try:
        with ask(findings.server, "server-proxy/servers-info", timeout=15) as response:
            servers = json.load(response)["server_processes"]
    except (OSError, ValueError, KeyError) as error:
        raise Problem(f"jupyter-server-proxy does not answer: {error}", remedy) from None
    if not any(server.get("name") == "marimo" for server in servers):
        raise Problem("JupyterLab has no proxy entry for marimo", remedy)
    return f"{findings.server['base_url']}marimo/"


def marimo_server(findings: Findings) -> str:
    remedy = f"Log: {APP_LOG}"
    try:
        # This request starts marimo if it is not running.
        with ask(findings.server, "marimo/", timeout=75) as response:
            findings.page = response.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        if error.headers.get("X-Marimo-Waiting"):
            raise Problem("marimo is not installed: see the check `environment`", INSTALL_AGAIN) from None
        raise Problem(f"marimo's server did not start (HTTP {error.code})", remedy) from None
    except OSError as error:
        raise Problem(f"marimo's server does not answer: {error}", remedy) from None
    port = marimo_port()
    if port is None:
        return "answers"  # no /proc (macOS): the port is unknown
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            f"http://127.0.0.1:{port}{findings.server['base_url']}marimo/api/status", timeout=15
        ):
            raise Problem(f"port {port} answers requests without the token", f"{RESTART} {remedy}")
    except urllib.error.HTTPError as error:
        if error.code not in (401, 403):
            raise Problem(f"port {port} answers HTTP {error.code}", remedy) from None
    except OSError as error:
        raise Problem(f"port {port} does not answer: {error}", remedy) from None
    return f"answers on port {port}, and only with the token"


def marimo_port() -> int | None:
    """The port of the server that serves this user's notebooks."""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = process.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if str(state.NOTEBOOKS) in arguments and "--base-url" in arguments and "--port" in arguments:
            port = arguments[arguments.index("--port") + 1]
            return int(port) if port.isdigit() else None
    return None


def event_stream(findings: Findings) -> str:
    """Opens an unsaved notebook as a browser does, and waits for its first event."""
    if '"transport": "websocket"' in findings.page:
        return (
            "not checked: this space's settings select WebSockets, which Studio's gateway reportedly breaks"
        )
    # marimo's page uses these formats for session IDs and new notebooks.
    session = f"s_{secrets.token_hex(3)}"
    query = urllib.parse.urlencode({"session_id": session, "file": f"__new__{session}"})
    remedy = f"Log: {APP_LOG}"
    try:
        with ask(
            findings.server, f"marimo/sse?{query}", headers={"Accept": "text/event-stream"}, timeout=60
        ) as response:
            kind = response.headers.get_content_type()
            if kind != "text/event-stream":
                raise Problem(f"marimo answered with {kind} instead of events", remedy)
            for line in response:
                if line.startswith(b"data:"):
                    return "the first event arrived"
        raise Problem("the stream ended before its first event", remedy)
    except OSError as error:
        raise Problem(f"no event arrived: {error}", remedy) from None
    finally:
        close_session(findings, session)


def close_session(findings: Findings, session: str) -> None:
    """Stops the kernel that event_stream started."""
    found = re.search(r'"serverToken": *"([^"]+)"', findings.page)
    headers = {"Content-Type": "application/json", "Marimo-Server-Token": found[1] if found else ""}
    data = json.dumps({"sessionId": session}).encode()
    try:
        with ask(findings.server, "marimo/api/home/shutdown_session", headers=headers, data=data, timeout=15):
            pass
    except OSError as error:
        print(f"       (the kernel that this check started could not be stopped: {error})")
