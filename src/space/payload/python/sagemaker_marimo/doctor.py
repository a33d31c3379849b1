"""Checks each link between this space and a marimo that works, and says of each that is not ok what to do.

usage: marimo-doctor
Exit status: 0 when all is well, 1 otherwise. Prints no secret, and waits for nothing longer than LIMIT.
"""

import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

# Run by its path, so that it needs neither an installation nor PYTHONPATH.
sys.path[0] = str(Path(__file__).parents[1])

from sagemaker_marimo import state  # noqa: E402
from sagemaker_marimo.jupyter_server import ask, jupyter_servers  # noqa: E402

LIMIT = 90.0
"""Seconds for one check; marimo's first start on a small instance is the longest of them."""
FREE_MEGABYTES = 500
"""marimo's environment takes 189 MB, and an update builds the next one beside it."""

RESTART = "Stop the space and start it again."
INSTALL_AGAIN = f"Run: bash {state.STATE}/payload/current/install.sh\nIts log: {state.INSTALL_LOG}"
APP_LOG = os.environ.get("SAGEMAKER_APP_LOG", "/var/log/apps/app_container.log")


class Problem(Exception):
    """What is wrong, and what the person can do about it."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.remedy = remedy


@dataclass
class Findings:
    """What one check leaves for the next."""

    server: dict[str, Any] = field(default_factory=dict)
    page: str = ""


def last_log_line() -> str:
    lines = [line for line in state.install_log_tail().splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it has no log yet"


def payload(_: Findings) -> str:
    current = (state.STATE / "payload/current").resolve()
    fetched_again = f"{RESTART} The payload is fetched anew. Its log: {state.STATE}/log/space.log"
    try:
        listed = (current / "SHA256SUMS").read_text().splitlines()
    except OSError as error:
        raise Problem(f"no payload in {current} ({error.strerror})", fetched_again) from None
    if not hashlib.sha256((current / "SHA256SUMS").read_bytes()).hexdigest().startswith(current.name):
        raise Problem(f"{current / 'SHA256SUMS'} was altered", fetched_again)
    for line in listed:
        digest, _separator, name = line.partition("  ")
        try:
            content = (current / name).read_bytes()
        except OSError as error:
            raise Problem(f"{current / name}: {error.strerror}", fetched_again) from None
        if hashlib.sha256(content).hexdigest() != digest:
            raise Problem(f"{current / name} was altered", fetched_again)
    return f"{current.name}, {len(listed)} files as they were uploaded"


def environment(_: Findings) -> str:
    folder = state.installed_environment()
    if folder is None:
        current = state.STATE / "environments/current"
        if state.installation_failed():
            raise Problem(f"marimo could not be installed: {last_log_line()}", INSTALL_AGAIN)
        if (current / ".complete").is_file():
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            raise Problem(f"{current.resolve().name} was not made for this Python {version}", INSTALL_AGAIN)
        raise Problem(f"marimo is not installed (yet): {last_log_line()}", INSTALL_AGAIN)
    command = [str(folder / "bin/python"), "-c", "import marimo; print(marimo.__version__)"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603  # no shell
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Problem(f"{command[0]} does not run: {error}", build_anew(folder)) from None
    if result.returncode:
        reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Problem(f"marimo cannot be imported: {reason}", build_anew(folder))
    if state.installation_failed():
        raise Problem(f"marimo's last update failed: {last_log_line()}", INSTALL_AGAIN)
    return f"marimo {result.stdout.strip()} in {folder}"


def build_anew(folder: Path) -> str:
    return f"Run: rm {folder / '.complete'}\n{INSTALL_AGAIN}"


def disk_space(_: Findings) -> str:
    remedy = "Delete files, for instance ~/.cache, or enlarge the space's volume in Studio."
    try:
        state.STATE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=state.STATE) as file:
            file.write(b"\0" * 4096)
    except OSError as error:
        raise Problem(f"cannot write to {state.STATE}: {error.strerror}", remedy) from None
    free = shutil.disk_usage(state.STATE).free // 2**20
    if free < FREE_MEGABYTES:
        raise Problem(f"{free} MB free in the home folder, less than {FREE_MEGABYTES}", remedy)
    return f"{free} MB free in the home folder"


def token(_: Findings) -> str:
    path = state.STATE / "token"
    remedy = f"Run: rm -f {path}\n{RESTART} A new one is made."
    try:
        status, empty = path.stat(), not path.read_text().strip()
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}", remedy) from None
    if empty:
        raise Problem(f"{path} is empty", remedy)
    if status.st_uid != os.geteuid():
        raise Problem(f"{path} belongs to user {status.st_uid}", remedy)
    if (mode := stat.S_IMODE(status.st_mode)) != 0o600:
        raise Problem(f"{path} has mode {mode:o}: others may read it", f"Run: chmod 600 {path}")
    return "yours alone (mode 600)"


def jupyterlab(findings: Findings) -> str:
    server = next(jupyter_servers(), None)
    if server is None:
        raise Problem("no JupyterLab is running here", "Run marimo-doctor in a terminal of JupyterLab.")
    try:
        with ask(server, "api/status", timeout=15):
            findings.server = server
    except (OSError, ValueError) as error:
        raise Problem(f"JupyterLab does not answer: {error}", f"{RESTART} Its log: {APP_LOG}") from None
    return f"answers on port {server['port']}"


def proxy_entry(findings: Findings) -> str:
    remedy = (
        f"The lines with `sagemaker-marimo` in {APP_LOG} say why.\n"
        f"A configuration of your own in ~/.jupyter may replace the entry (`c.ServerProxy.servers = …`): "
        f"write `c.ServerProxy.servers.update(…)` there.\n{RESTART}"
    )
    try:
        with ask(findings.server, "server-proxy/servers-info", timeout=15) as response:
            servers = json.load(response)["server_processes"]
    except (OSError, ValueError, KeyError) as error:
        raise Problem(f"jupyter-server-proxy does not answer: {error}", remedy) from None
    if not any(server.get("name") == "marimo" for server in servers):
        raise Problem("JupyterLab was started without marimo's entry", remedy)
    return f"{findings.server['base_url']}marimo/"


def marimo_server(findings: Findings) -> str:
    remedy = f"Its log: {APP_LOG}"
    try:
        # Starts marimo if need be.
        with ask(findings.server, "marimo/", timeout=75) as response:
            findings.page = response.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        if error.headers.get("X-Marimo-Installation"):
            raise Problem("marimo is not installed: see `environment`", INSTALL_AGAIN) from None
        raise Problem(f"marimo's server did not start (HTTP {error.code})", remedy) from None
    except OSError as error:
        raise Problem(f"marimo's server does not answer: {error}", remedy) from None
    port = marimo_port()
    if port is None:
        return "answers"  # there is no /proc to tell on which port
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            f"http://127.0.0.1:{port}{findings.server['base_url']}marimo/api/status", timeout=15
        ):
            raise Problem(f"port {port} answers without the token", f"{RESTART} {remedy}")
    except urllib.error.HTTPError as error:
        if error.code not in (401, 403):
            raise Problem(f"port {port} answers HTTP {error.code}", remedy) from None
    except OSError as error:
        raise Problem(f"port {port} does not answer: {error}", remedy) from None
    return f"answers, and only with the token, on port {port}"


def marimo_port() -> int | None:
    """Where the server listens that serves this person's notebooks."""
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
    """Opens a notebook without a file, as a browser does, and waits for its first event."""
    if '"transport": "websocket"' in findings.page:
        return (
            "not used: this space's settings choose WebSockets, which Studio's gateway is reported to break"
        )
    # What marimo's page calls its sessions and its new notebooks.
    session = f"s_{secrets.token_hex(3)}"
    query = urllib.parse.urlencode({"session_id": session, "file": f"__new__{session}"})
    remedy = f"Its log: {APP_LOG}"
    try:
        with ask(
            findings.server, f"marimo/sse?{query}", headers={"Accept": "text/event-stream"}, timeout=60
        ) as response:
            kind = response.headers.get_content_type()
            if kind != "text/event-stream":
                raise Problem(f"marimo answered {kind} in place of events", remedy)
            for line in response:
                if line.startswith(b"data:"):
                    return "the first event arrived"
        raise Problem("it ended before its first event", remedy)
    except OSError as error:
        raise Problem(f"no event arrived: {error}", remedy) from None
    finally:
        close_session(findings, session)


