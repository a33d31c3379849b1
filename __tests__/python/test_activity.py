"""The activity that is recorded for Studio's idle shutdown, with a fake marimo server."""

import asyncio
import logging
import os
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from jupyter_activity_monitor_extension.idle_status_detector import LocalFileActiveTimestampChecker
from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from sagemaker_marimo import activity
from sagemaker_marimo.activity import Activity, ActivityHandler, interval_seconds
from sagemaker_marimo.server import Server
from sagemaker_marimo.user_activity import KERNEL_ACTIONS, USER_ACTIONS, now, record, recorded

BASE = "/jupyterlab/default/marimo"


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "last-active"
    monkeypatch.setenv("SAGEMAKER_LAST_ACTIVE_TIMESTAMP", str(path))
    return path


@pytest.mark.parametrize(
    "time",
    [
        datetime(2026, 1, 2, 3, 4, 5, 678901, UTC),
        datetime(2026, 1, 2, 3, 4, 5, 0, UTC),  # isoformat() would omit the fraction
    ],
)
def test_the_extension_reads_the_recorded_time(time: datetime, file: Path) -> None:
    record(time)
    assert re.fullmatch(r"2026-01-02T03:04:05\.\d{6}Z", file.read_text())
    assert recorded() == time
    read = LocalFileActiveTimestampChecker().read_last_active_timestamp(str(file))
    assert read.replace(tzinfo=UTC) == time
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(file.parent.iterdir()) == [file], "no temporary file is left"


def test_the_time_never_goes_back(file: Path) -> None:
    time = now()
    record(time)
    record(time - timedelta(seconds=1))
    assert recorded() == time
    record(time + timedelta(microseconds=1))
    assert recorded() == time + timedelta(microseconds=1)


