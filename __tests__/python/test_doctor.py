"""What marimo-doctor says of links that no healthy space shows; the others in space-doctor.test.ts."""

import gc
import hashlib
import http.server
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from sagemaker_marimo import doctor, jupyter_server, state
from sagemaker_marimo.doctor import Check, Findings, Problem, bounded

# urllib's errors hold the connection until they are collected, which ends it.
pytestmark = pytest.mark.filterwarnings("ignore:.*socket:pytest.PytestUnraisableExceptionWarning")

Answers = dict[str, tuple[int, str, bytes]]


class Jupyter(http.server.BaseHTTPRequestHandler):
    """Stands for JupyterLab."""

    answers: Answers

    def do_GET(self) -> None:
        status, kind, body = self.answers.get(self.path.split("?")[0], (404, "text/plain", b""))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    answers: Answers = {}
    monkeypatch.setattr(Jupyter, "answers", answers, raising=False)
    return answers


@pytest.fixture
def findings(answers: Answers) -> Iterator[Findings]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Jupyter)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield Findings({"port": server.server_port, "base_url": "/", "token": "jupyters-token"})
    server.shutdown()
    thread.join()
    server.server_close()
    gc.collect()  # here, where it is expected, and not in any later test


def problem(check: Check, findings: Findings | None = None) -> Problem:
    with pytest.raises(Problem) as raised:
        check(findings or Findings())
    return raised.value


def no_server() -> Iterator[dict[str, str]]:
    return iter(())


class TestProxyEntry:
    SERVERS = "/server-proxy/servers-info"

    def test_is_there(self, answers: Answers, findings: Findings) -> None:
        answers[self.SERVERS] = (200, "application/json", b'{"server_processes": [{"name": "marimo"}]}')
        assert doctor.proxy_entry(findings) == "/marimo/"

    def test_is_missing(self, answers: Answers, findings: Findings) -> None:
        answers[self.SERVERS] = (200, "application/json", b'{"server_processes": [{"name": "mine"}]}')
        wrong = problem(doctor.proxy_entry, findings)
        assert str(wrong) == "JupyterLab was started without marimo's entry"
        assert "c.ServerProxy.servers.update" in wrong.remedy

    @pytest.mark.parametrize("body", [b"", b"<html>", b"{}"])
    def test_cannot_be_asked_for(self, body: bytes, answers: Answers, findings: Findings) -> None:
        answers[self.SERVERS] = (200, "application/json", body)
        assert "jupyter-server-proxy does not answer" in str(problem(doctor.proxy_entry, findings))


