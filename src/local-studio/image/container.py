"""The init process of a local JupyterLab app. It does what the container of SageMaker Distribution does.

Reads one line of JSON from standard input (see Request) and starts the app. Ends every process of the app
when standard input is closed or on SIGTERM. Writes events to standard output, one line of JSON each:

  lifecycle  name, exitCode (null: timed out), seconds, outputTail   a lifecycle configuration has ended
  ready      port, seconds                                           JupyterLab responds
  failed     reason                                                  the app did not start; exit status 1
  exited     exitCode                                                JupyterLab has exited; exit status 1

Runs in the virtual environment that replaces the image (requirements.lock).
"""

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NoReturn

from init_process import adopt_orphans, emit, end_descendants, in_thread
from prefix import base_environment, make_prefix

BASE_URL = "/jupyterlab/default"
READY_SECONDS = 120
LOOPBACK = "127.0.0.1"


@dataclass
class LifecycleConfig:
    name: str
    content: str
    """base64, as passed to CreateStudioLifecycleConfig"""


@dataclass
class Request:
    home: str
    prefix: str
    """where to create the app's own prefix, the equivalent of /opt/conda"""
    log: str
    """the equivalent of /var/log/apps/app_container.log"""
    port: int = 0
    """0: any free port"""
    environment: dict[str, str] = field(default_factory=dict)
    lifecycle_configs: list[LifecycleConfig] = field(default_factory=list)
    lifecycle_timeout_seconds: float = 300
    gateway_token: str = ""
    """the token that gateway_guard.py requires; empty: all requests are accepted"""

    @staticmethod
    def parse(line: str) -> "Request":
        value: dict[str, Any] = json.loads(line)
        return Request(
            home=value["home"],
            prefix=value["prefix"],
            log=value["log"],
            port=value.get("port", 0),
            environment=value.get("environment", {}),
            lifecycle_configs=[LifecycleConfig(**config) for config in value.get("lifecycleConfigs", [])],
            lifecycle_timeout_seconds=value.get("lifecycleTimeoutSeconds", 300),
            gateway_token=value.get("gatewayToken", ""),
        )


class AppFailedError(Exception):
    """The app did not start. The message becomes the app's FailureReason."""


# Synchronizes the thread that starts the app with the one that stops it: no process starts after `stopping`.
starting = threading.Lock()
stopping = threading.Event()


def app_environment(request: Request, prefix: Path) -> dict[str, str]:
    base = base_environment(Path(request.home), prefix)
    return {
        **base,
        "SAGEMAKER_APP_TYPE": "JupyterLab",
        "SAGEMAKER_APP_TYPE_LOWERCASE": "jupyterlab",
        "SAGEMAKER_APP_LOG": request.log,
        "SAGEMAKER_LAST_ACTIVE_TIMESTAMP": str(prefix / ".sagemaker-last-active-timestamp"),
        **request.environment,
        **{name: base[name] for name in ("HOME", "CONDA_PREFIX", "PATH")},
    }


