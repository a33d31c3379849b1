"""The reply of a model, as it comes, and piece by piece for a page behind a gateway that buffers.

model_reply.js has the page's side.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp

# Their answers are event streams, which the page does not ask for: jupyter-server-proxy would hold them back.
AI_REPLIES = ("api/ai/chat", "api/ai/completion")
# Seconds without events after which a comment is sent: gateways close idle connections after 10 s.
KEEP_ALIVE = 3.0
# Seconds after which a page gets an empty piece, for the same reason.
PIECE = 7.0
# Seconds without a request for the next piece, after which the page is gone.
GONE = 20.0


@asynccontextmanager
async def asked(url: str, body: bytes, headers: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
    async with (
        aiohttp.ClientSession(timeout=timeout) as client,
        client.post(url, data=body, headers=headers) as response,
    ):
        yield response


async def with_keep_alives(chunks: AsyncIterator[bytes], is_stream: bool) -> AsyncIterator[bytes]:
    """The chunks, and between two events a comment for each `KEEP_ALIVE` seconds of silence."""
    ended, last = object(), b"\n\n"
    reading = asyncio.ensure_future(anext(chunks, ended))
    try:
        while True:
            await asyncio.wait({reading}, timeout=KEEP_ALIVE)
            if not reading.done():
                if is_stream and last.endswith(b"\n\n"):
                    yield b": keep-alive\n\n"
                continue
            chunk: Any = reading.result()
            if chunk is ended:
                return
            last = chunk
            yield chunk
            reading = asyncio.ensure_future(anext(chunks, ended))
    finally:
        reading.cancel()


class PolledReply:
    """Reads a reply independently of the page's requests for its pieces."""

    def __init__(
        self, url: str, body: bytes, headers: Mapping[str, str], forget: Callable[[], object]
    ) -> None:
        self.status = 0
        """The status of marimo's answer, and 0 before it."""
        self.content_type = ""
        self.has_ended = False
        self._received = bytearray()
        self._changed = asyncio.Event()
        self._reading = asyncio.create_task(self._read(url, body, headers))
        self._forget = forget
        self._gone = asyncio.get_running_loop().call_later(GONE, self._leave)

    async def after(self, number: int) -> bytes:
        """What follows the first bytes. It is empty if the model is silent for `PIECE` seconds."""
        loop = asyncio.get_running_loop()
        end = loop.time() + PIECE
        self._gone.cancel()
        while not self.has_ended and len(self._received) <= number and (left := end - loop.time()) > 0:
            self._changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left)
        self._gone.cancel()  # of a request that came meanwhile
        self._gone = loop.call_later(GONE, self._leave)
        return bytes(self._received[number:])

    def _leave(self) -> None:
        self._reading.cancel()  # which ends the model's reply too
        self._forget()

    async def _read(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        try:
            async with asked(url, body, headers) as response:
                self.status = response.status
                self.content_type = response.headers.get("Content-Type", "")
                async for chunk in response.content.iter_any():
                    self._received += chunk
                    self._changed.set()
        except (aiohttp.ClientError, TimeoutError):
            self.status = self.status or 502
        finally:
            self.has_ended = True
            self._changed.set()