@pytest.mark.parametrize("content", ["", "soon", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000+02:00"])
def test_replaces_invalid_content(content: str, file: Path) -> None:
    file.write_text(content)
    assert recorded() is None
    time = now()
    record(time)
    assert recorded() == time


def test_replaces_a_link_but_not_its_target(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("another's")
    file.symlink_to(target)
    record(now())
    assert target.read_text() == "another's"
    assert not file.is_symlink()


def test_leaves_no_file_if_it_cannot_write(file: Path) -> None:
    file.mkdir()  # a file cannot replace a folder
    with pytest.raises(OSError, match="last-active"):
        record(now())
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, activity.INTERVAL_SECONDS),
        ("0.5", 0.5),
        ("0", 0.1),
        ("-3", 0.1),
        ("soon", activity.INTERVAL_SECONDS),
    ],
)
def test_interval(value: str | None, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MARIMO_ACTIVITY_INTERVAL", raising=False)
    if value is not None:
        monkeypatch.setenv("MARIMO_ACTIVITY_INTERVAL", value)
    assert interval_seconds() == seconds


def test_interval_is_well_below_studios_shortest_timeout() -> None:
    assert activity.INTERVAL_SECONDS + activity.CHECK_TIMEOUT_SECONDS < 60 * 60 / 10


@pytest.mark.parametrize(
    "path",
    [
        *(f"/api/kernel/{name}" for name in KERNEL_ACTIONS if "pdb" not in name),
        "/api/kernel/pdb/pm",
        "/api/ai/completion",
        "/api/export/html",
        "/api/files/update",
        "/api/home/shutdown_session",
        "/api/packages/add",
        "/api/secrets/create",
    ],
)
def test_counts_user_actions(path: str) -> None:
    assert USER_ACTIONS.search(BASE + path)


@pytest.mark.parametrize(
    "path",
    [
        "/api/usage",
        "/api/home/running_notebooks",
        "/api/home/workspace_files",
        "/api/home/recent_files",
        "/api/kernel/instantiate",
        "/api/export/auto_export/html",
        "/api/status",
        "/api/kernel/status",
        "/api/kernel/run/more",
        "/api/kernel/pdb/",
        "/api/packages/list",
        "/api/files/list_files",
        "/sse",
        "/",
    ],
)
def test_does_not_count_automatic_requests_of_a_page(path: str) -> None:
    assert not USER_ACTIONS.search(BASE + path)


class Watch:
    """Counts the recorded actions."""

    moves = 0

    def record_user_action(self) -> None:
        self.moves += 1


def handler(method: str, path: str) -> tuple[ActivityHandler, Watch]:
    watch = Watch()
    connection: Any = SimpleNamespace(context=None, set_close_callback=lambda _: None)
    request = HTTPServerRequest(method, path, headers=HTTPHeaders(), connection=connection)
    return ActivityHandler(Application(), request, state={"activity": watch}), watch


@pytest.mark.parametrize(
    ("method", "path", "status", "moves"),
    [
        ("POST", "/api/kernel/run", 200, 1),
        ("POST", "/api/kernel/run", 302, 1),
        ("POST", "/api/kernel/run", 401, 0),
        ("POST", "/api/kernel/run", 403, 0),
        ("POST", "/api/kernel/run", 599, 0),
        ("GET", "/api/kernel/run", 200, 0),
        ("POST", "/api/usage", 200, 0),
        ("GET", "/sse", 200, 0),
    ],
)
def test_counts_only_accepted_requests(method: str, path: str, status: int, moves: int) -> None:
    of_request, watch = handler(method, BASE + path)
    of_request.set_status(status)
    of_request.on_finish()
    assert watch.moves == moves


@pytest.mark.parametrize(
    ("path", "message", "moves"),
    [
        ("/terminal/ws", "ls", 1),
        ("/terminal/ws", b"exit", 1),
        ("/terminal/ws", '{"type":"resize","cols":80,"rows":24}', 0),
        ("/lsp/copilot", '{"jsonrpc":"2.0"}', 0),
        ("/ws", "ping", 0),
    ],
)
def test_counts_input_in_a_terminal(path: str, message: str | bytes, moves: int) -> None:
    of_socket, watch = handler("GET", BASE + path)
    of_socket.on_message(message)
    assert watch.moves == moves


@pytest.mark.parametrize(
    ("path", "messages", "moves"),
    [
        ("/terminal/ws", ["python train.py\n"], 3),
        ("/terminal/ws", [], 0),
        ("/terminal/ws", ['{"type":"resize","cols":80,"rows":24}'], 0),
        ("/lsp/copilot", ['{"jsonrpc":"2.0"}'], 0),
    ],
)
def test_counts_what_a_command_prints(
    path: str, messages: list[str], moves: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str | bytes, bool]] = []
    monkeypatch.setattr(
        WebSocketHandler, "write_message", lambda _, message, binary: sent.append((message, binary))
    )
    of_socket, watch = handler("GET", BASE + path)
    for message in messages:
        of_socket.on_message(message)
    of_socket.write_message("epoch 1")
    of_socket.write_message(b"epoch 2", binary=True)
    assert watch.moves == moves
    assert sent == [("epoch 1", False), (b"epoch 2", True)]


class Marimo:
    """A fake marimo server: answers for each session with its state or an HTTP status."""

    def __init__(self) -> None:
        self.sessions: dict[str, str | int] = {}
        self.authorizations: set[str | None] = set()
        self.hangs = False
        self.base_url = "/jupyterlab/default/"
        self.entry = "marimo"
        self.server = Server("marimo")
        self.server.is_ready = True
        self.server.process_id = os.getpid()
        self.port = 0
        self.log = logging.getLogger("test")

    def get_request_headers_override(self) -> dict[str, str]:
        return {"Authorization": "Bearer token"}

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get(f"{BASE}/api/sessions", self._list)
        app.router.add_get(f"{BASE}/api/kernel/status", self._status)
        self._server = TestServer(app, port=self.port or None)
        await self._server.start_server(shutdown_timeout=0.1)
        self.port = self._server.port or 0

    async def stop(self) -> None:
        await self._server.close()

    async def _list(self, request: web.Request) -> web.Response:
        self.authorizations.add(request.headers.get("Authorization"))
        if self.hangs:
            await asyncio.sleep(600)
        return web.json_response({session: {} for session in self.sessions})

    async def _status(self, request: web.Request) -> web.Response:
        self.authorizations.add(request.headers.get("Authorization"))
        answer = self.sessions[request.headers["Marimo-Session-Id"]]
        if isinstance(answer, int):
            return web.json_response({"detail": "gone"}, status=answer)
        return web.json_response({"state": answer})


