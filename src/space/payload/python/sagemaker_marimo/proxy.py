"""The handler between the browser and marimo. It extends jupyter-server-proxy's handler with an event stream
that survives interrupted connections, a waiting page, and a check that rejects cross-origin requests.

src/space/README.md lists the private interfaces of marimo and jupyter-server-proxy that this module and
stream_handler.py use, and private_interfaces.py finds those that are missing.
"""

import asyncio
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from jupyter_server_proxy import config
from tornado.httputil import HTTPServerRequest
from tornado.web import HTTPError

from sagemaker_marimo import private_interfaces, state
from sagemaker_marimo.event_stream import EventStreams
from sagemaker_marimo.image_packages import SAYS
from sagemaker_marimo.model_reply import AI_REPLIES
from sagemaker_marimo.packages import requirements_outcome
from sagemaker_marimo.same_origin import (
    OTHER_ORIGIN,
    PAGE_KEY,
    PAGE_PROTOCOL,
    is_allowed,
    is_from_elsewhere,
    is_same_origin,
)
from sagemaker_marimo.server import NotRunningError, Server
from sagemaker_marimo.stream_handler import StreamHandler
from sagemaker_marimo.waiting_page import installation_page, notice, packages_page, server_page

# Seconds in which marimo may not have noticed that another program has changed a notebook.
UNNOTICED_SECONDS = 1.5
# How often, every 0.1 s, a deleted notebook is looked for: some editors delete a file before they write it.
ABSENCE_CHECKS = 5
# Seconds after which a page that waits for the server gets the waiting page: gateways close idle connections.
START_PATIENCE = 2.0
# In the query: the user does not want to wait for the packages of ~/requirements.txt.
OPEN_NOW = "open-without-packages"
# marimo's page has about 360 files with a hash of the content in the name (Vite's default). marimo sends them
# without Cache-Control and with `Vary: Cookie`. Jupyter's cookie changes with each response, so without this
# header a browser would revalidate every file whenever a notebook is opened.
HASHED_ASSET = re.compile(r"/?assets/[\w.-]+-[\w-]{8}\.\w+")
# Another website opened this page: event_stream.js then runs no cell on opening.
FROM_ELSEWHERE = '<script>sessionStorage.setItem("sagemaker-marimo-from-elsewhere", location.href)</script>'


