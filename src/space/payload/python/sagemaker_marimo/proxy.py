"""Between the browser and marimo: jupyter-server-proxy's handler, with an event stream and a waiting page."""

import asyncio
from http import HTTPStatus
from typing import Any

import aiohttp
from jupyter_server_proxy.config import ServerProcess
from jupyter_server_proxy.handlers import SuperviseAndProxyHandler
from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler

from sagemaker_marimo import state
from sagemaker_marimo.waiting_page import waiting_page

# Headers about the connection to marimo, not about the response.
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


class MarimoHandler(SuperviseAndProxyHandler):  # type: ignore[misc]  # it has no types
    _upstream: asyncio.Task[None] | None = None
    _browser_left = False

    async def proxy(self, port: int, path: str) -> None:
        if state.installed_environment() is None:
            self._wait_for_installation()
        elif self.request.method == "GET" and path.strip("/") == "sse":
            await self.ensure_process()
            await self._event_stream(port, path)
        else:
            await super().proxy(port, path)

    async def open(self, path: str) -> None:
        """A WebSocket."""
        if state.installed_environment() is None:
            self.close()
        else:
            await super().open(path)

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
        """Forwards marimo's server-sent events for as long as the browser listens, and no longer.

        jupyter-server-proxy 4.5.0 and 4.6.0 leave the stream from marimo open when the browser goes: marimo
        then takes the page that was closed for the editor, and the next for a reader ("Take over"). They also
        end it after 7200 s.
        """
        if self._browser_left:
            return  # while marimo was starting
        self._upstream = asyncio.create_task(self._forward_events(port, path))
        # Not awaited itself: its cancellation must not become this request's.
        await asyncio.wait({self._upstream})
        if not self._upstream.cancelled():
            self._upstream.result()

    async def _forward_events(self, port: int, path: str) -> None:
        headers = {
            name: value
            for name, value in self.proxy_request_headers().items()
            if name.lower() not in HOP_BY_HOP | {"host", "accept-encoding"}
        }
        url = self.get_client_uri("http", "127.0.0.1", port, path)
        forever = aiohttp.ClientTimeout(total=None, sock_connect=10)
        async with (
            aiohttp.ClientSession(timeout=forever) as session,
            session.get(url, headers=headers) as response,
        ):
            self.set_status(response.status, response.reason)
            for name, value in response.headers.items():
                if name.lower() not in HOP_BY_HOP:
                    self.set_header(name, value)
            # For proxies on the way that would otherwise wait for the end of the response.
            self.set_header("X-Accel-Buffering", "no")
            try:
                async for chunk in response.content.iter_any():
                    self._record_activity()
                    self.write(chunk)
                    # jupyter-server-proxy's own flush returns nothing to wait for.
                    await RequestHandler.flush(self)
            except StreamClosedError:
                pass  # on_connection_close says the same

    def on_connection_close(self) -> None:
        self._browser_left = True
        if self._upstream:
            self._upstream.cancel()
        super().on_connection_close()


class MarimoServerProcess(ServerProcess):  # type: ignore[misc]  # it has no types
    def get_proxy_base_class(self) -> tuple[type, dict[str, Any]]:
        return MarimoHandler, {"state": {}}
