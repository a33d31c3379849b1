"""marimo's events on their way to a page. They are kept while the page is away, and resent when it returns.

Between the space and the browser, connections are interrupted and responses buffered. Reading from marimo
is therefore independent of the browser's connection: events are numbered, and a page names the last one
it has.
"""

import asyncio
import json
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager

import aiohttp

from sagemaker_marimo.kept_events import KeptEvents

# Seconds that a page may be away (laptop asleep, no network) before its connection to marimo is closed.
MAX_AWAY_SECONDS = 16 * 3600.0
# marimo 0.25.2 sends this event first, or after some about its start.
KERNEL_READY = b'data: {"op": "kernel-ready"'
GREETING = 10
# Bytes sent at a time, so that a page that returns after hours does not need all its events in memory.
BATCH_BYTES = 1 << 20
# Maximum seconds between two requests of a polling page. After that, the page counts as away.
BETWEEN_POLLS = 5.0


class Refused(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(f"marimo answered {status}")
        self.status = status


class EventStream:
    def __init__(
        self, session: str, file: str, name: str, instantiated: Container[str] = frozenset()
    ) -> None:
        self.session, self.file, self.name = session, file, name
        self.stable_session = ""
        """marimo's own name of the session, which outlives its pages."""
        self._instantiated = instantiated
        self.ended = False
        self._kept = KeptEvents()
        self._changed = asyncio.Event()
        self._reader: object | None = None
        self._left = 0.0
        self._away_timer: asyncio.TimerHandle | None = None
        self._upstream: asyncio.Task[None] | None = None

    async def open(self, url: str, headers: dict[str, str]) -> None:
        """Connects to marimo. Raises Refused or aiohttp.ClientError if that fails."""
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._upstream = asyncio.create_task(self._read(url, headers, opened))
        await opened

    async def close(self) -> None:
        """Closes the connection to marimo, which then knows that the page is gone."""
        self.end()
        if self._upstream:
            self._upstream.cancel()
            await asyncio.wait({self._upstream})
        self._kept.clear()

    def end(self) -> None:
        self.ended = True
        if self._away_timer:
            self._away_timer.cancel()
        self._changed.set()

    @property
    def last(self) -> int:
        """The number of the newest event."""
        return self._kept.last

    def after(self, number: int) -> list[bytes] | None:
        """The next events after this number, or None if they were discarded."""
        return self._kept.after(number, BATCH_BYTES)

    def confirm(self, number: int) -> None:
        """The page has the events up to this number, and never asks for them again."""
        self._kept.confirm(number)

    async def change(self, timeout: float) -> bool:
        """Waits for a change. Returns whether there was one."""
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
        """Marks the page as present. Its newest request replaces an older one."""
        self._reader = reader = object()
        if self._away_timer:
            self._away_timer.cancel()
        self._changed.set()
        try:
            yield reader
        finally:
            if self._reader is reader:
                self._reader = None
                # An interrupted page and a page between two polls look the same here; see `leave`.
                self._left = time.monotonic() + BETWEEN_POLLS
                if not self.ended:
                    loop = asyncio.get_running_loop()
                    self._away_timer = loop.call_later(MAX_AWAY_SECONDS, self._give_up)

    def is_read_by(self, reader: object) -> bool:
        return self._reader is reader

    def leave(self) -> None:
        """The page's connection was interrupted. The page is away, but may return."""
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
        if self.last < GREETING and event.startswith(KERNEL_READY):
            event = self._ready(event)
        self._kept.append(b"id: %d\n%s\n\n" % (self.last + 1, event))
        self._changed.set()

    def _ready(self, event: bytes) -> bytes:
        """Presents a session that no page has instantiated as a new one, so that this page does it.

        The page that started the session may have been closed before. marimo 0.25.2 resumes such a session
        for later pages, which never instantiate it: its cells would never have an output.
        """
        message = json.loads(event.removeprefix(b"data:"))
        ready = message["data"]
        self.stable_session = ready.get("stable_session_id") or ""
        if ready["kiosk"] or not ready["resumed"] or self.stable_session in self._instantiated:
            return event
        ready["resumed"] = False
        return b"data: " + json.dumps(message).encode()

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
                        continue  # inside a large event: searching for its end each time would be O(n²)
                    *events, tail = bytes(rest).split(b"\n\n")
                    rest = bytearray(tail)
                    for event in events:
                        if not event.startswith(b":"):
                            self._add(event)
        except (Refused, aiohttp.ClientError, TimeoutError) as error:
            if not opened.done():
                opened.set_exception(error)
        finally:
            if not opened.done():  # closed in the meantime, because a newer page replaced it
                opened.set_exception(Refused(503))
            self.end()


class EventStreams:
    """The streams of all pages, one for each marimo session."""

    def __init__(self) -> None:
        self._streams: dict[str, EventStream] = {}
        self.instantiated: set[str] = set()
        """The stable names of the sessions that a page has instantiated."""

    def note_instantiated(self, session: str) -> None:
        if stream := self._streams.get(session):
            self.instantiated.add(stream.stable_session)

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
        """Closes the streams that a reloaded page or a new tab replaces. Returns whether there were any.

        Otherwise marimo would treat the page that is away as the editor, and the new page as a viewer.
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