class MarimoHandler(StreamHandler):
    server: Server
    saved: dict[Path, int]
    """When marimo last wrote each notebook for a page, in nanoseconds."""

    async def prepare(self) -> None:
        if not is_allowed(self.request):
            raise HTTPError(HTTPStatus.FORBIDDEN, OTHER_ORIGIN)
        await super().prepare()

    async def proxy(self, port: int, path: str) -> None:
        is_stream = path.strip("/") == "sse"
        if is_stream and not is_same_origin(self.request):
            raise HTTPError(HTTPStatus.FORBIDDEN, OTHER_ORIGIN)
        if state.installed_environment() is None:
            self._wait(state.why_not_installed(), installation_page)
        elif self._asks_for_page() and OPEN_NOW in self.request.query_arguments:
            self.server.opens_without_packages = True
            self.set_status(HTTPStatus.FOUND)
            self.set_header("Location", f"?{urlencode([one for one in self._query() if one[0] != OPEN_NOW])}")
        elif self._asks_for_page() and self._accepts_html() and (packages := self._packages_outcome()):
            link = f"?{urlencode([*self._query(), (OPEN_NOW, 'yes')])}"
            self._wait(f"packages: {packages}", lambda: packages_page(packages, link))
        elif self._asks_for_page() and self._accepts_html() and not await self._starts_soon():
            outcome = "not starting" if self.server.pause else "starting"
            self._wait(outcome, lambda: server_page(self.server))
        elif self.server.is_shut_down and not self._asks_for_page():
            # Otherwise an open page's next automatic request would start the server again.
            self._wait("shut down")
        elif path.strip("/") == "api/kernel/shutdown" and not await self._may_shut_down(port):
            self.write({"success": True})  # for the page, which then closes itself
        elif path.strip("/") in ("api/kernel/save", "api/kernel/save_app_config"):
            await self._save(port, path)
        elif is_stream and self.request.method == "GET":
            if "Marimo-Stream" in self.request.headers:
                self.server.has_own_connection = False  # the page that reported it was slow
            await self.ensure_process()
            await self._event_stream(port, path)
        elif path.strip("/") in AI_REPLIES and self.request.method == "POST":
            await self._reply(port, path)
        elif is_stream and self.request.method == "DELETE":
            await self._leave()
        elif is_stream and self.request.method == "POST":
            self._report_own_connection()
        else:
            await super().proxy(port, path)
            if path.strip("/") == "api/kernel/instantiate" and self.get_status() == HTTPStatus.OK:
                self.streams.note_instantiated(self.request.headers.get("Marimo-Session-Id", ""))
            if HASHED_ASSET.fullmatch(path) and self.get_status() in (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED):
                self.set_header("Cache-Control", "private, max-age=31536000, immutable")
                self.set_header("Vary", "Accept-Encoding")

    async def _save(self, port: int, path: str) -> None:
        """Rejects a save that would undo what another program has just done to the file.

        marimo reads the file every second (0.25.2, without watchdog), and then sends the page what changed.
        Until then, the page does not show the change. A file that was deleted or moved is written again only
        if the user wants that: then outage.js sends `Marimo-Recreate`. With `Marimo-File-Check`, it asks
        whether the file is back. A server that was started since then does not know the page's session.
        """
        headers = self.request.headers
        file, changed = None, 0
        with suppress(ValueError, KeyError, TypeError, OSError):  # marimo answers what is wrong
            file = state.NOTEBOOKS / json.loads(self.request.body)["filename"]
            changed = file.stat().st_mtime_ns
        if "Marimo-File-Check" in headers:
            self.set_status(HTTPStatus.NO_CONTENT if changed else HTTPStatus.GONE)
        elif not changed and "Marimo-Recreate" not in headers and (deleted := await self._deleted_file(port)):
            self.set_status(HTTPStatus.GONE)
            self.write({"detail": f"{deleted.name} was deleted or moved"})
        elif file and changed != self.saved.get(file) and time.time() - changed / 1e9 < UNNOTICED_SECONDS:
            self.set_status(HTTPStatus.CONFLICT)
            self.write({"detail": f"{file.name} was just changed by another program: saving it again"})
        else:
            await super().proxy(port, path)
            if file and self.get_status() == HTTPStatus.OK:
                with suppress(OSError):
                    self.saved[file] = file.stat().st_mtime_ns

    async def _deleted_file(self, port: int) -> Path | None:
        """The file of this page's notebook, if it had one and has none now."""
        sessions = await self._ask_marimo(port, "/api/sessions") or {}
        session = sessions.get(self.request.headers.get("Marimo-Session-Id")) or {}
        if not session.get("path"):
            return None  # a new notebook
        file = Path(session["path"])
        for _ in range(ABSENCE_CHECKS):
            if file.exists():
                return None
            await asyncio.sleep(0.1)
        return file

    async def open(self, path: str) -> None:
        """Opens a WebSocket."""
        if state.installed_environment() is None or self.server.is_shut_down:
            self.close()
        else:
            await super().open(path)

    def select_subprotocol(self, subprotocols: list[str]) -> Any:
        return PAGE_PROTOCOL if PAGE_PROTOCOL in subprotocols else super().select_subprotocol(subprotocols)

    def proxy_request_headers(self) -> Any:
        headers = super().proxy_request_headers()
        headers.pop("Sec-WebSocket-Protocol", None)  # the proxy sets the protocols that marimo may select
        # marimo needs no cookie: the proxy sends its token. It does not answer a WebSocket with over 8 KB of
        # cookies (websockets 17, http11.py MAX_LINE_LENGTH). A browser sends those of all ports of a host.
        headers.pop("Cookie", None)
        if self._accepts_html():
            headers.pop("Accept-Encoding", None)  # add_script cannot read a compressed page
        return headers

    async def ensure_process(self) -> None:
        """Replaces jupyter-server-proxy's own, which calls this before it passes a request on."""
        try:
            await self.server.start(self.port, self.get_cmd, self.get_env, self.log)
        except NotRunningError as error:
            raise HTTPError(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from None

    async def _starts_soon(self) -> bool:
        try:
            async with asyncio.timeout(START_PATIENCE):
                await self.ensure_process()
        except (TimeoutError, HTTPError):
            return False
        return True

    def _asks_for_page(self) -> bool:
        """Whether this is a request for the home page, a notebook or an app."""
        path: str = self.request.path.rstrip("/")
        return path.endswith(f"/{self.entry}") and self.request.method == "GET"

    def _accepts_html(self) -> bool:
        return "text/html" in self.request.headers.get("Accept", "")

    def _packages_outcome(self) -> str | None:
        environment = state.installed_environment()
        if environment is None or self.server.opens_without_packages:
            return None
        return requirements_outcome(environment)

    def _query(self) -> list[tuple[str, str]]:
        return parse_qsl(self.request.query, keep_blank_values=True)

    def _wait(self, outcome: str, page: Callable[[], str] | None = None) -> None:
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Marimo-Waiting", outcome)
        if page and self._accepts_html():
            self.set_header("Content-Type", "text/html; charset=utf-8")
            # The page reloads itself, and then the browser no longer says where it came from.
            self.write(page() + (FROM_ELSEWHERE if is_from_elsewhere(self.request) else ""))
        else:
            self.set_status(HTTPStatus.SERVICE_UNAVAILABLE)
            self.set_header("Retry-After", "3")

    def _report_own_connection(self) -> None:
        if not self.server.has_own_connection:
            print(f"sagemaker-marimo: {private_interfaces.OWN_CONNECTION}", file=sys.stderr)
        self.server.has_own_connection = True
        self.write(notice(private_interfaces.OWN_CONNECTION))

    async def _may_shut_down(self, port: int) -> bool:
        """Whether a request to shut a notebook or the server down may reach marimo.

        marimo 0.25.2 ends the whole server if it does not know the page's session, such as that of a second
        tab that only reads. Only its home page may do that (event_stream.js sends the header).
        """
        headers = self.request.headers
        if "Marimo-Home" in headers:
            return True
        return headers.get("Marimo-Session-Id") in (await self._ask_marimo(port, "/api/sessions") or {})


def add_script(transport: str) -> Callable[[Any, HTTPServerRequest, str], None]:
    """Inserts the scripts into marimo's page, before marimo's own. The braces keep their names private."""
    here = Path(__file__)
    names = ("own_connection.js", "outage.js", "model_reply.js", "event_stream.js", "page_sockets.js")
    script = b"{%s}" % b"".join(here.with_name(name).read_bytes() for name in names)
    data = f'data-transport="{transport}" data-key="{PAGE_KEY}"'
    tag = f"<script {data}>{script.decode()}</script>"

    def rewrite(response: Any, request: HTTPServerRequest, path: str) -> None:
        if "text/html" not in response.headers.get("Content-Type", ""):
            return
        is_page = not path.strip("/") and response.code == HTTPStatus.OK
        missing = (
            private_interfaces.missing_in_page(response.body.decode(errors="replace")) if is_page else []
        )
        mark = FROM_ELSEWHERE if is_from_elsewhere(request) else ""
        response.body = response.body.replace(b"<head>", f"<head>{mark}{tag}".encode(), 1)
        if missing:
            problem = f"marimo's page does not have {', '.join(missing)}"
            print(f"sagemaker-marimo: {problem}", file=sys.stderr)
            response.body += notice(problem)

    return rewrite


def explain_refusals(server: Server) -> Callable[..., None]:
    """Puts the reason why a package was not removed into the answer that marimo's package panel shows.

    marimo 0.25.2 answers "See terminal for error logs". Users do not see that terminal, the server's.
    """

    def rewrite(response: Any, request: Any, path: str) -> None:
        if path.strip("/") != "api/packages/remove":
            return
        with suppress(ValueError, KeyError, TypeError):
            answer, name = json.loads(response.body), json.loads(request.body)["package"]
            lines = [line for line in server.output.splitlines() if line.startswith(SAYS) and name in line]
            if not answer["success"] and lines:
                response.body = json.dumps({**answer, "error": lines[-1].removeprefix(SAYS)}).encode()

    return rewrite


def show_own_connection(server: Server) -> Callable[..., None]:
    """Puts the notice on marimo's home page, where marimo-doctor finds it. Other pages report themselves."""

    def rewrite(response: Any, request: Any, path: str) -> None:
        is_home_page = not path.strip("/") and "file" not in request.query_arguments
        if server.has_own_connection and is_home_page and response.code == HTTPStatus.OK:
            response.body += notice(private_interfaces.OWN_CONNECTION)

    return rewrite


def handler_class(name: str) -> type[MarimoHandler]:
    """A handler class for each entry: each entry has its own server, with its own streams."""
    own = {"entry": name, "server": Server(name), "streams": EventStreams(), "replies": {}, "saved": {}}
    return type("MarimoHandler", (MarimoHandler,), own)


def server_process(name: str, *, rewrite_response: Sequence[Callable[..., None]] = (), **options: Any) -> Any:
    """marimo's entry in `c.ServerProxy.servers`, whose requests are handled by a MarimoHandler."""
    handler = handler_class(name)
    server = handler.server
    rewrite_response = [*rewrite_response, explain_refusals(server), show_own_connection(server)]

    class MarimoServerProcess(config.ServerProcess):  # type: ignore[misc]  # it has no types
        def get_proxy_base_class(self) -> tuple[type, dict[str, Any]]:
            return handler, {"state": {}}

    return MarimoServerProcess(name=name, rewrite_response=rewrite_response, **options)
