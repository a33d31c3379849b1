"""marimo's server: started by the first request for its page, and again after it has ended for any reason.

jupyter-server-proxy 4.5.0 and 4.6.0 keep a process that has ended with status 0, such as after a click on
"Shutdown" on marimo's home page, and answer every later request with 500. simpervisor 1.0.0 restarts a
process that fails at once and forever. Here, a server that keeps failing is started at growing intervals, and
the page shows the last lines of its output.

Private interface: simpervisor's `SupervisedProcess` calls its own `start()` to restart.
"""

import asyncio
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from logging import Logger

from simpervisor import SupervisedProcess

START_SECONDS = 60.0
"""How long marimo may take until it accepts connections. Usually it takes seconds."""
STABLE_SECONDS = 60.0
"""A server that has run this long did not fail to start: the next failure counts as the first."""
PAUSES = (0.0, 5.0, 15.0, 60.0)
"""Seconds between a failure and the next start, by the number of failures in a row. The last one repeats."""
OUTPUT_LINES = 40


class NotRunningError(Exception):
    """Why no server answers now."""


class SingleRun(SupervisedProcess):  # type: ignore[misc]  # it has no types
    """A process without simpervisor's restarts. JupyterLab's SIGTERM and SIGINT still reach it."""

    async def start(self) -> None:
        if self.proc is None:
            await super().start()


class Server:
    """The server of one entry in JupyterLab's launcher."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.failures = 0
        """Failures in a row."""
        self.end = ""
        """How the last server ended, such as "it ended with status 1"."""
        self.is_ready = False
        self.process_id = 0
        """Of the server that was started last."""
        self.is_shut_down = False
        """The user has shut the server down. Only a request for its page starts it again."""
        self.opens_without_packages = False
        """The user does not want to wait for the packages of ~/requirements.txt."""
        self.has_own_connection = False
        """A page has reported that its event stream is marimo's own (own_connection.js)."""
        self._output: deque[str] = deque(maxlen=OUTPUT_LINES)
        self._not_before = 0.0
        self._starting: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def pause(self) -> float:
        """Seconds until the server may be started again."""
        return max(0.0, self._not_before - time.monotonic())

    @property
    def output(self) -> str:
        """The last lines that the server printed."""
        return "\n".join(self._output)

    async def start(
        self,
        port: int,
        command: Callable[[], Sequence[str]],
        environment: Callable[[], Mapping[str, str]],
        log: Logger,
    ) -> None:
        """Waits until the server accepts connections. Requests share one start.

        Raises NotRunningError if it ends before, or if it has failed and the pause after that is not over.
        """
        if self.is_ready:
            return
        if self._starting is None or self._starting.done():
            if self.pause:
                raise NotRunningError(f"the server {self.name} does not run: {self.end}")
            self._starting = asyncio.create_task(self._start(port, command(), environment(), log))
            # Without this, asyncio prints the error if no request waits for it any longer.
            self._starting.add_done_callback(lambda start: start.cancelled() or start.exception())
        # The start goes on if this request is cancelled.
        await asyncio.shield(self._starting)

    async def _start(
        self, port: int, command: Sequence[str], environment: Mapping[str, str], log: Logger
    ) -> None:
        self._output.clear()
        self.is_shut_down = False
        began = time.monotonic()
        read, write = os.pipe()
        process = SingleRun(
            self.name, *command, env={**os.environ, **environment}, stdout=write, stderr=write, log=log
        )
        try:
            await process.start()
        except OSError as error:
            os.close(read)
            raise self._failed(f"it could not be started: {error}", began) from None
        finally:
            os.close(write)
        self.process_id = process.proc.pid
        self._keep(self._copy(read))
        ended = asyncio.create_task(process.proc.wait())
        while not await accepts(port):
            await asyncio.wait({ended}, timeout=0.05)
            if ended.done():
                raise self._failed(ended_with(ended.result()), began)
            if time.monotonic() - began > START_SECONDS:
                await process.kill()
                raise self._failed(f"it did not answer within {START_SECONDS:.0f} s", began)
        self.is_ready = True
        self._keep(self._watch(ended, began, log))

    async def _watch(self, ended: "asyncio.Task[int]", began: float, log: Logger) -> None:
        status = await ended
        self.is_ready = False
        if status == 0:
            self.is_shut_down, self.failures = True, 0
            log.info("sagemaker-marimo: the server %s was shut down", self.name)
        else:
            log.warning("sagemaker-marimo: %s", self._failed(ended_with(status), began))

    def _failed(self, end: str, began: float) -> NotRunningError:
        self.end = end
        is_stable = time.monotonic() - began >= STABLE_SECONDS
        self.failures = 1 if is_stable else self.failures + 1
        self._not_before = time.monotonic() + PAUSES[min(self.failures, len(PAUSES)) - 1]
        return NotRunningError(f"the server {self.name} does not run: {end}")

    async def _copy(self, descriptor: int) -> None:
        """Copies the output to JupyterLab's, which Studio sends to CloudWatch, and keeps the last lines."""
        reader = asyncio.StreamReader(limit=1 << 16)
        with os.fdopen(descriptor, "rb", buffering=0) as pipe:
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), pipe
            )
            rest = b""
            while data := await reader.read(1 << 16):
                with suppress(OSError, ValueError):
                    sys.stderr.buffer.write(data)
                    sys.stderr.flush()
                *lines, rest = (rest + data[-(1 << 14) :]).split(b"\n")
                self._output.extend(line.decode(errors="replace")[:500] for line in lines)
            transport.close()

    def _keep(self, work: Coroutine[None, None, None]) -> None:
        """asyncio keeps only weak references to tasks."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def ended_with(status: int) -> str:
    if status == -9:
        return "it was killed, possibly because the space is out of memory"
    return f"it was ended by signal {-status}" if status < 0 else f"it ended with status {status}"


async def accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
