"""Reports work in marimo to Studio's idle shutdown, which does not detect it on its own.

Studio requests /api/idle of jupyter-activity-monitor-extension (0.3.2 in SageMaker Distribution 4.5.2). The
extension returns the latest activity of Jupyter's own kernels and terminals, or the time in a file if that is
later. marimo's kernels and terminals are not Jupyter's, so this module writes their activity to the file:
running cells, with or without an open page, requests that the user causes, and commands in marimo's
terminals: what they print, and that they run. Automatic requests of an open page do not count.

marimo reports the state of cells only: a thread that outlives its cell does not count. A page that runs its
cells periodically (mo.ui.refresh) does count.
"""

import asyncio
import os
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from logging import Logger
from typing import Any

import aiohttp
from jupyter_server_proxy.handlers import SuperviseAndProxyHandler

from sagemaker_marimo.server import Server
from sagemaker_marimo.terminal_commands import runs_command
from sagemaker_marimo.user_activity import USER_ACTIONS, now, record

# Studio's shortest idle timeout is 60 minutes. A request costs marimo about 4 ms for each open notebook.
INTERVAL_SECONDS = 30.0
# For all requests of one check. A marimo that hangs is checked again at the next interval.
CHECK_TIMEOUT_SECONDS = 15.0

TERMINAL = "/terminal/ws"


class ActivityHandler(SuperviseAndProxyHandler):  # type: ignore[misc]  # it has no types
    """Notices the user's actions in marimo. The first request starts the watcher of marimo's kernels."""

    entry: str
    """The server's name in JupyterLab, which is the last part of its path."""
    server: Server
    _is_typed_in = False
    """Whether this is a terminal in which the user has typed."""

    def on_finish(self) -> None:
        activity = self._activity()
        path = self.request.path
        # A rejected request, such as one from another site, is not the user's action.
        if (
            self.request.method == "POST"
            and self.get_status() < HTTPStatus.BAD_REQUEST
            and USER_ACTIONS.search(path)
        ):
            activity.record_user_action()
        super().on_finish()

    def on_message(self, message: str | bytes) -> None:
        # The page also sends the terminal's size, automatically.
        if self.request.path.endswith(TERMINAL) and '{"type":"resize"' not in str(message):
            self._is_typed_in = True
            self._activity().record_user_action()
        super().on_message(message)

    def write_message(self, message: str | bytes, binary: bool = False) -> Any:
        # The prompt of a new terminal does not count: a page that reloads itself opens one.
        if self._is_typed_in:
            self._activity().record_user_action()
        return super().write_message(message, binary=binary)

    def _activity(self) -> "Activity":
        # jupyter-server-proxy's own state, which all requests for one server share.
        if "activity" not in self.state:
            self.state["activity"] = Activity(self)
        activity: Activity = self.state["activity"]
        return activity


class Activity:
    """Periodically records the time of the last work in one marimo server, until JupyterLab ends."""

    def __init__(self, handler: Any) -> None:
        self._server: Server = handler.server
        self._port: int = handler.port
        self._api = f"{handler.base_url}{handler.entry}/api"
        # `marimo run` has no status of its sessions (marimo 0.25.2: /api/sessions is for the editor).
        self._reports_cells = handler.entry == "marimo"
        self._headers: dict[str, str] = handler.get_request_headers_override()
        self._log: Logger = handler.log
        self._last_action: datetime | None = None
        self._task = asyncio.create_task(self._watch())

    def record_user_action(self) -> None:
        self._last_action = now()

    async def _watch(self) -> None:
        interval = interval_seconds()
        failing = False
        while True:
            await asyncio.sleep(interval)
            try:
                await self._check()
                failing = False
            except Exception as error:
                # Possibly temporary: marimo restarts or hangs, or the disk is full.
                if not failing:
                    self._log.warning("sagemaker-marimo: activity cannot be recorded now: %r", error)
                failing = True

    async def _check(self) -> None:
        last_action, self._last_action = self._last_action, None
        if last_action:
            record(last_action)
        elif self._reports_cells and self._server.is_ready and await self._is_running():
            record(now())

    async def _is_running(self) -> bool:
        """Whether a command in a terminal is running, or a cell of any notebook is running or queued."""
        # In a thread: a space may have many processes.
        if await asyncio.to_thread(runs_command, self._server.process_id):
            return True
        async with (
            asyncio.timeout(CHECK_TIMEOUT_SECONDS),
            aiohttp.ClientSession(f"http://127.0.0.1:{self._port}", headers=self._headers) as marimo,
        ):
            async with marimo.get(f"{self._api}/sessions", raise_for_status=True) as response:
                sessions = await response.json()
            for session in sessions:
                headers = {"Marimo-Session-Id": session}
                async with marimo.get(f"{self._api}/kernel/status", headers=headers) as response:
                    # A response that is not OK means that the session has ended since.
                    if response.ok and (await response.json())["state"] == "running":
                        return True
        return False


def interval_seconds() -> float:
    with suppress(KeyError, ValueError):
        return max(0.1, float(os.environ["MARIMO_ACTIVITY_INTERVAL"]))
    return INTERVAL_SECONDS
