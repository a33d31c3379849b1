"""The init process of a local JupyterLab app: what SageMaker Distribution's container does.

Reads one line of JSON on standard input (see Request), starts the app, and keeps it until standard input is
closed or SIGTERM comes; then ends everything that the app started. Writes events to standard output, one line
of JSON each:

  lifecycle  name, exitCode (null: timed out), seconds, outputTail   a lifecycle configuration ended
  ready      port, seconds                                           JupyterLab answers
  failed     reason                                                  the app does not start; exit status 1
  exited     exitCode                                                JupyterLab ended by itself; exit status 1

Runs in the Python of the image's stand-in (requirements.lock).
"""

import base64
import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NoReturn

import psutil

BASE_URL = "/jupyterlab/default"
READY_SECONDS = 120
TERMINATION_SECONDS = 5
LOOPBACK = "127.0.0.1"

# How this machine reaches the package index and where it keeps packages; AWS knows nothing of it.
THIS_MACHINE = re.compile(r"(?i)(https?|all|no)_proxy$|SSL_CERT_(FILE|DIR)$|(UV|PIP)_")
SYSTEM_PATH = tuple(Path(folder) for folder in ("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"))

# /etc/jupyter/jupyter_server_config.py of SageMaker Distribution 4.4.1, without what concerns extensions that
# the stand-in lacks. compress_response matters: tornado's gzip is between marimo's events and the browser.
IMAGE_JUPYTER_CONFIG = """
c.ServerApp.terminado_settings = {"shell_command": ["/bin/bash"]}
c.ServerApp.tornado_settings = {"compress_response": True}
c.FileContentsManager.delete_to_trash = False
c.FileContentsManager.always_delete_dir = True
c.ContentsManager.allow_hidden = True
# The image's jupyter-activity-monitor-extension reads a file in /tmp, which on AWS each app has for itself.
# That of older images (0.3.1) reads none.
import os
try:
    from jupyter_activity_monitor_extension import idle_status_detector
    read = idle_status_detector.LocalFileActiveTimestampChecker.read_last_active_timestamp
    read.__defaults__ = (os.environ["SAGEMAKER_LAST_ACTIVE_TIMESTAMP"],)
except ImportError:
    pass
"""


@dataclass
class LifecycleConfig:
    name: str
    content: str
    """base64, as CreateStudioLifecycleConfig takes it"""


@dataclass
class Request:
    home: str
    prefix: str
    """where to make the app's own prefix, the counterpart of /opt/conda"""
    log: str
    """the counterpart of /var/log/apps/app_container.log"""
    port: int = 0
    """0: any free one"""
    environment: dict[str, str] = field(default_factory=dict)
    lifecycle_configs: list[LifecycleConfig] = field(default_factory=list)
    lifecycle_timeout_seconds: float = 300

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
        )


class AppFailedError(Exception):
    """The app does not start; the message is the app's FailureReason."""


# Between the thread that starts the app and the one that stops it: after `stopping`, nothing starts any more.
starting = threading.Lock()
stopping = threading.Event()


def emit(**event: object) -> None:
    print(json.dumps(event), flush=True)


# --- the app's own prefix -----------------------------------------------------------------------------------


def make_prefix(prefix: Path) -> None:
    """The app's /opt/conda: a prefix of its own to write into, with the shared environment's packages.

    Made anew at each start, as Studio resets /opt/conda.
    """
    image = Path(sys.prefix)
    shutil.rmtree(prefix, ignore_errors=True)
    # In a process of its own: venv's result depends on how the interpreter that makes it was started.
    venv = [sys.executable, "-m", "venv", "--without-pip", str(prefix)]
    subprocess.run(venv, check=True, stdout=sys.stderr)  # noqa: S603  # no shell
    site_packages = Path(sysconfig.get_path("purelib", vars={"base": str(prefix), "platbase": str(prefix)}))
    # addsitedir, and not the path alone, so that the .pth files there count as well.
    image_packages = sysconfig.get_path("purelib")
    (site_packages / "image.pth").write_text(f"import site; site.addsitedir({image_packages!r})\n")
    (prefix / "share").symlink_to(image / "share")
    # The image has these two in one folder each, /opt/conda/etc/jupyter and /etc/jupyter.
    config = prefix / "etc/jupyter"
    shutil.copytree(image / "etc/jupyter", config)
    (config / "jupyter_server_config.py").write_text(IMAGE_JUPYTER_CONFIG)


