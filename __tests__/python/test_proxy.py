"""Which requests are allowed, and which script is inserted into marimo's page."""

import asyncio
import json
import os
import re
from collections.abc import Callable
from html import escape
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from jupyter_server_proxy.handlers import RewritableResponse
from tornado.httpclient import HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import Application, HTTPError

from sagemaker_marimo import packages, state
from sagemaker_marimo.checks.problem import Findings, Problem
from sagemaker_marimo.checks.upgrades import interfaces
from sagemaker_marimo.private_interfaces import OWN_CONNECTION, missing_in_page
from sagemaker_marimo.proxy import (
    HASHED_ASSET,
    MarimoHandler,
    add_script,
    explain_refusals,
    handler_class,
    show_own_connection,
)
from sagemaker_marimo.same_origin import PAGE_KEY, is_allowed, is_same_origin
from sagemaker_marimo.server import Server
from sagemaker_marimo.stream_handler import StreamHandler

HOST = "id.studio.us-east-1.sagemaker.aws"
OWN = f"https://{HOST}"
OTHER = "https://evil.example"


class Connection:
    """A fake connection: a handler registers a callback for when it closes."""

    context = None

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        pass


def request(method: str = "POST", uri: str = "/", **headers: str) -> HTTPServerRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HTTPServerRequest(
        method,
        uri,
        headers=HTTPHeaders({"Host": HOST, **named}),
        connection=Connection(),  # type: ignore[arg-type]  # tornado has no interface for it
    )


@pytest.mark.parametrize(
    "site", ["same-site", "cross-site", "none", "", "SAME-ORIGIN", "same-origin, cross-site"]
)
def test_the_browsers_header_takes_precedence(site: str) -> None:
    assert not is_same_origin(request(Sec_Fetch_Site=site))
    assert not is_same_origin(request(Sec_Fetch_Site=site, Origin=OWN)), "with any Origin"


@pytest.mark.parametrize("headers", [{}, {"Origin": OWN}, {"Origin": "https://behind-the-gateway.example"}])
def test_marimos_own_page_is_of_this_origin(headers: dict[str, str]) -> None:
    """The gateway may change Host so that it differs from Origin."""
    assert is_same_origin(request(**headers, Sec_Fetch_Site="same-origin"))


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
def test_another_origin_without_the_browsers_header(origin: str) -> None:
    assert not is_same_origin(request(Origin=origin))


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": OWN},
        {"Origin": OWN, "Host": "127.0.0.1:8888", "X_Forwarded_Host": HOST},
        {"Origin": "http://127.0.0.1:8888", "Host": "127.0.0.1:8888"},
        {},  # a program in the space, which authenticates to Jupyter
    ],
)
def test_the_same_origin_without_the_browsers_header(headers: dict[str, str]) -> None:
    assert is_same_origin(request(**headers))


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "get"])
@pytest.mark.parametrize("other", [{"Sec_Fetch_Site": "cross-site"}, {"Origin": OTHER}])
def test_other_origins_cannot_change_anything(method: str, other: dict[str, str]) -> None:
    assert not is_allowed(request(method, **other))
    assert is_allowed(request(method, Sec_Fetch_Site="same-origin", Origin=OWN))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_other_origins_may_link_to_marimo(method: str) -> None:
    assert is_allowed(request(method, Sec_Fetch_Site="cross-site"))


@pytest.mark.parametrize("upgrade", ["websocket", "WebSocket"])
def test_other_origins_cannot_open_a_websocket(upgrade: str) -> None:
    assert not is_allowed(request("GET", Upgrade=upgrade, Origin=OTHER))
    assert not is_allowed(request("GET", Upgrade=upgrade, Sec_Fetch_Site="cross-site"))
    assert is_allowed(request("GET", Upgrade=upgrade, Origin=OWN))


