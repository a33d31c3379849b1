"""The stream behind a page, against a stand-in for marimo."""

import asyncio
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sagemaker_marimo import event_stream
from sagemaker_marimo.event_stream import EventStream, EventStreams, Refused

pytestmark = pytest.mark.anyio


class Marimo:
    """Sends what it is told to; knows when it was let go."""

    def __init__(self) -> None:
        self.pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self.left = asyncio.Event()
        self.status = 200
        self.asked: list[str | None] = []

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/sse", self._serve)
        self._server = TestServer(app)
        await self._server.start_server(shutdown_timeout=0.1)
        self.url = str(self._server.make_url("/sse"))

    async def stop(self) -> None:
        await self._server.close()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.headers.get("Authorization"))
        response = web.StreamResponse(status=self.status)
        await response.prepare(request)
        try:
            while piece := await self.pieces.get():
                await response.write(piece)
        finally:
            self.left.set()
        return response


@pytest.fixture
async def marimo() -> AsyncIterator[Marimo]:
    server = Marimo()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def stream(marimo: Marimo) -> AsyncIterator[EventStream]:
    stream = EventStream("s_1", "a.py", "name")
    await stream.open(marimo.url, {"Authorization": "Bearer token"})
    yield stream
    await stream.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def test_numbers_and_replays(marimo: Marimo, stream: EventStream) -> None:
    # In pieces that end within events and within the empty line between them.
    for piece in (b"data: 1\n", b"\ndata: 2\n\nda", b"ta: 3\n\n", b": keep-alive\n\n"):
        marimo.pieces.put_nowait(piece)
        await asyncio.sleep(0.02)
    await until(lambda: stream.last == 3)
    everything = [b"id: 1\ndata: 1\n\n", b"id: 2\ndata: 2\n\n", b"id: 3\ndata: 3\n\n"]
    assert stream.after(0) == everything
    assert stream.after(2) == everything[2:]
    assert stream.after(3) == []
    assert stream.after(4) is None, "a number that was never given"
    assert stream.after(-1) is None
    assert marimo.asked == ["Bearer token"]


@pytest.mark.parametrize("size", [1, 7, 4096])
async def test_loses_no_byte_however_marimo_cuts_its_events(
    size: int, marimo: Marimo, stream: EventStream
) -> None:
    events = [b"data: %s" % (b"%d," % number * number) for number in range(1, 40)]
    sent = b"".join(event + b"\n\n" for event in events)
    for start in range(0, len(sent), size):
        marimo.pieces.put_nowait(sent[start : start + size])
    await until(lambda: stream.last == len(events))
    assert stream.after(0) == [b"id: %d\n%s\n\n" % pair for pair in enumerate(events, start=1)]


async def test_is_bounded(marimo: Marimo, stream: EventStream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "KEPT_BYTES", 1000)
    for _ in range(100):
        marimo.pieces.put_nowait(b"data: %s\n\n" % (b"x" * 100))
    await until(lambda: stream.last == 100)
    assert stream.after(0) is None, "told that it missed something"
    kept = stream.after(95)
    assert kept is not None and len(kept) == 5
    assert sum(len(event) for event in stream._events) <= 1000


async def test_keeps_an_event_that_is_larger_than_what_is_kept(
    marimo: Marimo, stream: EventStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "KEPT_BYTES", 1000)
    large = b"data: %s" % (b"x" * 5000)
    marimo.pieces.put_nowait(b"data: 1\n\n" + large + b"\n\n")
    await until(lambda: stream.last == 2)
    assert stream.after(1) == [b"id: 2\n%s\n\n" % large]
    assert stream.after(0) is None


async def test_lets_go(marimo: Marimo) -> None:
    streams = EventStreams()
    old = EventStream("s_old", "a.py", "name")
    await old.open(marimo.url, {})
    streams.add(old)
    assert streams.find("s_old", "name") is old
    assert streams.find("s_old", "other") is None
    assert streams.find("s_old", "") is None
    with old.reading():
        assert not await streams.make_room("s_new", "a.py"), "someone is there: marimo decides who edits"
    assert not await streams.make_room("s_new", "a.py"), "between two polls"
    old.leave()
    assert not await streams.make_room("s_new", "b.py"), "another notebook's"
    assert not await streams.make_room("s_new", ""), "a viewer's replaces nobody's"
    assert await streams.make_room("s_new", "a.py"), "cut off, and replaced at once"
    await asyncio.wait_for(marimo.left.wait(), 20)
    assert streams.find("s_old", "name") is None
    assert streams.open_streams == 0


async def test_is_replaced_by_its_own_session_even_while_it_is_read(marimo: Marimo) -> None:
    streams = EventStreams()
    old = EventStream("s_1", "a.py", "name")
    await old.open(marimo.url, {})
    streams.add(old)
    with old.reading():
        assert await streams.make_room("s_1", "")
    assert old.ended


async def test_forgets_streams_that_ended() -> None:
    streams = EventStreams()
    ended, other = EventStream("s_1", "a.py", "1"), EventStream("s_2", "a.py", "2")
    streams.add(ended)
    ended.end()
    assert streams.find("s_1", "1") is ended, "its last events can still be asked for"
    streams.add(other)
    assert streams.find("s_1", "1") is None
    newer = EventStream("s_2", "a.py", "3")
    streams.add(newer)
    streams.discard(other)
    assert streams.find("s_2", "3") is newer, "an older stream of the session takes no newer one away"


async def test_loses_patience(marimo: Marimo, stream: EventStream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "PATIENCE", 0.2)
    with stream.reading():
        await asyncio.sleep(0.5)
        assert not stream.ended, "someone is there"
    await asyncio.wait_for(marimo.left.wait(), 20)
    assert stream.ended


async def test_has_patience_with_a_page_that_comes_back(
    stream: EventStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "PATIENCE", 0.2)
    with stream.reading():
        pass
    with stream.reading():
        await asyncio.sleep(0.5)
        assert not stream.ended


async def test_has_one_reader() -> None:
    stream = EventStream("s_1", "a.py", "name")
    with stream.reading() as first:
        assert stream.is_read_by(first)
        with stream.reading() as second:
            assert not stream.is_read_by(first)
            assert stream.is_read_by(second)
    assert not stream.is_away
    stream.end()


async def test_wakes_its_reader(marimo: Marimo, stream: EventStream) -> None:
    assert not await stream.change(0.01)
    asyncio.get_running_loop().call_later(0.05, marimo.pieces.put_nowait, b"data: 1\n\n")
    assert await stream.change(20)
    assert stream.last == 1
    asyncio.get_running_loop().call_later(0.05, stream.leave)
    assert await stream.change(20)


async def test_tells_of_a_refusal(marimo: Marimo) -> None:
    marimo.status = 401
    with pytest.raises(Refused) as refused:
        await EventStream("s_1", "a.py", "name").open(marimo.url, {})
    assert refused.value.status == 401


async def test_tells_of_a_marimo_that_is_not_there(marimo: Marimo) -> None:
    await marimo.stop()
    stream = EventStream("s_1", "a.py", "name")
    with pytest.raises(aiohttp.ClientConnectionError):
        await stream.open(marimo.url, {})
    assert stream.ended


async def test_does_not_lose_its_end(marimo: Marimo, stream: EventStream) -> None:
    marimo.pieces.put_nowait(b'event: close\ndata: {"code": 1000}\n\n')
    marimo.pieces.put_nowait(b"")
    await until(lambda: stream.ended)
    assert stream.after(0) == [b'id: 1\nevent: close\ndata: {"code": 1000}\n\n']
