"""marimo's server in Code Editor, with a program in its place. code-editor.test.ts uses marimo itself."""

import json
import os
import signal
import socket
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from sagemaker_marimo import code_editor, open_marimo, state

SERVER = """
import http.server, json, os, pathlib, sys
options = dict(zip(sys.argv[1:], sys.argv[2:]))
pathlib.Path(os.environ["SEEN"]).write_text(json.dumps({
    "arguments": sys.argv[1:],
    "environment": dict(os.environ),
    "password": pathlib.Path(options["--token-password-file"]).read_text(),
    "group": os.getpgid(0),
}))
address = ("127.0.0.1", int(options["--port"]))
http.server.HTTPServer(address, http.server.SimpleHTTPRequestHandler).serve_forever()
"""


@pytest.fixture
def seen(environment: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the program in marimo's place was started with."""
    (home / "server.py").write_text(SERVER)
    python(environment, f'exec {sys.executable} {home}/server.py "$@"')
    (state.STATE / "space.env").write_text("MARIMO_APP_TYPE=CodeEditor\n")
    monkeypatch.setenv("SEEN", str(home / "seen.json"))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        monkeypatch.setattr(code_editor, "FIRST_PORT", listener.getsockname()[1])
    return home / "seen.json"


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def python(environment: Path, command: str) -> None:
    file = environment / "bin/python"
    file.parent.mkdir()
    file.write_text(f"#!/bin/bash\n{command}\n")
    file.chmod(0o755)


def answers(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def test_the_server_knows_its_address_and_ends_with_ctrl_c(seen: Path) -> None:
    shown: list[str] = []

    def show(path: str) -> None:
        shown.append(path)
        assert urllib.request.urlopen(f"http://127.0.0.1:{code_editor.FIRST_PORT}/").status == 200
        raise KeyboardInterrupt

    assert code_editor.serve(show) == 0
    assert not answers(code_editor.FIRST_PORT)
    started = json.loads(seen.read_text())
    port, token = str(code_editor.FIRST_PORT), started["password"]
    assert shown == [f"absports/{port}/?access_token={token}"]
    assert len(token) >= 20
    assert token not in " ".join(started["arguments"])
    options = dict(zip(started["arguments"], started["arguments"][1:], strict=False))
    assert options["--base-url"] == f"/codeeditor/default/absports/{port}"
    assert options["--host"] == "127.0.0.1"
    assert options["edit"] == str(state.NOTEBOOKS)
    assert started["environment"]["MARIMO_PROXY_BASE_PATH"] == "/codeeditor/default"
    assert started["environment"]["MARIMO_SERVER_TRANSPORT"] == "sse"
    assert started["environment"]["HOME"] == str(state.HOME)
    assert started["group"] != os.getpgid(0), "Ctrl+C does not reach it"
    assert not Path(options["--token-password-file"]).exists()


# The signal may interrupt a request. Its socket is then closed with the process, which a test does not end.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("state_of_cells", ["running", "idle"])
def test_a_running_cell_keeps_the_space(
    state_of_cells: str, seen: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = f"codeeditor/default/absports/{code_editor.FIRST_PORT}/api"
    monkeypatch.chdir(home)
    (home / api / "kernel").mkdir(parents=True)
    (home / api / "sessions").write_text('{"s1": {}}')
    (home / api / "kernel/status").write_text(json.dumps({"state": state_of_cells}))
    monkeypatch.setattr(code_editor, "ACTIVITY_SECONDS", 0.2)
    file = home / "last-active"
    monkeypatch.setenv("SAGEMAKER_LAST_ACTIVE_TIMESTAMP", str(file))

    def show(_: str) -> None:
        threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGTERM)).start()

    with pytest.raises(SystemExit):
        code_editor.serve(show)
    assert file.exists() == (state_of_cells == "running")


def test_a_closed_terminal_ends_the_server(seen: Path) -> None:
    def show(_: str) -> None:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGHUP)).start()

    with pytest.raises(SystemExit) as end:
        code_editor.serve(show)
    assert end.value.code == 128 + signal.SIGHUP
    assert not answers(code_editor.FIRST_PORT)


def test_a_port_that_is_in_use_is_skipped(seen: Path) -> None:
    first = code_editor.FIRST_PORT
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", first))
        listener.listen()
        assert code_editor.free_port() > first
    assert code_editor.free_port() == first


@pytest.mark.usefixtures("home")
def test_a_server_that_ends_at_once_is_reported(environment: Path) -> None:
    python(environment, "exit 3")
    with pytest.raises(SystemExit, match="ended with status 3"):
        code_editor.serve(lambda _: pytest.fail("no address"))


def test_the_installation_is_awaited(environment: Path) -> None:
    assert code_editor.installation() == "ready"
    (environment / ".complete").unlink()
    assert code_editor.installation() == "installing"
    (state.STATE / "status").write_text("failed\n")
    assert code_editor.installation() == "not installed"


@pytest.mark.parametrize(("setting", "expected"), [("CodeEditor", True), ("JupyterLab", False), ("", False)])
def test_the_app_type(setting: str, expected: bool, home: Path) -> None:
    (state.STATE / "space.env").write_text(f"MARIMO_APP_TYPE={setting}\n")
    assert code_editor.is_code_editor() == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "https://x.aws/codeeditor/default",
            "marimo: https://x.aws/codeeditor/default/absports/1/?access_token=t",
        ),
        ("https://x.aws/", "marimo: https://x.aws/codeeditor/default/absports/1/?access_token=t"),
        (
            None,
            "In this Code Editor's address, replace everything after /codeeditor/default/ with "
            "absports/1/?access_token=t",
        ),
    ],
)
def test_the_address(
    url: str | None, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(open_marimo, "describe_space", lambda: (url, "no reason"))
    open_marimo.show_in_code_editor(["", "?file=a%20b.py&view-as=present"], "absports/1/?access_token=t")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3:-1] == [expected, f"{expected}&file=a%20b.py&view-as=present"]
    assert "add 1 on Code Editor's Ports tab" in lines[-1]
