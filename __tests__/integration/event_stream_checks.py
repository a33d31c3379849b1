# ruff: noqa: S101
"""The stream behind a page, against a stand-in for marimo: run by event-stream.test.ts, one check by name."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

from aiohttp import web

from sagemaker_marimo import event_stream
from sagemaker_marimo.event_stream import EventStream, EventStreams, Refused


class Marimo:
    """Sends what it is told to; knows when it was let go."""

    def __init__(self) -> None:
        self.pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self.left = asyncio.Event()
        self.status = 200

    async def __aenter__(self) -> "Marimo":
        app = web.Application()
        app.router.add_get("/sse", self._serve)
        self._runner = web.AppRunner(app, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, shutdown_timeout=0.1)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/sse"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=self.status)
        await response.prepare(request)
        try:
            while piece := await self.pieces.get():
                await response.write(piece)
        finally:
            self.left.set()
        return response


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def numbers_and_replays() -> None:
    async with Marimo() as marimo:
        stream = EventStream("s_1", "a.py", "name")
        await stream.open(marimo.url, {})
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
        await stream.close()


async def is_bounded() -> None:
    event_stream.KEPT_BYTES = 1000
    async with Marimo() as marimo:
        stream = EventStream("s_1", "a.py", "name")
        await stream.open(marimo.url, {})
        for _ in range(100):
            marimo.pieces.put_nowait(b"data: %s\n\n" % (b"x" * 100))
        await until(lambda: stream.last == 100)
        assert stream.after(0) is None, "told that it missed something"
        kept = stream.after(95)
        assert kept is not None and len(kept) == 5
        assert sum(len(event) for event in stream._events) <= 1000
        await stream.close()


async def lets_go() -> None:
    async with Marimo() as marimo:
        streams = EventStreams()
        old = EventStream("s_old", "a.py", "name")
        await old.open(marimo.url, {})
        streams.add(old)
        assert streams.find("s_old", "name") is old
        assert streams.find("s_old", "other") is None
        with old.reading():
            assert not await streams.make_room("s_new", "a.py"), "someone is there: marimo decides who edits"
        assert not await streams.make_room("s_new", "a.py"), "between two polls"
        old.leave()
        assert not await streams.make_room("s_new", "b.py"), "another notebook's"
        assert await streams.make_room("s_new", "a.py"), "cut off, and replaced at once"
        await asyncio.wait_for(marimo.left.wait(), 20)
        assert streams.find("s_old", "name") is None
        assert streams.open_streams == 0


async def loses_patience() -> None:
    event_stream.PATIENCE = 0.2
    async with Marimo() as marimo:
        stream = EventStream("s_1", "a.py", "name")
        await stream.open(marimo.url, {})
        with stream.reading():
            await asyncio.sleep(0.5)
            assert not stream.ended, "someone is there"
        await asyncio.wait_for(marimo.left.wait(), 20)
        assert stream.ended


async def has_one_reader() -> None:
    stream = EventStream("s_1", "a.py", "name")
    with stream.reading() as first:
        assert stream.is_read_by(first)
        with stream.reading() as second:
            assert not stream.is_read_by(first)
            assert stream.is_read_by(second)
    assert not stream.is_away
    stream.end()


async def tells_of_refusals_and_ends() -> None:
    async with Marimo() as marimo:
        stream = EventStream("s_1", "a.py", "name")
        marimo.status = 401
        try:
            await stream.open(marimo.url, {})
        except Refused as refused:
            assert refused.status == 401
        else:
            raise AssertionError("not refused")
        marimo.status = 200
        stream = EventStream("s_2", "a.py", "name")
        await stream.open(marimo.url, {})
        marimo.pieces.put_nowait(b'event: close\ndata: {"code": 1000}\n\n')
        marimo.pieces.put_nowait(b"")
        await until(lambda: stream.ended)
        assert stream.after(0) == [b'id: 1\nevent: close\ndata: {"code": 1000}\n\n'], "the end is not lost"


CHECKS: dict[str, Callable[[], Awaitable[None]]] = {
    check.__name__: check
    for check in (
        numbers_and_replays,
        is_bounded,
        lets_go,
        loses_patience,
        has_one_reader,
        tells_of_refusals_and_ends,
    )
}


async def main() -> None:
    await CHECKS[sys.argv[1]]()


if __name__ == "__main__":
    asyncio.run(main())
