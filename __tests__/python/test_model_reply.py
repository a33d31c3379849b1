"""Replies of models on their way to the page. ai.test.ts tests them in a browser."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sagemaker_marimo import model_reply
from sagemaker_marimo.model_reply import PolledReply, with_keep_alives

pytestmark = pytest.mark.anyio


async def slow(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
        await asyncio.sleep(0.05)


async def sent(*chunks: bytes, is_stream: bool = True) -> list[bytes]:
    return [data async for data in with_keep_alives(slow(*chunks), is_stream)]


async def test_silence_between_events_is_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await sent(b"data: 1\n\n", b"data: 2\n\n") == [b"data: 1\n\n", b"data: 2\n\n"], "short pauses"
    monkeypatch.setattr(model_reply, "KEEP_ALIVE", 0.01)
    filled = await sent(b"data: 1\n\n", b"data: 2\n\n")
    assert filled.count(b": keep-alive\n\n") >= 2
    assert [data for data in filled if data.startswith(b"data")] == [b"data: 1\n\n", b"data: 2\n\n"]


async def test_nothing_is_put_into_an_event_or_into_another_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_reply, "KEEP_ALIVE", 0.01)
    assert b"".join(await sent(b"data: ", b"1\n\n")).startswith(b"data: 1\n\n")
    assert await sent(b'{"a"', b":1}", is_stream=False) == [b'{"a"', b":1}"]


async def test_an_error_of_marimos_server_is_raised() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        raise OSError

    with pytest.raises(OSError):
        [data async for data in with_keep_alives(broken(), True)]


class Model:
    """A fake marimo server: sends the queued chunks, and notices when the connection is closed."""

    def __init__(self) -> None:
        self.chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self.questions: list[bytes] = []
        self.left = asyncio.Event()
        self.url = ""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.questions.append(await request.read())
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            while chunk := await self.chunks.get():
                await response.write(chunk)
        finally:
            self.left.set()
        return response


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    model = Model()
    app = web.Application()
    app.router.add_post("/chat", model.serve)
    server = TestServer(app)
    await server.start_server(shutdown_timeout=0.1)
    model.url = str(server.make_url("/chat"))
    yield model
    await server.close()


async def test_a_page_gets_a_reply_piece_by_piece(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_reply, "PIECE", 20)
    forgotten = asyncio.Event()
    reply = PolledReply(model.url, b"question", {}, forgotten.set)
    model.chunks.put_nowait(b"data: 1\n\n")
    assert await reply.after(0) == b"data: 1\n\n"
    assert (reply.status, reply.content_type, reply.has_ended) == (200, "text/event-stream", False)
    monkeypatch.setattr(model_reply, "PIECE", 0.05)
    assert await reply.after(9) == b"", "the model is silent"
    assert await reply.after(3) == b"a: 1\n\n", "a piece that was lost"
    monkeypatch.setattr(model_reply, "PIECE", 20)
    for chunk in (b"data: 2\n\n", b""):
        model.chunks.put_nowait(chunk)
    rest = b""
    while not reply.has_ended:
        rest += await reply.after(9 + len(rest))
    assert (rest, model.questions, forgotten.is_set()) == (b"data: 2\n\n", [b"question"], False)


async def test_a_reply_ends_when_its_page_is_gone(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_reply, "GONE", 0.3)
    forgotten = asyncio.Event()
    reply = PolledReply(model.url, b"question", {}, forgotten.set)
    model.chunks.put_nowait(b"data: 1\n\n")
    await reply.after(0)
    assert not forgotten.is_set()
    async with asyncio.timeout(20):
        await forgotten.wait()
        model.chunks.put_nowait(b"data: 2\n\n")
        while not reply.has_ended:
            await asyncio.sleep(0.01)


async def test_a_server_that_does_not_answer_is_a_bad_gateway() -> None:
    reply = PolledReply("http://127.0.0.1:9/chat", b"question", {}, lambda: None)
    assert (await reply.after(0), reply.status, reply.has_ended) == (b"", 502, True)