def start(
    command: list[str], request: Request, environment: dict[str, str], output: IO[bytes]
) -> subprocess.Popen[bytes]:
    with starting:
        if stopping.is_set():
            raise AppFailedError("The app was stopped while it started.")
        return subprocess.Popen(  # noqa: S603  # no shell
            command,
            cwd=request.home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def end_group(process: subprocess.Popen[bytes]) -> None:
    """A lifecycle script that took too long, with all it started in its session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run_lifecycle_config(
    config: LifecycleConfig, request: Request, environment: dict[str, str], prefix: Path
) -> None:
    """A non-zero exit status or a timeout fails the app (SageMaker Developer Guide, "Lifecycle
    configurations")."""
    script = prefix / f"lifecycle-{config.name}.sh"
    script.write_bytes(base64.b64decode(config.content))
    output = prefix / f"lifecycle-{config.name}.log"
    started = time.monotonic()
    with output.open("wb") as file:
        process = start(["/bin/bash", str(script)], request, environment, file)
        exit_code: int | None
        try:
            exit_code = process.wait(timeout=request.lifecycle_timeout_seconds)
        except subprocess.TimeoutExpired:
            end_group(process)
            exit_code = None
    seconds = round(time.monotonic() - started, 3)
    text = output.read_text(errors="replace")
    with Path(request.log).open("a") as log:
        log.write(text)
    emit(event="lifecycle", name=config.name, exitCode=exit_code, seconds=seconds, outputTail=text[-4000:])
    if exit_code is None:
        limit = f"{request.lifecycle_timeout_seconds:g} seconds"
        raise AppFailedError(f"Lifecycle configuration {config.name} did not finish within {limit}.")
    if exit_code != 0:
        last = "; ".join(text.strip().splitlines()[-3:])
        raise AppFailedError(f"Lifecycle configuration {config.name} exited with status {exit_code}: {last}")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        return port


def start_jupyter(request: Request, environment: dict[str, str], port: int) -> subprocess.Popen[bytes]:
    """Uses the options of the image's start-jupyter-server, except for the address and the port."""
    python = Path(environment["CONDA_PREFIX"]) / "bin/python"
    command = [
        *(str(python), "-m", "jupyterlab", "--no-browser"),
        *("--ip", LOOPBACK, "--port", str(port), "--ServerApp.port_retries=0"),
        f"--ServerApp.base_url={BASE_URL}",
        "--ServerApp.token=",
        "--ServerApp.allow_origin=*",
        # Only root needs this option, for example in CI. The image's user is not root.
        *(("--allow-root",) if os.geteuid() == 0 else ()),
    ]
    with Path(request.log).open("ab") as log:
        return start(command, request, environment, log)


def wait_until_it_answers(jupyter: subprocess.Popen[bytes], port: int) -> None:
    url = f"http://{LOOPBACK}:{port}{BASE_URL}/api"
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if (exit_code := jupyter.poll()) is not None:
            raise AppFailedError(f"JupyterLab exited with status {exit_code} during its start.")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise AppFailedError(f"JupyterLab did not respond within {READY_SECONDS} seconds.")


def run(request: Request) -> NoReturn:
    started = time.monotonic()
    prefix = Path(request.prefix)
    Path(request.home).mkdir(parents=True, exist_ok=True)
    Path(request.log).parent.mkdir(parents=True, exist_ok=True)
    make_prefix(prefix, request.gateway_token)
    environment = app_environment(request, prefix)
    for config in request.lifecycle_configs:
        run_lifecycle_config(config, request, environment, prefix)
    port = request.port or free_port()
    jupyter = start_jupyter(request, environment, port)
    wait_until_it_answers(jupyter, port)
    emit(event="ready", port=port, seconds=round(time.monotonic() - started, 3))
    exit_code = jupyter.wait()
    emit(event="exited", exitCode=exit_code)
    raise SystemExit(1)


def stop(exit_code: int) -> NoReturn:
    with starting:
        stopping.set()
    end_descendants()
    # sys.exit would wait for the other threads.
    os._exit(exit_code)


def main() -> None:
    adopt_orphans()
    line = sys.stdin.readline()
    if not line:
        raise SystemExit("container.py: standard input is empty; it must have one line of JSON")
    request = Request.parse(line)
    outcome: list[int] = []
    done = threading.Event()

    def app() -> None:
        try:
            run(request)
        except SystemExit as end:
            outcome.append(int(str(end.code)))
        except AppFailedError as error:
            emit(event="failed", reason=str(error))
            outcome.append(1)
        except Exception as error:
            emit(event="failed", reason=f"{type(error).__name__}: {error}")
            outcome.append(1)
        done.set()

    def until_standard_input_closes() -> None:
        while sys.stdin.readline():
            pass
        done.set()

    signal.signal(signal.SIGTERM, lambda *_: done.set())
    # Ctrl-C in a terminal reaches the whole process group, but local Studio stops its containers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    in_thread(app)
    in_thread(until_standard_input_closes)
    done.wait()
    stop(outcome[0] if outcome else 0)


if __name__ == "__main__":
    main()
