"""Sends a notebook's event stream to its page, also after the page's connection was interrupted.

src/space/README.md lists the private interfaces that this module uses.
"""

import asyncio
from http import HTTPStatus
from typing import Any

import aiohttp
from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler

from sagemaker_marimo.activity import ActivityHandler
from sagemaker_marimo.event_stream import EventStream, EventStreams, Refused
from sagemaker_marimo.model_reply import KEEP_ALIVE, PolledReply, asked, with_keep_alives

# Seconds after which a poll is answered without events: gateways close idle connections after 10 s.
POLL = 7.0
# Headers that concern the connection itself, and headers that aiohttp sets.
UNFORWARDED_HEADERS = {
    "connection",
    "keep-alive",
    "transfer-encoding",
    "content-length",
    "host",
    "accept-encoding",
}


class StreamHandler(ActivityHandler):
    streams: EventStreams
    replies: dict[str, PolledReply]
    _stream: EventStream | None = None
    _browser_left = False

    def on_connection_close(self) -> None:
        self._browser_left = True
        if self._stream:
            self._stream.wake()
        super().on_connection_close()

    async def _event_stream(self, port: int, path: str) -> None:
        """Sends marimo's events to a page.

        event_stream.js chooses the stream's name (`Marimo-Stream`), because a page whose responses are
        buffered would never receive a name. It requests the events after number `Marimo-Stream-After`. A
        client without a name cannot resume, so its stream ends with its request.
        """
        session = self.get_query_argument("session_id", "")
        headers = self.request.headers
        wanted = headers.get("Marimo-Stream", "")
        after = int(number) if (number := headers.get("Marimo-Stream-After", "0")).isdecimal() else 0
        stream = self.streams.find(session, wanted)
        if stream is None and after == 0:
            try:
                stream = await self._new_stream(port, path, session, wanted)
            except Refused as refused:
                self.set_status(refused.status)
                return
            except (aiohttp.ClientError, TimeoutError):
                self.set_status(HTTPStatus.BAD_GATEWAY)
                return
        if stream is None or stream.after(after) is None or (stream.ended and after == stream.last):
            self.set_status(HTTPStatus.GONE)
            return
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("Cache-Control", "no-cache, no-transform")
        # Without this header, some proxies wait for the end of the response.
        self.set_header("X-Accel-Buffering", "no")
        self.set_header("Marimo-Stream", stream.name)
        self._stream = stream
        stream.confirm(after)
        try:
            await self._send(stream, after, headers.get("Marimo-Stream-Poll"))
        except StreamClosedError:
            self._browser_left = True
        finally:
            if not wanted:
                self.streams.discard(stream)
                await stream.close()
            elif self._browser_left:
                stream.leave()

    async def _send(self, stream: EventStream, after: int, poll: str | None) -> None:
        loop = asyncio.get_running_loop()
        # "0": the page has no connection to spare for waiting, so it is answered at once.
        end = loop.time() + (0 if poll == "0" else POLL)
        with stream.reading() as me:
            if not poll:
                await self._write(b": hello\n\n")
                if "Marimo-Stream-Probe" in self.request.headers:
                    await asyncio.sleep(0.1)  # so that it arrives separately, unless a proxy buffers it
            while stream.is_read_by(me) and not self._browser_left:
                events = stream.after(after)
                if events is None:
                    return  # the page missed events that are no longer kept; its next request gets 410
                if events:
                    if poll:  # send events that follow each other closely in one response
                        await asyncio.sleep(0.01)
                        events = stream.after(after) or events
                    self._record_activity()
                    after += len(events)
                    await self._write(b"".join(events))
                    if not stream.name:
                        stream.confirm(after)  # this client cannot ask again
                    if poll:
                        return
                elif stream.ended or (poll and loop.time() >= end):
                    return
                elif (
                    not await stream.change(max(0.01, end - loop.time()) if poll else KEEP_ALIVE) and not poll
                ):
                    await self._write(b": keep-alive\n\n")

    async def _reply(self, port: int, path: str) -> None:
        """Sends the reply of a model as it comes. While the model is silent, comments keep the connection."""
        await self.ensure_process()
        url = self.get_client_uri("http", "127.0.0.1", port, path)
        if name := self.request.headers.get("Marimo-Reply"):
            await self._piece(name, url)
            return
        try:
            async with asked(url, self.request.body, self._headers_for_marimo()) as response:
                self.set_status(response.status)
                for name, value in response.headers.items():
                    if name.lower() not in {*UNFORWARDED_HEADERS, "content-encoding", "date", "server"}:
                        self.set_header(name, value)
                self.set_header("X-Accel-Buffering", "no")
                is_stream = response.content_type == "text/event-stream"
                async for data in with_keep_alives(response.content.iter_any(), is_stream):
                    if self._browser_left:
                        return  # which ends the model's reply too
                    self._record_activity()
                    await self._write(data)
        except StreamClosedError:
            self._browser_left = True
        except (aiohttp.ClientError, TimeoutError):
            if not self._headers_written:
                self.set_status(HTTPStatus.BAD_GATEWAY)

    async def _piece(self, name: str, url: str) -> None:
        """Sends what follows the first bytes of a reply, and starts the reply with the first request."""
        after = self.request.headers.get("Marimo-Reply-After", "")
        if name not in self.replies and after == "0":
            self.replies[name] = PolledReply(
                url, self.request.body, self._headers_for_marimo(), lambda: self.replies.pop(name, None)
            )
        reply = self.replies.get(name)
        if reply is None or not after.isdecimal():
            self.set_status(HTTPStatus.GONE)
            return
        piece = await reply.after(int(after))
        self._record_activity()
        self.set_status(reply.status or HTTPStatus.ACCEPTED)
        self.set_header("Content-Type", reply.content_type or "text/plain")
        if reply.status >= HTTPStatus.BAD_REQUEST:
            self.replies.pop(name, None)  # the page may ask again, with another token
        if not reply.has_ended:
            self.set_header("Marimo-Reply", "more")
        self.write(piece)

    async def _write(self, data: bytes) -> None:
        self.write(data)
        # jupyter-server-proxy's own flush returns nothing to await.
        await RequestHandler.flush(self)

    async def _new_stream(self, port: int, path: str, session: str, name: str) -> EventStream:
        is_viewer = self.get_query_argument("kiosk", "") == "true"
        file = "" if is_viewer else self.get_query_argument("file", "")
        if await self.streams.make_room(session, file):
            await self._released(port)
        stream = EventStream(session, file, name, self.streams.instantiated)
        # Added before marimo answers: the page's next request may arrive while this one waits.
        self.streams.add(stream)
        try:
            await stream.open(
                self.get_client_uri("http", "127.0.0.1", port, path), self._headers_for_marimo()
            )
        except BaseException:
            self.streams.discard(stream)
            raise
        return stream

    async def _released(self, port: int) -> None:
        """Waits at most a second until marimo has noticed that the closed streams are closed."""
        for _ in range(20):
            status = await self._ask_marimo(port, "/api/status/connections")
            if status is None or status["active"] <= self.streams.open_streams:
                return
            await asyncio.sleep(0.05)

    async def _ask_marimo(self, port: int, path: str) -> Any:
        """The JSON that marimo answers, or None if it answers with an error or not at all."""
        uri = self.get_client_uri("http", "127.0.0.1", port, path).split("?")[0]
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as client,
                client.get(uri, headers=self._headers_for_marimo()) as response,
            ):
                return await response.json() if response.status == HTTPStatus.OK else None
        except (aiohttp.ClientError, TimeoutError):
            return None

    def _headers_for_marimo(self) -> dict[str, str]:
        return {
            name: value
            for name, value in self.proxy_request_headers().items()
            if name.lower() not in UNFORWARDED_HEADERS
            and not name.lower().startswith(("marimo-stream", "marimo-reply"))
        }

    async def _leave(self) -> None:
        session = self.get_query_argument("session_id", "")
        stream = self.streams.find(session, self.request.headers.get("Marimo-Stream", ""))
        if stream:
            self.streams.discard(stream)
            await stream.close()
        self.set_status(HTTPStatus.NO_CONTENT)