def close_session(findings: Findings, session: str) -> None:
    """Ends the kernel of event_stream's notebook, which nobody would miss."""
    found = re.search(r'"serverToken": *"([^"]+)"', findings.page)
    headers = {"Content-Type": "application/json", "Marimo-Server-Token": found[1] if found else ""}
    data = json.dumps({"sessionId": session}).encode()
    try:
        with ask(findings.server, "marimo/api/home/shutdown_session", headers=headers, data=data, timeout=15):
            pass
    except OSError as error:
        print(f"       (the kernel that this check started could not be ended: {error})")


def bucket(_: Findings) -> str:
    name = state.settings().get("MARIMO_BUCKET")
    if not name:
        raise Problem("no bucket is configured", "The lifecycle configuration did not run. " + RESTART)
    region = state.settings().get("MARIMO_REGION")
    pointer = f"s3://{name}/marimo/payload/current"
    command = [
        *("aws", "s3", "cp", "--only-show-errors"),
        *("--cli-connect-timeout", "5", "--cli-read-timeout", "10"),
        *(("--region", region) if region else ()),
        *(pointer, "-"),
    ]
    few = {**os.environ, "AWS_MAX_ATTEMPTS": "1"}
    remedy = (
        "marimo works on from the payload that is here. Updates and the sample notebooks' bucket need the "
        "space's role to read it, and a route to S3."
    )
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=few)  # noqa: S603  # no shell
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Problem(f"the AWS CLI could not be asked: {error}", remedy) from None
    if result.returncode:
        reason = " ".join(result.stderr.split()) or f"status {result.returncode}"
        raise Problem(f"{pointer} cannot be read: {reason}", remedy)
    found = re.fullmatch(r"[0-9a-f]{64}  ([0-9a-f]{16})", result.stdout.strip())
    if found is None:
        raise Problem(f"{pointer} is not '<sha256>  <hash>'", "Whoever runs this domain deploys again.")
    if (state.STATE / "payload/current").resolve().name != found[1]:
        return f"{name} can be read; it has another payload, {found[1]}, for the next start of the space"
    return f"{name} can be read"