@pytest.fixture
async def marimo() -> AsyncIterator[Marimo]:
    server = Marimo()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def watch(marimo: Marimo, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Activity]:
    """An Activity whose checks the test calls itself."""
    monkeypatch.setenv("MARIMO_ACTIVITY_INTERVAL", "600")
    watch = Activity(marimo)
    yield watch
    watch._task.cancel()
    await asyncio.wait({watch._task})


@pytest.mark.anyio
class TestWatch:
    @pytest.mark.parametrize(
        ("sessions", "works"),
        [
            ({}, False),
            ({"s_1": "idle"}, False),
            ({"s_1": "running"}, True),
            ({"s_1": "idle", "s_2": "running"}, True),
            ({"s_1": 404, "s_2": "running"}, True),
            ({"s_1": 404}, False),
        ],
    )
    async def test_records_only_running_kernels(
        self, sessions: dict[str, str | int], works: bool, marimo: Marimo, watch: Activity
    ) -> None:
        marimo.sessions = sessions
        before = now()
        await watch._check()
        time = recorded()
        assert (time is not None) == works
        if time:
            assert before <= time <= now(), "the time is the time of the check"
        assert marimo.authorizations == {"Bearer token"}

    @pytest.mark.parametrize("runs", [True, False])
    async def test_records_a_command_in_a_terminal(
        self, runs: bool, watch: Activity, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(activity, "runs_command", lambda server: runs and server == 42)
        watch._server.process_id = 42
        await watch._check()
        assert (recorded() is not None) == runs

    async def test_records_an_action_once_with_its_own_time(
        self, marimo: Marimo, watch: Activity, file: Path
    ) -> None:
        before = now()
        watch.record_user_action()
        after = now()
        await asyncio.sleep(0.05)
        await watch._check()
        time = recorded()
        assert time and before <= time <= after, "the time of the action, not of the check"
        assert marimo.authorizations == set(), "no request to marimo is needed"
        file.unlink()
        await watch._check()
        assert recorded() is None

    async def test_sends_no_request_if_marimo_is_not_running(self, marimo: Marimo, watch: Activity) -> None:
        marimo.server.is_ready = False
        marimo.sessions = {"s_1": "running"}
        await watch._check()
        assert recorded() is None
        assert marimo.authorizations == set()

    async def test_continues_after_marimo_hangs_or_stops(
        self, marimo: Marimo, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(activity, "CHECK_TIMEOUT_SECONDS", 0.2)
        monkeypatch.setenv("MARIMO_ACTIVITY_INTERVAL", "0.1")
        marimo.sessions, marimo.hangs = {"s_1": "running"}, True
        watch = Activity(marimo)
        try:
            async with asyncio.timeout(20):
                while not (messages := [record.getMessage() for record in caplog.records]):
                    await asyncio.sleep(0.05)
            assert messages == ["sagemaker-marimo: activity cannot be recorded now: TimeoutError()"]
            await marimo.stop()
            await asyncio.sleep(0.5)
            assert len(caplog.records) == 1, "logged once, however long it lasts"
            assert recorded() is None
            marimo.hangs = False
            await marimo.start()
            async with asyncio.timeout(20):
                while recorded() is None:
                    await asyncio.sleep(0.05)
        finally:
            watch._task.cancel()
            await asyncio.wait({watch._task})