@pytest.mark.anyio
@pytest.mark.usefixtures("home")
class TestEventStreamsPath:
    """The path as tornado passes it, decoded. marimo is not installed, so allowed requests get 503."""

    @staticmethod
    async def status(method: str, path: str, **headers: str) -> int:
        handler = MarimoHandler(Application(), request(method, f"/{path}", **headers), state={})
        try:
            await handler.proxy(1, path)
        except HTTPError as error:
            return error.status_code
        assert handler._headers["X-Marimo-Waiting"] == "installing"
        status: int = handler.get_status()
        return status

    @pytest.mark.parametrize("path", ["sse", "/sse", "sse/", "//sse//"])
    @pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
    async def test_is_closed_to_other_origins_in_any_spelling(self, method: str, path: str) -> None:
        assert await self.status(method, path, Sec_Fetch_Site="cross-site") == HTTPStatus.FORBIDDEN
        assert await self.status(method, path, Origin=OTHER) == HTTPStatus.FORBIDDEN
        own = await self.status(method, path, Sec_Fetch_Site="same-origin", Origin=OWN)
        assert own == HTTPStatus.SERVICE_UNAVAILABLE

    @pytest.mark.parametrize("path", ["", "assets/sse", "sse.js", "api/usage"])
    async def test_other_paths_are_open(self, path: str) -> None:
        status = await self.status("GET", path, Sec_Fetch_Site="cross-site")
        assert status == HTTPStatus.SERVICE_UNAVAILABLE


@pytest.mark.anyio
@pytest.mark.usefixtures("home")
class TestOwnConnection:
    """A page reports that it does not open its stream by event_stream.js."""

    @pytest.fixture
    def of_marimo(self, monkeypatch: pytest.MonkeyPatch) -> type[MarimoHandler]:
        async def nothing(*_: Any) -> None:
            pass

        monkeypatch.setattr(state, "installed_environment", lambda: Path("/environment"))
        monkeypatch.setattr("sagemaker_marimo.private_interfaces.missing_in_marimo", lambda _: [])
        monkeypatch.setattr(MarimoHandler, "ensure_process", nothing)
        monkeypatch.setattr(StreamHandler, "_event_stream", nothing)
        return handler_class("marimo")

    @staticmethod
    async def ask(of_marimo: type[MarimoHandler], method: str, **headers: str) -> bytes:
        handler = of_marimo(Application(), request(method, "/sse", **headers), state={})
        await handler.proxy(1, "sse")
        return b"".join(handler._write_buffer)

    @staticmethod
    def home_page(of_marimo: type[MarimoHandler]) -> bytes:
        response = page(b"<head></head>")
        show_own_connection(of_marimo.server)(response, request("GET"), "")
        notebook = page(b"<head></head>")
        show_own_connection(of_marimo.server)(notebook, request("GET", "/?file=daily.py"), "")
        assert notebook.body == b"<head></head>"
        body: bytes = response.body
        return body

    async def test_is_logged_once_and_shown(
        self, of_marimo: type[MarimoHandler], capsys: pytest.CaptureFixture[str]
    ) -> None:
        answers = [await self.ask(of_marimo, "POST"), await self.ask(of_marimo, "POST")]
        assert all(b"does not open its event stream by window.fetch" in one for one in answers)
        assert capsys.readouterr().err == f"sagemaker-marimo: {OWN_CONNECTION}\n"
        shown = self.home_page(of_marimo).decode()
        assert escape(OWN_CONNECTION) in shown
        with pytest.raises(Problem, match=r"window\.fetch: it has its own connection"):
            interfaces(Findings(page=f"{shown}<marimo-server-token"))

    async def test_another_site_cannot_report_it(self, of_marimo: type[MarimoHandler]) -> None:
        with pytest.raises(HTTPError):
            await self.ask(of_marimo, "POST", Sec_Fetch_Site="cross-site")
        assert self.home_page(of_marimo) == b"<head></head>"

    async def test_ends_with_a_stream_of_ours(self, of_marimo: type[MarimoHandler]) -> None:
        await self.ask(of_marimo, "POST")
        await self.ask(of_marimo, "GET")
        assert of_marimo.server.has_own_connection, "a stream of marimo's own"
        await self.ask(of_marimo, "GET", Marimo_Stream="name")
        assert self.home_page(of_marimo) == b"<head></head>"


