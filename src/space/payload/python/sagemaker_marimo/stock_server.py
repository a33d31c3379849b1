"""marimo's entry if jupyter-server-proxy lacks a private interface: only documented ones are used here.

jupyter-server-proxy then runs marimo's server itself, and marimo's page has its own connection by server-sent
events. What is lost: results while the connection is interrupted, the start after a shutdown, and the report
of work to Studio. Requests from other origins are rejected all the same.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from jupyter_server.base.handlers import JupyterHandler
from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher, Rule
from tornado.web import HTTPError, authenticated

from sagemaker_marimo import state
from sagemaker_marimo.same_origin import OTHER_ORIGIN, is_allowed, is_same_origin
from sagemaker_marimo.waiting_page import installation_page, notice


def entry(reason: str, **options: Any) -> dict[str, Any]:
    """marimo's entry in `c.ServerProxy.servers`, as jupyter-server-proxy documents it."""
    return {
        **options,
        # add_notice cannot read a compressed page.
        "request_headers_override": {**options["request_headers_override"], "Accept-Encoding": "identity"},
        "rewrite_response": [add_notice(reason)],
    }


def add_notice(reason: str) -> Callable[[Any, str], None]:
    """Shows the reason on marimo's page."""

    def rewrite(response: Any, path: str) -> None:
        if not path.strip("/") and "text/html" in response.headers.get("Content-Type", ""):
            response.body += notice(reason)

    return rewrite


class Guarded(Matcher):
    """Requests that jupyter-server-proxy's own handler must not answer."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        if not (request.path or "").startswith(self.prefix):
            return None
        return {} if is_from_elsewhere(request) or state.installed_environment() is None else None


class Guard(JupyterHandler):  # type: ignore[misc]  # the checker has no Jupyter
    async def prepare(self) -> None:
        if is_from_elsewhere(self.request):
            raise HTTPError(HTTPStatus.FORBIDDEN, OTHER_ORIGIN)
        await super().prepare()

    @authenticated
    def get(self) -> None:
        self.set_header("X-Marimo-Waiting", state.why_not_installed())
        self.set_header("Cache-Control", "no-store")
        self.finish(installation_page())


def is_from_elsewhere(request: HTTPServerRequest) -> bool:
    is_stream = unquote(request.path or "").rstrip("/").endswith("/sse")
    return not (is_same_origin(request) if is_stream else is_allowed(request))


def guard(prefix: str) -> Rule:
    """A rule before all others of JupyterLab's web application."""
    return Rule(Guarded(prefix), Guard)
