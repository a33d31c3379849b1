"""marimo's events on their way to a page: read for as long as it may come back, replayed when it does.

Between space and browser, connections are cut and held back. Reading from marimo therefore does not depend on
the browser's connection: events are numbered and kept, and a page that comes back names the last one it has.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

# What is kept for a page, in bytes. A page that missed more connects to marimo anew, as after a reload.
KEPT_BYTES = 8 << 20
# Seconds a page may be away (a laptop asleep, a network lost) before its connection to marimo is given up.
PATIENCE = 180.0
# Seconds between two requests of a page that polls: one that is slower is gone.
BETWEEN_POLLS = 5.0


class Refused(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(f"marimo answered {status}")
        self.status = status


class EventStream:
    def __init__(self, session: str, file: str, name: str) -> None:
        self.session, self.file, self.name = session, file, name
        self.last = 0
        self.ended = False
        self._events: deque[bytes] = deque()
        self._bytes = 0
        self._changed = asyncio.Event()
        self._reader: object | None = None
        self._left = 0.0
        self._patience: asyncio.TimerHandle | None = None
        self._upstream: asyncio.Task[None] | None = None

    async def open(self, url: str, headers: dict[str, str]) -> None:
        """Connects to marimo; raises Refused or aiohttp.ClientError when that cannot be."""
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._upstream = asyncio.create_task(self._read(url, headers, opened))
        await opened

    async def close(self) -> None:
        """Lets go of marimo, which then knows that the page is gone."""
        self.end()
        if self._upstream:
            self._upstream.cancel()
            await asyncio.wait({self._upstream})

    def end(self) -> None:
        self.ended = True
        if self._patience:
            self._patience.cancel()
        self._changed.set()

    def after(self, number: int) -> list[bytes] | None:
        """The events after that number; None when they are no longer kept."""
        missing = self.last - number
        if not 0 <= missing <= len(self._events):
            return None
        return list(self._events)[len(self._events) - missing :]

    async def change(self, timeout: float) -> bool:
        """Waits for anything new; tells whether there was."""
        self._changed.clear()
        try:
            await asyncio.wait_for(self._changed.wait(), timeout)
        except TimeoutError:
            return False
        return True

    def wake(self) -> None:
        self._changed.set()

    @contextmanager
    def reading(self) -> Iterator[object]:
        """The page is there. A page's newest request is its only one: an older one finds itself replaced."""
        self._reader = reader = object()
        if self._patience:
            self._patience.cancel()
        self._changed.set()
        try:
            yield reader
        finally:
            if self._reader is reader:
                self._reader = None
                # A page that is cut off and one between two polls look the same here; see `leave`.
                self._left = time.monotonic() + BETWEEN_POLLS
                if not self.ended:
                    loop = asyncio.get_running_loop()
                    self._patience = loop.call_later(PATIENCE, self._give_up)

    def is_read_by(self, reader: object) -> bool:
        return self._reader is reader

    def leave(self) -> None:
        """The page's connection was cut: it is away, though it may come back."""
        self._left = 0.0
        self._changed.set()

    @property
    def is_away(self) -> bool:
        return self._reader is None and time.monotonic() >= self._left

    def _give_up(self) -> None:
        self.end()
        if self._upstream:
            self._upstream.cancel()

    def _add(self, event: bytes) -> None:
        self.last += 1
        framed = b"id: %d\n%s\n\n" % (self.last, event)
        self._events.append(framed)
        self._bytes += len(framed)
        while self._bytes > KEPT_BYTES and len(self._events) > 1:
            self._bytes -= len(self._events.popleft())
        self._changed.set()

    async def _read(self, url: str, headers: dict[str, str], opened: "asyncio.Future[None]") -> None:
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_connect=10)) as client,
                client.get(url, headers=headers) as response,
            ):
                if response.status != 200:
                    raise Refused(response.status)
                opened.set_result(None)
                rest = bytearray()
                async for chunk in response.content.iter_any():
                    rest += chunk
                    if b"\n\n" not in chunk and not rest.endswith(b"\n\n"):
                        continue  # within a large event: looking for its end each time would take n² time
                    *events, tail = bytes(rest).split(b"\n\n")
                    rest = bytearray(tail)
                    for event in events:
                        if not event.startswith(b":"):
                            self._add(event)
        except (Refused, aiohttp.ClientError, TimeoutError) as error:
            if not opened.done():
                opened.set_exception(error)
        finally:
            if not opened.done():  # closed meanwhile, for a newer page
                opened.set_exception(Refused(503))
            self.end()


class EventStreams:
    """The streams of all pages, one for each of marimo's sessions."""

    def __init__(self) -> None:
        self._streams: dict[str, EventStream] = {}

    def find(self, session: str, name: str) -> EventStream | None:
        stream = self._streams.get(session)
        return stream if stream and name and stream.name == name else None

    def add(self, stream: EventStream) -> None:
        for session, other in list(self._streams.items()):
            if other.ended:
                del self._streams[session]
        self._streams[stream.session] = stream

    def discard(self, stream: EventStream) -> None:
        if self._streams.get(stream.session) is stream:
            del self._streams[stream.session]

    async def make_room(self, session: str, file: str) -> bool:
        """Closes what a reloaded page or a new tab replaces; tells whether there was any.

        marimo would take a page that is away for the notebook's editor, and the new one for a reader.
        """
        old = [
            stream
            for stream in self._streams.values()
            if stream.session == session or (file and stream.file == file and stream.is_away)
        ]
        for stream in old:
            self.discard(stream)
            await stream.close()
        return bool(old)

    @property
    def open_streams(self) -> int:
        return sum(not stream.ended for stream in self._streams.values())
