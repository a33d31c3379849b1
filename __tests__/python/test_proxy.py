"""Whose requests pass, and what is put into marimo's page."""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from jupyter_server_proxy.handlers import RewritableResponse
from tornado.httpclient import HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import Application, HTTPError

from sagemaker_marimo.proxy import PAGE_KEY, MarimoHandler, add_script, is_of_this_origin, may_pass

HOST = "id.studio.us-east-1.sagemaker.aws"
OWN = f"https://{HOST}"
OTHER = "https://evil.example"


class Connection:
    """The request's other end, of which a handler wants to know when it goes."""

    context = None

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        pass


def request(method: str = "POST", uri: str = "/", **headers: str) -> HTTPServerRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HTTPServerRequest(
        method,
        uri,
        headers=HTTPHeaders({"Host": HOST, **named}),
        connection=Connection(),  # type: ignore[arg-type]  # tornado has no other class for it than its own
    )


@pytest.mark.parametrize(
    "site", ["same-site", "cross-site", "none", "", "SAME-ORIGIN", "same-origin, cross-site"]
)
def test_what_the_browser_says_of_its_page_holds(site: str) -> None:
    assert not is_of_this_origin(request(Sec_Fetch_Site=site))
    assert not is_of_this_origin(request(Sec_Fetch_Site=site, Origin=OWN)), "whatever the origin"


@pytest.mark.parametrize("headers", [{}, {"Origin": OWN}, {"Origin": "https://behind-the-gateway.example"}])
def test_marimos_own_page_is_of_this_origin(headers: dict[str, str]) -> None:
    """The gateway may have changed Host, so that it differs from Origin."""
    assert is_of_this_origin(request(**headers, Sec_Fetch_Site="same-origin"))


@pytest.mark.parametrize(
    "origin",
    [
        OTHER,
        "null",
        "",
        "https://id.studio.us-east-1.sagemaker.aws.evil.example",
        "https://evil.example/id.studio.us-east-1.sagemaker.aws",
        f"https://{HOST}@evil.example",
        f"https://{HOST}:444",
        HOST,
        f"//evil.example#{OWN}",
    ],
)
def test_another_origin_of_a_browser_that_says_nothing(origin: str) -> None:
    assert not is_of_this_origin(request(Origin=origin))


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": OWN},
        {"Origin": OWN, "Host": "127.0.0.1:8888", "X_Forwarded_Host": HOST},
        {"Origin": "http://127.0.0.1:8888", "Host": "127.0.0.1:8888"},
        {},  # a program in the space, which proves itself to Jupyter
    ],
)
def test_this_origin_of_a_browser_that_says_nothing(headers: dict[str, str]) -> None:
    assert is_of_this_origin(request(**headers))


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "get"])
@pytest.mark.parametrize("other", [{"Sec_Fetch_Site": "cross-site"}, {"Origin": OTHER}])
def test_other_origins_may_not_change_anything(method: str, other: dict[str, str]) -> None:
    assert not may_pass(request(method, **other))
    assert may_pass(request(method, Sec_Fetch_Site="same-origin", Origin=OWN))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_other_origins_may_link_to_marimo(method: str) -> None:
    assert may_pass(request(method, Sec_Fetch_Site="cross-site"))


@pytest.mark.parametrize("upgrade", ["websocket", "WebSocket"])
def test_other_origins_may_open_no_websocket(upgrade: str) -> None:
    assert not may_pass(request("GET", Upgrade=upgrade, Origin=OTHER))
    assert not may_pass(request("GET", Upgrade=upgrade, Sec_Fetch_Site="cross-site"))
    assert may_pass(request("GET", Upgrade=upgrade, Origin=OWN))


@pytest.mark.anyio
@pytest.mark.usefixtures("home")
class TestEventStreamsPath:
    """As tornado hands it over, its %-escapes resolved. marimo is not installed: what passes waits."""

    @staticmethod
    async def status(method: str, path: str, **headers: str) -> int:
        handler = MarimoHandler(Application(), request(method, f"/{path}", **headers), state={})
        try:
            await handler.proxy(1, path)
        except HTTPError as error:
            return error.status_code
        assert handler._headers["X-Marimo-Installation"] == "running"
        status: int = handler.get_status()
        return status

    @pytest.mark.parametrize("path", ["sse", "/sse", "sse/", "//sse//"])
    @pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
    async def test_is_closed_to_other_origins_however_it_is_written(self, method: str, path: str) -> None:
        assert await self.status(method, path, Sec_Fetch_Site="cross-site") == HTTPStatus.FORBIDDEN
        assert await self.status(method, path, Origin=OTHER) == HTTPStatus.FORBIDDEN
        own = await self.status(method, path, Sec_Fetch_Site="same-origin", Origin=OWN)
        assert own == HTTPStatus.SERVICE_UNAVAILABLE

    @pytest.mark.parametrize("path", ["", "assets/sse", "sse.js", "api/usage"])
    async def test_is_no_other_path(self, path: str) -> None:
        status = await self.status("GET", path, Sec_Fetch_Site="cross-site")
        assert status == HTTPStatus.SERVICE_UNAVAILABLE


def page(body: bytes, kind: str = "text/html; charset=utf-8") -> Any:
    response = HTTPResponse(HTTPRequest(OWN), 200, HTTPHeaders({"Content-Type": kind}))
    rewritable = RewritableResponse(orig_response=response)
    rewritable.body = body
    return rewritable


@pytest.mark.parametrize("transport", ["auto", "sse", "polling"])
def test_script_comes_before_marimos_own(transport: str) -> None:
    response = page(
        b"<!doctype html><html><head><script src=own.js></script></head><body><head></body></html>"
    )
    add_script(transport)(response)
    begin, script, end = re.fullmatch(
        b"(<!doctype html><html><head>)<script data-transport=[^>]*>(.*)</script>"
        b"(<script src=own.js></script></head><body><head></body></html>)",
        response.body,
        re.DOTALL,
    ).groups()  # type: ignore[union-attr]  # None fails as well
    assert begin and end
    assert (
        b'<script data-transport="%s" data-key="%s">' % (transport.encode(), PAGE_KEY.encode())
        in response.body
    )
    assert b"</script" not in script, "it would end there"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<head>", "text/plain"),
        (b'"<head>"', "application/json"),
        (b"no page", "text/html"),
        (b"", "text/html"),
    ],
)
def test_script_is_put_into_nothing_else(body: bytes, kind: str) -> None:
    response = page(body, kind)
    add_script("auto")(response)
    assert response.body == body
