"""Between the browser and marimo: jupyter-server-proxy's handler, with an event stream that outlives cuts,
a waiting page, and no ear for other origins.

What it relies on beyond documented interfaces, all of it here, each with a test in gateway-profiles.test.ts
("private interfaces") that fails when an upgrade takes it away:

- jupyter-server-proxy 4.5.0 and 4.6.0: `SuperviseAndProxyHandler` with `proxy(port, path)`, `open(path)`,
  `prepare()`, `ensure_process()`, `proxy_request_headers()`, `get_client_uri()`, `select_subprotocol()` and
  `_record_activity()`; `ServerProcess.get_proxy_base_class()`; `rewrite_response` gets `headers` and `body`.
  4.4.0, which all of SageMaker Distribution 3.x has: the same handler, which
  `config._make_proxy_handler(server)` chooses.
- marimo 0.25.2: its page is HTML with `<head>`, and fetches `…/sse` by `window.fetch`; the stream's query has
  `session_id`, `file` and `kiosk`, its events end with an empty line, and `event: close` ends it; `GET
  /api/status/connections` counts open pages as `active`.
- marimo 0.25.2: its terminal is `…/terminal/ws`, its language servers `…/lsp/…`, both opened by
  `window.WebSocket`; the terminal shows what `message` brings. Tested in space-panels.test.ts.
"""

import asyncio
import secrets
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from jupyter_server_proxy import config
from tornado.httputil import HTTPServerRequest
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, RequestHandler

from sagemaker_marimo import state
from sagemaker_marimo.activity import ActivityHandler
from sagemaker_marimo.event_stream import EventStream, EventStreams, Refused
from sagemaker_marimo.waiting_page import waiting_page

# Seconds of silence after which a comment is sent: gateways cut idle connections after 10 s.
KEEP_ALIVE = 3.0
# Seconds until a poll is answered though nothing happened, for the same reason.
POLL = 7.0
# Headers about a connection, not about what is sent on it; and what aiohttp sets itself.
NOT_PASSED_ON = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "accept-encoding"}


# What marimo's own pages show when they open a WebSocket (page_sockets.js), and what they are answered.
PAGE_KEY = secrets.token_urlsafe(16)
PAGE_PROTOCOL = "marimo-page"

OTHER_ORIGIN = "marimo takes no requests from other origins"


