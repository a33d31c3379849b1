"""Replies of models on their way to the page. ai.test.ts tests them in a browser."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from sagemaker_marimo import model_reply
from sagemaker_marimo.model_reply import PolledReply, with_keep_alives
from sagemaker_marimo.stream_handler import StreamHandler

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


@pytest.fixture
async def space(model: Model) -> AsyncIterator[str]:
    """The address of a handler in front of the model."""

    class Handler(StreamHandler):
        async def prepare(self) -> None:
            pass

        async def post(self) -> None:
            await self._reply(0, "")

        def on_finish(self) -> None:
            pass

        async def ensure_process(self) -> None:
            pass

        def get_client_uri(self, *_: object) -> str:
            return model.url

        def check_xsrf_cookie(self) -> None:
            pass

        def _headers_for_marimo(self) -> dict[str, str]:
            return {}

        def _record_activity(self) -> None:
            pass

    sockets = bind_sockets(0, "127.0.0.1")
    handler = type("Handler", (Handler,), {"replies": {}})
    server = HTTPServer(Application([("/chat", handler, {"state": {}})]))
    server.add_sockets(sockets)
    yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}/chat"
    server.stop()


async def test_a_reply_is_sent_as_it_comes(model: Model, space: str) -> None:
    model.chunks.put_nowait(b"data: 1\n\n")
    async with aiohttp.ClientSession() as client, client.post(space, data=b"question") as response:
        assert await response.content.readany() == b"data: 1\n\n"
        model.chunks.put_nowait(b"data: 2\n\n")
        assert await response.content.readany() == b"data: 2\n\n"
        model.chunks.put_nowait(b"")
        assert (await response.read(), response.content_type) == (b"", "text/event-stream")


async def test_a_page_that_names_a_reply_gets_each_piece_whole(model: Model, space: str) -> None:
    async def ask(after: int, name: str = "r1") -> tuple[int, str | None, bytes]:
        headers = {"Marimo-Reply": name, "Marimo-Reply-After": str(after)}
        async with (
            aiohttp.ClientSession() as client,
            client.post(space, data=b"question", headers=headers) as response,
        ):
            return response.status, response.headers.get("Marimo-Reply"), await response.read()

    model.chunks.put_nowait(b"data: 1\n\n")
    assert await ask(0) == (200, "more", b"data: 1\n\n")
    model.chunks.put_nowait(b"data: 2\n\n")
    assert await ask(9) == (200, "more", b"data: 2\n\n")
    model.chunks.put_nowait(b"")
    assert await ask(18) == (200, None, b"")
    assert model.questions == [b"question"]
    assert await ask(18, "unknown") == (410, None, b""), "a reply of a server that was restarted"