class TestMarimoServer:
    def test_does_not_start(self, answers: Answers, findings: Findings) -> None:
        answers["/marimo/"] = (500, "text/html", b"")
        assert str(problem(doctor.marimo_server, findings)) == "marimo's server did not start (HTTP 500)"

    @pytest.mark.parametrize("status", [401, 403])
    def test_answers_with_the_token_alone(
        self, status: int, answers: Answers, findings: Findings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers["/marimo/"] = (200, "text/html", b"<html>")
        answers["/marimo/api/status"] = (status, "text/plain", b"")
        port = findings.server["port"]
        monkeypatch.setattr(doctor, "marimo_port", lambda: port)
        assert doctor.marimo_server(findings) == f"answers, and only with the token, on port {port}"
        assert findings.page == "<html>"

    @pytest.mark.parametrize(
        ("status", "told"), [(200, "answers without the token"), (500, "answers HTTP 500")]
    )
    def test_answers_otherwise_on_its_port(
        self, status: int, told: str, answers: Answers, findings: Findings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers["/marimo/"] = (200, "text/html", b"<html>")
        answers["/marimo/api/status"] = (status, "text/plain", b"")
        monkeypatch.setattr(doctor, "marimo_port", lambda: findings.server["port"])
        assert told in str(problem(doctor.marimo_server, findings))


class TestEventStream:
    @pytest.mark.parametrize(
        ("kind", "body", "told"),
        [
            ("text/html", b"<html>", "marimo answered text/html in place of events"),
            ("text/event-stream", b": keep-alive\n\n", "it ended before its first event"),
        ],
    )
    def test_is_none(self, kind: str, body: bytes, told: str, answers: Answers, findings: Findings) -> None:
        answers["/marimo/sse"] = (200, kind, body)
        assert str(problem(doctor.event_stream, findings)) == told

    def test_is_refused(self, findings: Findings) -> None:
        assert str(problem(doctor.event_stream, findings)) == "no event arrived: HTTP Error 404: Not Found"

    def test_brings_an_event(
        self, answers: Answers, findings: Findings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        answers["/marimo/sse"] = (200, "text/event-stream", b"data: {}\n\n")
        assert doctor.event_stream(findings) == "the first event arrived"
        told = "the kernel that this check started could not be ended: HTTP Error 404"
        assert told in capsys.readouterr().out
        answers["/marimo/api/home/shutdown_session"] = (200, "application/json", b"{}")
        doctor.event_stream(findings)
        assert capsys.readouterr().out == ""

    def test_is_not_used(self, findings: Findings) -> None:
        findings.page = '{"transport": "websocket"}'
        assert doctor.event_stream(findings).startswith("not used")


class TestDiskSpace:
    def test_is_enough(self, home: Path) -> None:
        assert doctor.disk_space(Findings()).endswith(" MB free in the home folder")

    def test_is_nearly_gone(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=3 * 2**20))
        wrong = problem(doctor.disk_space)
        assert str(wrong) == "3 MB free in the home folder, less than 500"
        assert "enlarge the space's volume" in wrong.remedy

    def test_is_gone(self, home: Path) -> None:
        # What a full volume does, for root too: a write fails. It cannot be taken back in the same process.
        resource = pytest.importorskip("resource")
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
            try:
                doctor.disk_space(Findings())
            except Problem as wrong:
                os._exit(0 if "File too large" in str(wrong) else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


class TestPayload:
    @pytest.fixture
    def payload(self, home: Path) -> Path:
        """As on-start.sh fetches it: a folder with the name of its list's hash."""
        content = b"value = 1\n"
        sums = f"{hashlib.sha256(content).hexdigest()}  python/module.py\n".encode()
        folder = state.STATE / "payload" / hashlib.sha256(sums).hexdigest()[:16]
        (folder / "python").mkdir(parents=True)
        (folder / "SHA256SUMS").write_bytes(sums)
        (folder / "python/module.py").write_bytes(content)
        (folder.parent / "current").symlink_to(folder.name)
        return folder

    def test_is_as_it_was_uploaded(self, payload: Path) -> None:
        assert doctor.payload(Findings()) == f"{payload.name}, 1 files as they were uploaded"

    @pytest.mark.parametrize("name", ["python/module.py", "SHA256SUMS"])
    def test_was_altered(self, name: str, payload: Path) -> None:
        (payload / name).write_text("value = 2\n")
        wrong = problem(doctor.payload)
        assert str(wrong) == f"{payload / name} was altered"
        assert "Stop the space and start it again" in wrong.remedy

    @pytest.mark.parametrize("name", ["python/module.py", "SHA256SUMS"])
    def test_lacks_a_file(self, name: str, payload: Path) -> None:
        (payload / name).unlink()
        assert "No such file" in str(problem(doctor.payload))


class TestToken:
    def test_is_the_persons_alone(self, home: Path) -> None:
        state.token_file()
        assert doctor.token(Findings()) == "yours alone (mode 600)"

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o700])
    def test_may_be_read_by_others(self, mode: int, home: Path) -> None:
        state.token_file().chmod(mode)
        wrong = problem(doctor.token)
        assert f"has mode {mode:o}" in str(wrong)
        assert wrong.remedy == f"Run: chmod 600 {state.STATE}/token"

    def test_is_empty_or_gone(self, home: Path) -> None:
        assert "No such file" in str(problem(doctor.token))
        (state.STATE / "token").write_text("\n")
        assert str(problem(doctor.token)) == f"{state.STATE}/token is empty"

    def test_belongs_to_another(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        state.token_file()
        monkeypatch.setattr("os.geteuid", lambda: 12345)
        assert "belongs to user" in str(problem(doctor.token))


class TestActivityWatcher:
    @pytest.fixture
    def file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        path = tmp_path / "last-active"
        monkeypatch.setenv("SAGEMAKER_LAST_ACTIVE_TIMESTAMP", str(path))
        return path

    def test_has_seen_no_work_yet(self, file: Path) -> None:
        assert doctor.activity_watcher(Findings()).startswith("no work in marimo yet")

    def test_has_seen_work(self, file: Path) -> None:
        file.write_text("2021-01-02T03:04:05.000000Z")
        assert doctor.activity_watcher(Findings()).endswith(": 2021-01-02 03:04:05 UTC")

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            ("2999-01-01T00:00:00.000000Z", "a time to come: 2999-01-01 00:00:00"),
            ("soon", "does not hold a time"),
        ],
    )
    def test_tells_studio_what_cannot_be(self, content: str, told: str, file: Path) -> None:
        file.write_text(content)
        wrong = problem(doctor.activity_watcher)
        assert told in str(wrong)
        assert wrong.remedy.startswith(f"Run: rm -f {file}\n")