def activity_watcher(_: Findings) -> str:
    """What it wrote; that it runs, only the time in its file tells."""
    # Here, since it needs jupyter-server-proxy: without that, the other checks still say so.
    from sagemaker_marimo import activity

    path = activity.file()
    remedy = f"Run: rm -f {path}\nUntil then Studio may shut this space down in the middle of work, or never."
    if path.exists() and not (os.access(path, os.R_OK) and os.access(path.parent, os.W_OK)):
        raise Problem(f"{path} belongs to another user", remedy)
    recorded = activity.recorded()
    if recorded is None:
        if path.exists():
            raise Problem(f"{path} does not hold a time", remedy)
        return "no work in marimo yet that Studio's idle shutdown should know of"
    if recorded > datetime.now(UTC) + timedelta(minutes=1):
        raise Problem(f"{path} holds a time to come: {recorded:%Y-%m-%d %H:%M:%S}", remedy)
    return f"the last work that Studio's idle shutdown knows of: {recorded:%Y-%m-%d %H:%M:%S} UTC"


Check = Callable[[Findings], str]

CHECKS: tuple[tuple[str, Check, str | None], ...] = (
    ("disk space", disk_space, None),
    ("payload", payload, None),
    ("environment", environment, None),
    ("token", token, None),
    ("JupyterLab", jupyterlab, None),
    ("proxy entry", proxy_entry, "JupyterLab"),
    ("marimo's server", marimo_server, "proxy entry"),
    ("event stream", event_stream, "marimo's server"),
    ("bucket", bucket, None),
    ("activity watcher", activity_watcher, None),
)
"""Name, check, and the check without which it cannot be made; in the order of the chain."""


def bounded(check: Check, findings: Findings, seconds: float = LIMIT) -> str:
    """The check's own answer, or a Problem; after so many seconds at the latest."""
    outcome: list[str | Exception] = []

    def run() -> None:
        try:
            outcome.append(check(findings))
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise Problem(f"no answer within {seconds:g} s", RESTART)
    if isinstance(outcome[0], Problem):
        raise outcome[0]
    if isinstance(outcome[0], Exception):
        raise Problem(f"the check itself failed: {outcome[0]!r}", f"Please report it. {RESTART}")
    return outcome[0]


def without_secrets(text: str) -> str:
    """Messages of other programs are part of what is printed."""
    known = [str(server.get("token") or "") for server in jupyter_servers()]
    with suppress(OSError):
        known.append((state.STATE / "token").read_text().strip())
    for secret in filter(None, known):
        text = text.replace(secret, "…")
    return text


def main() -> int:
    findings = Findings()
    wrong = 0
    without: set[str | None] = set()
    for name, check, needed in CHECKS:
        if needed in without:
            without.add(name)
            print(f"  -    {name}: not checked without {needed}", flush=True)
            continue
        try:
            said = f"  ok   {name}: {bounded(check, findings)}"
        except Problem as problem:
            wrong += 1
            without.add(name)
            remedy = problem.remedy.replace("\n", "\n       ")
            said = f"WRONG  {name}: {problem}\n       {remedy}"
        print(without_secrets(said), flush=True)
    print(f"\n{wrong} of {len(CHECKS)} links wrong." if wrong else "\nAll is well.")
    return 1 if wrong else 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # Not sys.exit: a check that never came back must not hold this back either.
    os._exit(status)