class Saves:
    """marimo's page saves a notebook. A fake marimo has one session and notes what reaches it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path | None) -> None:
        self.passed: list[str] = []
        self._class = handler_class("marimo")
        sessions = {"s_page": {"filename": "daily.py", "path": str(path) if path else None}}

        async def ask(_: Any, port: int, path: str) -> Any:
            return sessions

        async def proxy(_: Any, port: int, path: str) -> None:
            self.passed.append(path)

        monkeypatch.setattr(StreamHandler, "_ask_marimo", ask)
        monkeypatch.setattr(StreamHandler, "proxy", proxy, raising=False)
        monkeypatch.setattr("sagemaker_marimo.proxy.ABSENCE_CHECKS", 2)

    async def save(
        self, what: str = "save", session: str = "s_page", body: bytes | None = None, **headers: str
    ) -> int:
        of_page = request(uri=f"/marimo/api/kernel/{what}", Marimo_Session_Id=session, **headers)
        of_page.body = b'{"filename": "reports/daily.py"}' if body is None else body
        handler = self._class(Application(), of_page, state={"activity": None})
        await handler.proxy(1, f"api/kernel/{what}")
        status: int = handler.get_status()
        if status == HTTPStatus.GONE and "Marimo_File_Check" not in headers:
            assert b"daily.py was deleted or moved" in b"".join(handler._write_buffer)
        return status


@pytest.mark.anyio
@pytest.mark.usefixtures("environment")
class TestSave:
    @pytest.fixture
    def file(self, home: Path) -> Path:
        file = home / "marimo-notebooks/reports/daily.py"
        file.parent.mkdir()
        file.touch()
        os.utime(file, (1, 1))  # long ago
        return file

    @pytest.mark.parametrize("what", ["save", "save_app_config"])
    async def test_never_brings_a_deleted_file_back_by_itself(
        self, what: str, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        saves = Saves(monkeypatch, file)
        assert await saves.save(what) == HTTPStatus.OK
        file.unlink()
        assert await saves.save(what) == HTTPStatus.GONE
        file.parent.rmdir()
        assert await saves.save(what) == HTTPStatus.GONE
        assert saves.passed == [f"api/kernel/{what}"], "marimo was not asked"
        assert await saves.save(what, Marimo_Recreate="yes") == HTTPStatus.OK
        assert len(saves.passed) == 2

    async def test_waits_for_an_editor_that_deletes_a_file_and_writes_it(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        saves = Saves(monkeypatch, file)
        file.unlink()
        asyncio.get_running_loop().call_later(0.05, file.touch)
        assert await saves.save() == HTTPStatus.OK

    @pytest.mark.parametrize("session", ["s_page", "s_other"])
    async def test_creates_a_new_notebooks_file(self, session: str, monkeypatch: pytest.MonkeyPatch) -> None:
        saves = Saves(monkeypatch, None)
        assert await saves.save(session=session) == HTTPStatus.OK
        assert saves.passed == ["api/kernel/save"]

    async def test_leaves_invalid_requests_to_marimo(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        saves = Saves(monkeypatch, file)
        for body in (b"", b"[]", b"{}", b'{"filename": 1}'):
            assert await saves.save(body=body) == HTTPStatus.OK
        assert len(saves.passed) == 4

    @pytest.mark.parametrize("session", ["s_page", "s_of_a_server_that_has_ended"])
    async def test_answers_whether_the_file_is_back(
        self, session: str, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        saves = Saves(monkeypatch, file)
        assert await saves.save(session=session, Marimo_File_Check="yes") == HTTPStatus.NO_CONTENT
        file.unlink()
        assert await saves.save(session=session, Marimo_File_Check="yes") == HTTPStatus.GONE
        assert saves.passed == []

    async def test_waits_until_the_page_shows_what_another_program_changed(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        saves = Saves(monkeypatch, file)
        file.write_text("# by git")
        assert await saves.save() == HTTPStatus.CONFLICT
        assert saves.passed == []


@pytest.mark.anyio
class TestRequirements:
    """marimo's page while ~/requirements.txt is being installed."""

    @staticmethod
    async def ask(server: Server, query: str, accept: str = "text/html") -> MarimoHandler:
        asked = request("GET", f"/marimo/{query}", Accept=accept)
        handler = type("Handler", (MarimoHandler,), {"entry": "marimo", "server": server})(
            Application(), asked, state={}
        )
        await handler.proxy(1, "/")
        return handler  # type: ignore[no-any-return]

    @pytest.fixture(autouse=True)
    def started(self, environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        async def passed_on(handler: MarimoHandler, port: int, path: str) -> None:
            handler.set_header("Passed-On", "yes")

        async def starts_soon(handler: MarimoHandler) -> bool:
            return True

        monkeypatch.setattr(StreamHandler, "proxy", passed_on)
        monkeypatch.setattr(MarimoHandler, "_starts_soon", starts_soon)
        monkeypatch.setattr(packages, "REQUIREMENTS", environment / "requirements.txt")
        packages.REQUIREMENTS.write_text("a\n")
        (state.STATE / "status").write_text("installing\n")

    async def test_waits_until_the_user_opens_marimo_without_them(self) -> None:
        server = Server("marimo")
        waiting = await self.ask(server, "?file=a%26b.py")
        assert waiting._headers["X-Marimo-Waiting"] == "packages: installing"
        link = "?file=a%26b.py&open-without-packages=yes"
        assert f'href="{link.replace("&", "&amp;")}"'.encode() in b"".join(waiting._write_buffer)
        followed = await self.ask(server, link)
        assert (followed.get_status(), followed._headers["Location"]) == (302, "?file=a%26b.py")
        opened = await self.ask(server, "?file=a%26b.py")
        assert opened._headers["Passed-On"] == "yes"

    async def test_keeps_only_pages_waiting(self) -> None:
        passed_on = await self.ask(Server("marimo"), "", "application/json")
        assert passed_on._headers["Passed-On"] == "yes"


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
    add_script(transport)(response, request("GET"), "public/page.html")
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
    assert b"</script" not in script, "the script would end there"


@pytest.mark.parametrize(
    ("site", "is_marked"),
    [(None, False), ("none", False), ("same-origin", False), ("same-site", True), ("cross-site", True)],
)
def test_a_page_that_another_website_opened_is_marked(site: str | None, is_marked: bool) -> None:
    response = page(b"<head><script src=own.js>")
    add_script("auto")(response, request("GET", **{"Sec_Fetch_Site": site} if site else {}), "")
    assert response.body.startswith(b"<head><script>sessionStorage.setItem") is is_marked


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<head>", "text/plain"),
        (b'"<head>"', "application/json"),
        (b"no page", "text/html"),
        (b"", "text/html"),
    ],
)
def test_the_script_is_inserted_into_nothing_else(body: bytes, kind: str) -> None:
    response = page(body, kind)
    add_script("auto")(response, request("GET"), "public/page.html")
    assert response.body == body


