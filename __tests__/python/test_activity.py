"""What is written for Studio's idle shutdown, and when, against a stand-in for marimo."""

import asyncio
import logging
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

from sagemaker_marimo import activity
from sagemaker_marimo.activity import (
    MOVES,
    Activity,
    ActivityHandler,
    interval_seconds,
    now,
    record,
    recorded,
)

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
        datetime(2026, 1, 2, 3, 4, 5, 0, UTC),  # isoformat() would leave the fraction out
    ],
)
def test_the_extension_reads_what_is_recorded(time: datetime, file: Path) -> None:
    record(time)
    assert re.fullmatch(r"2026-01-02T03:04:05\.\d{6}Z", file.read_text())
    assert recorded() == time
    read = LocalFileActiveTimestampChecker().read_last_active_timestamp(str(file))
    assert read.replace(tzinfo=UTC) == time
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(file.parent.iterdir()) == [file], "nothing is left beside it"


def test_never_goes_back(file: Path) -> None:
    time = now()
    record(time)
    record(time - timedelta(seconds=1))
    assert recorded() == time
    record(time + timedelta(microseconds=1))
    assert recorded() == time + timedelta(microseconds=1)


@pytest.mark.parametrize("content", ["", "soon", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000+02:00"])
def test_replaces_what_is_no_time(content: str, file: Path) -> None:
    file.write_text(content)
    assert recorded() is None
    time = now()
    record(time)
    assert recorded() == time


def test_replaces_a_link_and_not_what_it_names(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("another's")
    file.symlink_to(target)
    record(now())
    assert target.read_text() == "another's"
    assert not file.is_symlink()


def test_leaves_nothing_where_it_cannot_write(file: Path) -> None:
    file.mkdir()  # which nothing replaces
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


def test_interval_is_well_below_studios_shortest_time_out() -> None:
    assert activity.INTERVAL_SECONDS + activity.PATIENCE_SECONDS < 60 * 60 / 10


@pytest.mark.parametrize(
    "path",
    [
        *(f"/api/kernel/{name}" for name in activity.KERNEL_MOVES if "pdb" not in name),
        "/api/kernel/pdb/pm",
        "/api/ai/completion",
        "/api/export/html",
        "/api/files/update",
        "/api/home/shutdown_session",
        "/api/packages/add",
        "/api/secrets/create",
    ],
)
def test_counts_what_a_person_does(path: str) -> None:
    assert MOVES.search(BASE + path)


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
def test_does_not_count_what_a_page_sends_by_itself(path: str) -> None:
    assert not MOVES.search(BASE + path)


class Watch:
    """Counts what it is told of."""

    moves = 0

    def moved(self) -> None:
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
def test_counts_requests_that_marimo_took(method: str, path: str, status: int, moves: int) -> None:
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
def test_counts_what_a_person_types(path: str, message: str | bytes, moves: int) -> None:
    of_socket, watch = handler("GET", BASE + path)
    of_socket.on_message(message)
    assert watch.moves == moves


class Marimo:
    """Answers for its sessions: their states, or an HTTP status."""

    def __init__(self) -> None:
        self.sessions: dict[str, str | int] = {}
        self.authorizations: set[str | None] = set()
        self.hangs = False
        self.base_url = "/jupyterlab/default/"
        self.entry = "marimo"
        self.state: dict[str, Any] = {"proc": object()}
        self.log = logging.getLogger("test")

    def get_request_headers_override(self) -> dict[str, str]:
        return {"Authorization": "Bearer token"}

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get(f"{BASE}/api/sessions", self._list)
        app.router.add_get(f"{BASE}/api/kernel/status", self._status)
        self._server = TestServer(app)
        await self._server.start_server(shutdown_timeout=0.1)
        self.state["port"] = self._server.port

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
    """One whose turns the test takes itself."""
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
    async def test_records_running_kernels_alone(
        self, sessions: dict[str, str | int], works: bool, marimo: Marimo, watch: Activity
    ) -> None:
        marimo.sessions = sessions
        before = now()
        await watch._look()
        time = recorded()
        assert (time is not None) == works
        if time:
            assert before <= time <= now(), "neither of before nor of the future"
        assert marimo.authorizations == {"Bearer token"}

    async def test_records_a_move_with_its_own_time_and_once(
        self, marimo: Marimo, watch: Activity, file: Path
    ) -> None:
        before = now()
        watch.moved()
        after = now()
        await asyncio.sleep(0.05)
        await watch._look()
        time = recorded()
        assert time and before <= time <= after, "when the person did it, not when the watch came round"
        assert marimo.authorizations == set(), "marimo need not be asked"
        file.unlink()
        await watch._look()
        assert recorded() is None

    async def test_asks_no_marimo_that_does_not_run(self, marimo: Marimo, watch: Activity) -> None:
        del marimo.state["proc"]
        marimo.sessions = {"s_1": "running"}
        await watch._look()
        assert recorded() is None
        assert marimo.authorizations == set()

    async def test_goes_on_after_a_marimo_that_hangs_or_is_gone(
        self, marimo: Marimo, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(activity, "PATIENCE_SECONDS", 0.2)
        monkeypatch.setenv("MARIMO_ACTIVITY_INTERVAL", "0.1")
        marimo.sessions, marimo.hangs = {"s_1": "running"}, True
        watch = Activity(marimo)
        try:
            async with asyncio.timeout(20):
                while not (told := [record.getMessage() for record in caplog.records]):
                    await asyncio.sleep(0.05)
            assert told == ["sagemaker-marimo: activity is not recorded for now: TimeoutError()"]
            await marimo.stop()
            await asyncio.sleep(0.5)
            assert len(caplog.records) == 1, "told once, however long it lasts"
            assert recorded() is None
            marimo.hangs = False
            await marimo.start()  # on another port
            async with asyncio.timeout(20):
                while recorded() is None:
                    await asyncio.sleep(0.05)
        finally:
            watch._task.cancel()
            await asyncio.wait({watch._task})
