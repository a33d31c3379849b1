"""Replies of models on their way to the page. ai.test.ts tests them in a browser."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from sagemaker_marimo import stream_handler
from sagemaker_marimo.stream_handler import with_keep_alives

pytestmark = pytest.mark.anyio


async def slow(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
        await asyncio.sleep(0.05)


async def sent(*chunks: bytes, is_stream: bool = True) -> list[bytes]:
    return [data async for data in with_keep_alives(slow(*chunks), is_stream)]


async def test_silence_between_events_is_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await sent(b"data: 1\n\n", b"data: 2\n\n") == [b"data: 1\n\n", b"data: 2\n\n"], "short pauses"
    monkeypatch.setattr(stream_handler, "KEEP_ALIVE", 0.01)
    filled = await sent(b"data: 1\n\n", b"data: 2\n\n")
    assert filled.count(b": keep-alive\n\n") >= 2
    assert [data for data in filled if data.startswith(b"data")] == [b"data: 1\n\n", b"data: 2\n\n"]


async def test_nothing_is_put_into_an_event_or_into_another_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_handler, "KEEP_ALIVE", 0.01)
    assert b"".join(await sent(b"data: ", b"1\n\n")).startswith(b"data: 1\n\n")
    assert await sent(b'{"a"', b":1}", is_stream=False) == [b'{"a"', b":1}"]


async def test_an_error_of_marimos_server_is_raised() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        raise OSError

    with pytest.raises(OSError):
        [data async for data in with_keep_alives(broken(), True)]
