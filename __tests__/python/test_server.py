"""marimo's server is started again after any end, and at growing intervals if it keeps failing."""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator

import pytest

from sagemaker_marimo import server as module
from sagemaker_marimo.server import NotRunningError, Server

LOG = logging.getLogger("test")
LISTEN = "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1])));"


@pytest.fixture
def port() -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
    yield number


class Trial(Server):
    """A server that runs a Python program, and counts its starts."""

    def __init__(self, port: int, program: str) -> None:
        super().__init__("trial")
        self.port, self.program, self.starts = port, program, 0

    async def run(self) -> None:
        await self.start(self.port, self.command, lambda: {"TRIAL": "yes"}, LOG)

    def command(self) -> list[str]:
        self.starts += 1
        return [sys.executable, "-c", self.program, str(self.port)]

    async def until_ended(self) -> None:
        async with asyncio.timeout(20):
            while self.is_ready:
                await asyncio.sleep(0.01)


@pytest.mark.anyio
class TestServer:
    async def test_all_requests_share_one_start(self, port: int) -> None:
        server = Trial(port, f"{LISTEN} time.sleep(1)")
        await asyncio.gather(*(server.run() for _ in range(5)))
        assert (server.starts, server.is_ready) == (1, True)
        await server.until_ended()

    async def test_a_start_goes_on_if_its_request_is_cancelled(self, port: int) -> None:
        server = Trial(port, f"import time; time.sleep(0.5); {LISTEN} time.sleep(1)")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await server.run()
        await server.run()
        assert (server.starts, server.is_ready) == (1, True)
        await server.until_ended()

    async def test_is_shut_down_after_status_0_and_starts_again(self, port: int) -> None:
        server = Trial(port, f"{LISTEN} time.sleep(0.3)")
        await server.run()
        await server.until_ended()
        assert (server.is_shut_down, server.failures, server.pause) == (True, 0, 0)
        await server.run()
        assert (server.starts, server.is_shut_down) == (2, False)
        await server.until_ended()

    async def test_starts_again_at_once_after_the_first_failure(self, port: int) -> None:
        server = Trial(port, f"import os; {LISTEN} print(os.getpid(), flush=True); time.sleep(30)")
        await server.run()
        async with asyncio.timeout(20):
            while not server.output:
                await asyncio.sleep(0.01)
        os.kill(int(server.output), signal.SIGKILL)
        await server.until_ended()
        assert (server.is_shut_down, server.failures, server.pause) == (False, 1, 0)
        assert server.end == "it was killed, possibly because the space is out of memory"
        server.program = f"{LISTEN} time.sleep(0.3)"
        await server.run()
        await server.until_ended()

    async def test_waits_longer_after_each_failure_and_says_why(
        self, port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "PAUSES", (0.0, 0.2, 0.4))
        server = Trial(port, "import os; print(os.environ['TRIAL']); raise SystemExit(3)")
        pauses = []
        for _ in range(4):
            with pytest.raises(NotRunningError, match="it ended with status 3"):
                await server.run()
            pauses.append(round(server.pause, 1))
            if server.pause:
                with pytest.raises(NotRunningError, match="it ended with status 3"):
                    await server.run()
            await asyncio.sleep(server.pause)
        assert pauses == [0.0, 0.2, 0.4, 0.4]
        assert server.starts == 4
        assert server.output == "yes"

    async def test_does_not_count_failures_long_apart(
        self, port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "STABLE_SECONDS", 0.3)
        server = Trial(port, f"{LISTEN} time.sleep(0.5); raise SystemExit(1)")
        for _ in range(2):
            await server.run()
            await server.until_ended()
            assert server.failures == 1

    async def test_gives_up_a_server_that_does_not_answer(
        self, port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "START_SECONDS", 0.3)
        server = Trial(port, "import time; time.sleep(60)")
        began = time.monotonic()
        with pytest.raises(NotRunningError, match="did not answer within 0 s"):
            await server.run()
        assert time.monotonic() - began < 20

    async def test_a_missing_program_is_a_failure(self, port: int) -> None:
        server = Trial(port, "")
        with pytest.raises(NotRunningError, match=r"could not be started: .*/nowhere"):
            await server.start(port, lambda: ["/nowhere"], dict, LOG)
