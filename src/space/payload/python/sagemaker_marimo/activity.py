"""Tells Studio's idle shutdown of work in marimo, which it does not see by itself.

Studio asks /api/idle of jupyter-activity-monitor-extension (0.3.2 in SageMaker Distribution 4.4.1). That
takes the latest of what Jupyter's own kernels and terminals did and of a time in a file. marimo's kernels are
none of them, so their work goes into that file: a kernel that is running, whether a page shows it or not,
and a person's own requests. What an open page sends by itself is no work. Older images (3.0.0) have 0.3.1,
which reads no file, but keeps the latest time that it found, in this same process.

marimo's status tells of cells: a thread that a cell left behind does not count. A page that makes its cells
run again and again by itself (mo.ui.refresh) does.
"""

import asyncio
import os
import re
import sys
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from logging import Logger
from pathlib import Path
from typing import Any

import aiohttp
from jupyter_server_proxy.handlers import SuperviseAndProxyHandler

# Where jupyter-activity-monitor-extension looks, and how it reads it.
FILE = "/tmp/.sagemaker-last-active-timestamp"  # noqa: S108
FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
EXTENSION = "jupyter_activity_monitor_extension"

# Studio's shortest idle time-out is 60 minutes, and asking costs marimo about 4 ms for each open notebook.
INTERVAL_SECONDS = 30.0
# For all the questions of one turn: a marimo that hangs is asked again at the next.
PATIENCE_SECONDS = 15.0

# What marimo's page (0.25.2) sends because a person did something. Not the other way round, all but what
# it sends by itself: a page that stands open asks for /api/usage or /api/home/running_notebooks every 10 s,
# exports itself, and instantiates its notebook when its browser loads it again; the next version may do more.
KERNEL_MOVES = (
    "code_autocomplete",
    "copy",
    "delete",
    "format",
    "install_missing_packages",
    "interrupt",
    "pdb/.+",
    "rename",
    "restart_session",
    "run",
    "save",
    "save_app_config",
    "scratchpad/run",
    "set_cell_config",
    "set_model_value",
    "set_ui_element_value",
    "shutdown",
    "stdin",
    "takeover",
)
MOVES = re.compile(
    rf"/api/(kernel/({'|'.join(KERNEL_MOVES)})"
    r"|ai/(chat|completion|inline_completion)"
    r"|export/(html|ipynb|markdown|pdf|script)"
    r"|files/(copy|create|delete|move|open|search|update)"
    r"|home/(shutdown_session|tutorial/open)"
    r"|packages/(add|remove)"
    r"|secrets/(create|delete))$"
)
TERMINAL = "/terminal/ws"


class ActivityHandler(SuperviseAndProxyHandler):  # type: ignore[misc]  # it has no types
    """Notices what a person does in marimo; the first request begins the watch over marimo's kernels."""

    entry: str
    """Name of the server in JupyterLab, and last part of its address."""

    def on_finish(self) -> None:
        activity = self._activity()
        path = self.request.path
        # A request that was refused, such as one from another site, is nobody's work.
        if (
            self.request.method == "POST"
            and self.get_status() < HTTPStatus.BAD_REQUEST
            and MOVES.search(path)
        ):
            activity.moved()
        super().on_finish()

    def on_message(self, message: str | bytes) -> None:
        # The terminal's other messages tell its size, which the page sends by itself.
        if self.request.path.endswith(TERMINAL) and '{"type":"resize"' not in str(message):
            self._activity().moved()
        super().on_message(message)

    def _activity(self) -> "Activity":
        # jupyter-server-proxy's own, shared by all requests for one server.
        if "activity" not in self.state:
            self.state["activity"] = Activity(self)
        activity: Activity = self.state["activity"]
        return activity


class Activity:
    """Records, every so often, the time of the last work in one marimo server, until JupyterLab ends."""

    def __init__(self, handler: Any) -> None:
        self._state: dict[str, Any] = handler.state
        self._api = f"{handler.base_url}{handler.entry}/api"
        # `marimo run` says nothing of its sessions (marimo 0.25.2: /api/sessions is for the editor).
        self._tells_of_cells = handler.entry == "marimo"
        self._headers: dict[str, str] = handler.get_request_headers_override()
        self._log: Logger = handler.log
        self._last_move: datetime | None = None
        self._task = asyncio.create_task(self._watch())

    def moved(self) -> None:
        self._last_move = now()

    async def _watch(self) -> None:
        interval = interval_seconds()
        failing = False
        while True:
            await asyncio.sleep(interval)
            try:
                await self._look()
                failing = False
            except Exception as error:
                # marimo may be starting again, or hang, and the disk may be full: all of it may pass.
                if not failing:
                    self._log.warning("sagemaker-marimo: activity is not recorded for now: %r", error)
                failing = True

    async def _look(self) -> None:
        last_move, self._last_move = self._last_move, None
        if last_move:
            record(last_move)
        elif self._tells_of_cells and "proc" in self._state and await self._is_running():
            record(now())

    async def _is_running(self) -> bool:
        """Whether a cell of any notebook is running or waits for its turn."""
        async with (
            asyncio.timeout(PATIENCE_SECONDS),
            aiohttp.ClientSession(f"http://127.0.0.1:{self._state['port']}", headers=self._headers) as marimo,
        ):
            async with marimo.get(f"{self._api}/sessions", raise_for_status=True) as response:
                sessions = await response.json()
            for session in sessions:
                headers = {"Marimo-Session-Id": session}
                async with marimo.get(f"{self._api}/kernel/status", headers=headers) as response:
                    # Not OK: the session ended since.
                    if response.ok and (await response.json())["state"] == "running":
                        return True
        return False


def now() -> datetime:
    return datetime.now(UTC)


def interval_seconds() -> float:
    with suppress(KeyError, ValueError):
        return max(0.1, float(os.environ["MARIMO_ACTIVITY_INTERVAL"]))
    return INTERVAL_SECONDS


def file() -> Path:
    """The variable is for spaces that share a /tmp with others, as the local Studio's do."""
    return Path(os.environ.get("SAGEMAKER_LAST_ACTIVE_TIMESTAMP") or FILE)


def recorded() -> datetime | None:
    try:
        return datetime.strptime(file().read_text().strip(), FORMAT).replace(tzinfo=UTC)
    except (OSError, ValueError):
        return None


def record(time: datetime) -> None:
    """Others may write there too: a later time of theirs stays. Never half a file, nor a link's target."""
    tell_older_extension(time)
    last = recorded()
    if last and last >= time:
        return
    path = file()
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    try:
        with os.fdopen(handle, "w") as new:
            new.write(time.strftime(FORMAT))
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


def tell_older_extension(time: datetime) -> None:
    """Private to it, and tested in space-older-image.test.ts."""
    handler: Any = sys.modules.get(f"{EXTENSION}.handler")
    if handler is not None and f"{EXTENSION}.idle_status_detector" not in sys.modules:
        handler.activity_tracker = max(handler.activity_tracker, time.strftime(FORMAT.replace("Z", "z")))