class MarimoHandler(ActivityHandler):
    streams: EventStreams
    _stream: EventStream | None = None
    _browser_left = False

    async def prepare(self) -> None:
        if not may_pass(self.request):
            raise HTTPError(HTTPStatus.FORBIDDEN, OTHER_ORIGIN)
        await super().prepare()

    async def proxy(self, port: int, path: str) -> None:
        is_stream = path.strip("/") == "sse"
        if is_stream and not is_of_this_origin(self.request):
            raise HTTPError(HTTPStatus.FORBIDDEN, OTHER_ORIGIN)
        if state.installed_environment() is None:
            self._wait_for_installation()
        elif is_stream and self.request.method == "GET":
            await self.ensure_process()
            await self._event_stream(port, path)
        elif is_stream and self.request.method == "DELETE":
            await self._leave()
        else:
            await super().proxy(port, path)

    async def open(self, path: str) -> None:
        """A WebSocket."""
        if state.installed_environment() is None:
            self.close()
        else:
            await super().open(path)

    def select_subprotocol(self, subprotocols: list[str]) -> Any:
        return PAGE_PROTOCOL if PAGE_PROTOCOL in subprotocols else super().select_subprotocol(subprotocols)

    def proxy_request_headers(self) -> Any:
        headers = super().proxy_request_headers()
        headers.pop("Sec-WebSocket-Protocol", None)  # set anew for what marimo itself is to choose from
        if "text/html" in headers.get("Accept", ""):
            headers.pop("Accept-Encoding", None)  # add_script could not read it
        return headers

    def on_connection_close(self) -> None:
        self._browser_left = True
        if self._stream:
            self._stream.wake()
        super().on_connection_close()

    def _wait_for_installation(self) -> None:
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Marimo-Installation", "failed" if state.installation_failed() else "running")
        if "text/html" in self.request.headers.get("Accept", ""):
            self.set_header("Content-Type", "text/html; charset=utf-8")
            self.write(waiting_page())
        else:
            self.set_status(HTTPStatus.SERVICE_UNAVAILABLE)
            self.set_header("Retry-After", "3")

    async def _event_stream(self, port: int, path: str) -> None:
        """Sends a page marimo's events.

        event_stream.js names the stream itself (`Marimo-Stream`), since where responses are held back it
        would not learn a name, and asks for what comes after event number `Marimo-Stream-After`. A client
        that names none cannot resume, so its stream ends with its request.
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
        # For proxies on the way that would otherwise wait for the end of the response.
        self.set_header("X-Accel-Buffering", "no")
        self.set_header("Marimo-Stream", stream.name)
        self._stream = stream
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
        # "0": of more pages than a browser has connections for, each lets go of its own at once.
        end = loop.time() + (0 if poll == "0" else POLL)
        with stream.reading() as me:
            if not poll:
                await self._write(b": hello\n\n")
                if "Marimo-Stream-Probe" in self.request.headers:
                    await asyncio.sleep(0.1)  # so that it arrives alone, unless something holds it back
            while stream.is_read_by(me) and not self._browser_left:
                events = stream.after(after)
                if events is None:
                    return  # too slow for what is kept: its next request is told so
                if events:
                    if poll:  # what comes within a moment comes in one go
                        await asyncio.sleep(0.01)
                        events = stream.after(after) or events
                    self._record_activity()
                    after += len(events)
                    await self._write(b"".join(events))
                    if poll:
                        return
                elif stream.ended or (poll and loop.time() >= end):
                    return
                elif (
                    not await stream.change(max(0.01, end - loop.time()) if poll else KEEP_ALIVE) and not poll
                ):
                    await self._write(b": keep-alive\n\n")

    async def _write(self, data: bytes) -> None:
        self.write(data)
        # jupyter-server-proxy's own flush returns nothing to wait for.
        await RequestHandler.flush(self)

    async def _new_stream(self, port: int, path: str, session: str, name: str) -> EventStream:
        is_viewer = self.get_query_argument("kiosk", "") == "true"
        file = "" if is_viewer else self.get_query_argument("file", "")
        headers = {
            name: value
            for name, value in self.proxy_request_headers().items()
            if name.lower() not in NOT_PASSED_ON and not name.lower().startswith("marimo-stream")
        }
        if await self.streams.make_room(session, file):
            await self._released(port, headers)
        stream = EventStream(session, file, name)
        # Before marimo has answered: the page's next request may come while this one waits.
        self.streams.add(stream)
        try:
            await stream.open(self.get_client_uri("http", "127.0.0.1", port, path), headers)
        except BaseException:
            self.streams.discard(stream)
            raise
        return stream

    async def _released(self, port: int, headers: dict[str, str]) -> None:
        """Waits, a second at the most, until marimo has noticed that closed streams are closed."""
        uri = self.get_client_uri("http", "127.0.0.1", port, "/api/status/connections")
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as client:
            for _ in range(20):
                async with client.get(uri.split("?")[0], headers=headers) as response:
                    if response.status != HTTPStatus.OK:
                        return
                    if (await response.json())["active"] <= self.streams.open_streams:
                        return
                await asyncio.sleep(0.05)

    async def _leave(self) -> None:
        session = self.get_query_argument("session_id", "")
        stream = self.streams.find(session, self.request.headers.get("Marimo-Stream", ""))
        if stream:
            self.streams.discard(stream)
            await stream.close()
        self.set_status(HTTPStatus.NO_CONTENT)


def may_pass(request: HTTPServerRequest) -> bool:
    """Whether a request cannot be another origin's attempt to drive the kernel.

    The event stream, which is read by GET, is checked where its path is known without disguises.
    """
    is_upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
    if request.method in ("GET", "HEAD") and not is_upgrade:
        return True
    return is_of_this_origin(request) or (is_upgrade and has_page_key(request))


def has_page_key(request: HTTPServerRequest) -> bool:
    offered = request.headers.get("Sec-WebSocket-Protocol", "")
    return PAGE_KEY in [protocol.strip() for protocol in offered.split(",")]


def is_of_this_origin(request: HTTPServerRequest) -> bool:
    """Whether the page that asks is marimo's own.

    Studio starts JupyterLab with allow_origin='*', so Jupyter's own check lets everyone pass. What the
    browser says of itself (Fetch Metadata, W3C) holds whatever the gateway does to `Host`; `Origin` is for
    browsers that say nothing. A program in the space sends neither, and proves itself to Jupyter.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("Origin")
    hosts = (request.headers.get("Host"), request.headers.get("X-Forwarded-Host"))
    return origin is None or urlsplit(origin).netloc in hosts


def add_script(transport: str) -> Callable[[Any], None]:
    """Puts event_stream.js and page_sockets.js into marimo's page, before marimo's own scripts."""
    here = Path(__file__)
    script = b"".join(here.with_name(name).read_bytes() for name in ("event_stream.js", "page_sockets.js"))
    data = f'data-transport="{transport}" data-key="{PAGE_KEY}"'
    tag = b"<head><script %s>%s</script>" % (data.encode(), script)

    def rewrite(response: Any) -> None:
        if "text/html" in response.headers.get("Content-Type", ""):
            response.body = response.body.replace(b"<head>", tag, 1)

    return rewrite


def handler_of(name: str) -> type[MarimoHandler]:
    """One for each entry, since each has a marimo of its own, which counts its own streams."""
    return type("MarimoHandler", (MarimoHandler,), {"entry": name, "streams": EventStreams()})


def server_process(name: str, **options: Any) -> Any:
    """marimo's entry in `c.ServerProxy.servers`, whose requests come to a MarimoHandler."""
    handler = handler_of(name)
    if hasattr(config.ServerProcess, "get_proxy_base_class"):

        class MarimoServerProcess(config.ServerProcess):  # type: ignore[misc]  # it has no types
            def get_proxy_base_class(self) -> tuple[type, dict[str, Any]]:
                return handler, {"state": {}}

        return MarimoServerProcess(name=name, **options)

    make = config._make_proxy_handler

    def make_proxy_handler(server: Any) -> Any:
        made = make(server)
        # What it made is configured in its constructor, and goes before; what it inherits comes after ours.
        return type("MarimoProxy", (made, handler), {}) if server.name == name else made

    config._make_proxy_handler = make_proxy_handler
    return options