def base_environment(home: Path, prefix: Path) -> dict[str, str]:
    """What every container of the image has, with what this machine needs."""
    # The image's order (its Dockerfile): the prefix first, the person's own programs last.
    path = [prefix / "bin", Path(sys.prefix) / "bin", *SYSTEM_PATH, home / ".local/bin"]
    return {
        **{name: value for name, value in os.environ.items() if THIS_MACHINE.match(name)},
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),  # noqa: S108  # what programs assume without it
        "SHELL": "/bin/bash",
        "USER": "sagemaker-user",
        "HOME": str(home),
        "CONDA_PREFIX": str(prefix),
        "PATH": os.pathsep.join(map(str, path)),
    }


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


# --- processes ----------------------------------------------------------------------------------------------


def adopt_orphans() -> None:
    """Processes whose parent has ended become this one's children, as in a container."""
    if sys.platform == "linux":
        pr_set_child_subreaper = 36  # linux/prctl.h
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_child_subreaper, 1, 0, 0, 0)


def end_descendants() -> None:
    """SIGTERM to all, SIGKILL to those left after a while, and to what they may start meanwhile."""
    me = psutil.Process()
    deadline = time.monotonic() + TERMINATION_SECONDS
    told: set[int] = set()
    while processes := me.children(recursive=True):
        for process in processes:
            try:
                if time.monotonic() > deadline:
                    process.kill()
                elif process.pid not in told:
                    told.add(process.pid)
                    process.terminate()
            except psutil.NoSuchProcess:
                pass
        psutil.wait_procs(processes, timeout=0.2)
        if time.monotonic() > deadline + TERMINATION_SECONDS:
            return  # uninterruptible: nothing more can be done


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


# --- the app ------------------------------------------------------------------------------------------------


def run_lifecycle_config(
    config: LifecycleConfig, request: Request, environment: dict[str, str], prefix: Path
) -> None:
    """A non-zero exit and a time-out fail the app (SageMaker Developer Guide, "Lifecycle configurations")."""
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
        raise AppFailedError(f"Lifecycle configuration {config.name} ended with status {exit_code}: {last}")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        return port


def start_jupyter(request: Request, environment: dict[str, str], port: int) -> subprocess.Popen[bytes]:
    """With the flags of the image's start-jupyter-server, apart from address and port."""
    python = Path(environment["CONDA_PREFIX"]) / "bin/python"
    command = [
        *(str(python), "-m", "jupyterlab", "--no-browser"),
        *("--ip", LOOPBACK, "--port", str(port), "--ServerApp.port_retries=0"),
        f"--ServerApp.base_url={BASE_URL}",
        "--ServerApp.token=",
        "--ServerApp.allow_origin=*",
        # Only root needs it, in CI for instance; the image's user is not root.
        *(("--allow-root",) if os.geteuid() == 0 else ()),
    ]
    with Path(request.log).open("ab") as log:
        return start(command, request, environment, log)


def wait_until_it_answers(jupyter: subprocess.Popen[bytes], port: int) -> None:
    url = f"http://{LOOPBACK}:{port}{BASE_URL}/api"
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if (exit_code := jupyter.poll()) is not None:
            raise AppFailedError(f"JupyterLab ended with status {exit_code} while starting.")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise AppFailedError(f"JupyterLab did not answer within {READY_SECONDS} seconds.")


def run(request: Request) -> NoReturn:
    started = time.monotonic()
    prefix = Path(request.prefix)
    Path(request.home).mkdir(parents=True, exist_ok=True)
    Path(request.log).parent.mkdir(parents=True, exist_ok=True)
    make_prefix(prefix)
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
    # Not sys.exit, which would wait for the other threads.
    os._exit(exit_code)


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def main() -> None:
    adopt_orphans()
    line = sys.stdin.readline()
    if not line:
        raise SystemExit("container.py: nothing on standard input; it wants one line of JSON")
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
    # Ctrl-C in a terminal reaches the whole group: local Studio ends its containers in its own order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    in_thread(app)
    in_thread(until_standard_input_closes)
    done.wait()
    stop(outcome[0] if outcome else 0)


if __name__ == "__main__":
    main()