class TestBounded:
    def test_passes_over_a_check_that_never_comes_back(self) -> None:
        done = threading.Event()
        with pytest.raises(Problem, match=r"no answer within 0\.2 s"):
            bounded(lambda _: str(done.wait()), Findings(), 0.2)
        done.set()

    def test_passes_over_a_check_that_fails_itself(self) -> None:
        with pytest.raises(Problem, match=r"the check itself failed: ZeroDivisionError"):
            bounded(lambda _: str(1 // 0), Findings())


class TestRun:
    @staticmethod
    def works(_: Findings) -> str:
        return "as it should"

    @staticmethod
    def is_wrong(_: Findings) -> str:
        raise Problem("out of order", "Mend it.\nThen again.")

    @pytest.fixture(autouse=True)
    def run(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(doctor, "jupyter_servers", no_server)

    def test_is_well(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setattr(doctor, "CHECKS", (("one", self.works, None), ("two", self.works, "one")))
        assert doctor.main() == 0
        assert capsys.readouterr().out == (
            "  ok   one: as it should\n  ok   two: as it should\n\nAll is well.\n"
        )

    def test_goes_on_after_a_link_that_is_wrong(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        links = (
            ("one", self.is_wrong, None),
            ("two", self.works, "one"),
            ("three", self.works, "two"),
            ("four", self.works, None),
        )
        monkeypatch.setattr(doctor, "CHECKS", links)
        assert doctor.main() == 1
        assert capsys.readouterr().out == (
            "WRONG  one: out of order\n       Mend it.\n       Then again.\n"
            "  -    two: not checked without one\n"
            "  -    three: not checked without two\n"
            "  ok   four: as it should\n\n"
            "1 of 4 links wrong.\n"
        )

    def test_prints_no_secret(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        secret = state.token_file().read_text()
        monkeypatch.setattr(doctor, "jupyter_servers", lambda: iter([{"token": "jupyters-token"}, {}]))

        def tells(_: Findings) -> str:
            raise Problem(f"GET /?token=jupyters-token {secret}", f"curl -H {secret}")

        monkeypatch.setattr(doctor, "CHECKS", (("one", tells, None),))
        doctor.main()
        assert capsys.readouterr().out.startswith("WRONG  one: GET /?token=… …\n       curl -H …\n")


def test_checks_each_link_of_the_chain() -> None:
    links = {name for name, _, _ in doctor.CHECKS}
    assert links >= {
        *("payload", "environment", "marimo's server", "proxy entry", "event stream", "token"),
        *("activity watcher", "disk space", "bucket"),
    }


def test_each_link_comes_after_what_it_needs() -> None:
    names = [name for name, _, _ in doctor.CHECKS]
    for name, _, needed in doctor.CHECKS:
        assert needed is None or names.index(needed) < names.index(name)


def test_jupyters_notes_of_servers_that_ended_are_passed_over(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(home))
    ended = os.fork()
    if ended == 0:
        os._exit(0)
    os.waitpid(ended, 0)
    notes = {"old": {"pid": os.getpid(), "port": 1}, "ended": {"pid": ended, "port": 2}, "none": {}}
    for age, (name, note) in enumerate(notes.items()):
        file = home / f"jpserver-{name}.json"
        file.write_text(json.dumps(note))
        os.utime(file, (time.time() + age, time.time() + age))
    (home / "jpserver-half.json").write_text("{")
    assert [server["port"] for server in jupyter_server.jupyter_servers()] == [1]