@pytest.mark.parametrize("path", ["", "/"])
@pytest.mark.parametrize(
    ("body", "missing"),
    [
        (b"<html><head></head><marimo-server-token data-token='x'>", None),
        (b"<html><HEAD></HEAD><marimo-server-token data-token='x'>", "does not have &lt;head&gt;."),
        (b"<html><head></head>", "does not have &lt;marimo-server-token."),
    ],
)
def test_marimos_page_says_what_it_lacks_for_the_script(
    body: bytes, missing: str | None, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    response = page(body)
    add_script("auto")(response, request("GET"), path)
    assert (b"<script data-transport" in response.body) == (b"<head>" in body)
    if missing is None:
        assert b"marimo-doctor" not in response.body
        assert capsys.readouterr().err == ""
    else:
        assert missing in response.body.decode()
        assert missing_in_page(response.body.decode()), "marimo-doctor sees the page with the script"
        assert "sagemaker-marimo: marimo's page does not have <" in capsys.readouterr().err


FAILED = b'{"success": false, "error": "See terminal"}'


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("/api/packages/remove", FAILED, "numpy belongs to the image"),
        ("/api/packages/add", FAILED, "See terminal"),
        ("/api/packages/remove", b'{"success": true, "error": null}', None),
    ],
)
def test_the_package_panel_says_why_a_package_was_not_removed(
    path: str, body: bytes, error: str | None
) -> None:
    server = Server("marimo")
    server._output.extend(
        ["sagemaker-marimo: numpy belongs to the image", "numpy", "sagemaker-marimo: scipy"]
    )
    response = page(body, "application/json")
    asked = request()
    asked.body = b'{"package": "numpy"}'
    explain_refusals(server)(response, asked, path)
    assert json.loads(response.body)["error"] == error


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>"])
def test_another_answer_to_a_removal_stays_as_it_is(body: bytes) -> None:
    response = page(body, "text/html")
    asked = request()
    asked.body = b'{"package": "numpy"}'
    explain_refusals(Server("marimo"))(response, asked, "/api/packages/remove")
    assert response.body == body


@pytest.mark.parametrize(
    ("path", "is_kept"),
    [
        ("assets/index-s-M1OXjs.js", True),
        ("/assets/FiraMono-Bold-C6PDArdf.woff2", True),
        ("assets/textile--JQHE1pJ.js", True),
        ("assets/index.js", False),
        ("", False),
        ("index.html", False),
        ("public/assets-C6PDArdf.js", False),
        # A user's own file, which may change: its date looks like a hash.
        ("public/assets/prices-20261126.csv", False),
        ("assets/../api/file-C6PDArdf.js", False),
        ("assets/x/file-C6PDArdf.js", False),
    ],
)
def test_browsers_cache_files_with_a_hash_in_their_name(path: str, is_kept: bool) -> None:
    assert bool(HASHED_ASSET.fullmatch(path)) is is_kept
