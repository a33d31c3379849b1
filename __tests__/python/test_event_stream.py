"""The event stream of a page, with a fake marimo server."""

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
    """A fake marimo server: sends the queued pieces, and notices when the connection is closed."""

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
    # The pieces end inside events and inside the empty line between them.
    for piece in (b"data: 1\n", b"\ndata: 2\n\nda", b"ta: 3\n\n", b": keep-alive\n\n"):
        marimo.pieces.put_nowait(piece)
        await asyncio.sleep(0.02)
    await until(lambda: stream.last == 3)
    everything = [b"id: 1\ndata: 1\n\n", b"id: 2\ndata: 2\n\n", b"id: 3\ndata: 3\n\n"]
    assert stream.after(0) == everything
    assert stream.after(2) == everything[2:]
    assert stream.after(3) == []
    assert stream.after(4) is None, "a number that no event has"
    assert stream.after(-1) is None
    assert marimo.asked == ["Bearer token"]


@pytest.mark.parametrize("size", [1, 7, 4096])
async def test_loses_no_byte_for_any_size_of_pieces(size: int, marimo: Marimo, stream: EventStream) -> None:
    events = [b"data: %s" % (b"%d," % number * number) for number in range(1, 40)]
    sent = b"".join(event + b"\n\n" for event in events)
    for start in range(0, len(sent), size):
        marimo.pieces.put_nowait(sent[start : start + size])
    await until(lambda: stream.last == len(events))
    assert stream.after(0) == [b"id: %d\n%s\n\n" % pair for pair in enumerate(events, start=1)]


async def test_forgets_what_the_page_has(marimo: Marimo, stream: EventStream) -> None:
    for _ in range(5):
        marimo.pieces.put_nowait(b"data: x\n\n")
    await until(lambda: stream.last == 5)
    stream.confirm(3)
    assert stream.after(2) is None
    assert stream.after(3) == [b"id: 4\ndata: x\n\n", b"id: 5\ndata: x\n\n"]


READY = b'data: {"op": "kernel-ready", "data": {"resumed": %s, "kiosk": %s, "stable_session_id": "x"}}'


@pytest.mark.parametrize(
    ("resumed", "kiosk", "instantiated", "is_new"),
    [
        (b"true", b"false", set(), True),
        (b"true", b"false", {"x"}, False),
        (b"true", b"true", set(), False),
        (b"false", b"false", set(), True),
    ],
)
async def test_a_session_that_no_page_instantiated_is_new(
    resumed: bytes, kiosk: bytes, instantiated: set[str], is_new: bool, marimo: Marimo
) -> None:
    stream = EventStream("s_1", "a.py", "name", instantiated)
    await stream.open(marimo.url, {})
    marimo.pieces.put_nowait(b'data: {"op": "startup"}\n\n' + READY % (resumed, kiosk) + b"\n\n")
    await until(lambda: stream.last == 2)
    events = stream.after(1) or []
    assert (b'"resumed": false' in events[0]) == is_new
    assert stream.stable_session == "x"
    await stream.close()


async def test_notes_which_sessions_were_instantiated(marimo: Marimo) -> None:
    streams = EventStreams()
    stream = EventStream("s_1", "a.py", "name", streams.instantiated)
    await stream.open(marimo.url, {})
    streams.add(stream)
    marimo.pieces.put_nowait(READY % (b"false", b"false") + b"\n\n")
    await until(lambda: stream.last == 1)
    streams.note_instantiated("s_other")
    assert streams.instantiated == set()
    streams.note_instantiated("s_1")
    assert streams.instantiated == {"x"}
    await stream.close()


async def test_a_page_that_left_is_replaced(marimo: Marimo) -> None:
    streams = EventStreams()
    old = EventStream("s_old", "a.py", "name")
    await old.open(marimo.url, {})
    streams.add(old)
    assert streams.find("s_old", "name") is old
    assert streams.find("s_old", "other") is None
    assert streams.find("s_old", "") is None
    with old.reading():
        assert not await streams.make_room("s_new", "a.py"), "the page is present: marimo decides who edits"
    assert not await streams.make_room("s_new", "a.py"), "between two polls"
    old.leave()
    assert not await streams.make_room("s_new", "b.py"), "another notebook"
    assert not await streams.make_room("s_new", ""), "a viewer replaces no page"
    assert await streams.make_room("s_new", "a.py"), "interrupted, and replaced at once"
    await asyncio.wait_for(marimo.left.wait(), 20)
    assert streams.find("s_old", "name") is None
    assert streams.open_streams == 0


async def test_a_session_replaces_its_own_stream_even_while_it_is_read(marimo: Marimo) -> None:
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
    assert streams.find("s_1", "1") is ended, "its last events can still be requested"
    streams.add(other)
    assert streams.find("s_1", "1") is None
    newer = EventStream("s_2", "a.py", "3")
    streams.add(newer)
    streams.discard(other)
    assert streams.find("s_2", "3") is newer, "discarding an older stream keeps the newer one of the session"


async def test_ends_if_the_page_stays_away(
    marimo: Marimo, stream: EventStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "MAX_AWAY_SECONDS", 0.2)
    with stream.reading():
        await asyncio.sleep(0.5)
        assert not stream.ended, "the page is present"
    await asyncio.wait_for(marimo.left.wait(), 20)
    assert stream.ended


async def test_does_not_end_if_the_page_returns(stream: EventStream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "MAX_AWAY_SECONDS", 0.2)
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


async def test_raises_if_marimo_rejects_the_request(marimo: Marimo) -> None:
    marimo.status = 401
    with pytest.raises(Refused) as refused:
        await EventStream("s_1", "a.py", "name").open(marimo.url, {})
    assert refused.value.status == 401


async def test_raises_if_marimo_is_not_running(marimo: Marimo) -> None:
    await marimo.stop()
    stream = EventStream("s_1", "a.py", "name")
    with pytest.raises(aiohttp.ClientConnectionError):
        await stream.open(marimo.url, {})
    assert stream.ended


async def test_keeps_the_close_event(marimo: Marimo, stream: EventStream) -> None:
    marimo.pieces.put_nowait(b'event: close\ndata: {"code": 1000}\n\n')
    marimo.pieces.put_nowait(b"")
    await until(lambda: stream.ended)
    assert stream.after(0) == [b'id: 1\nevent: close\ndata: {"code": 1000}\n\n']
