"""Failing checks of marimo-doctor that a healthy space never shows; doctor.test.ts has the others."""

import gc
import hashlib
import http.server
import io
import json
import os
import signal
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from sagemaker_marimo import doctor, jupyter_server, state
from sagemaker_marimo.checks import files, servers
from sagemaker_marimo.checks.problem import Check, Findings, Problem
from sagemaker_marimo.doctor import bounded

# An error of urllib keeps its connection open until it is garbage-collected.
pytestmark = pytest.mark.filterwarnings("ignore:.*socket:pytest.PytestUnraisableExceptionWarning")

Answers = dict[str, tuple[int, str, bytes]]


class Jupyter(http.server.BaseHTTPRequestHandler):
    """A fake JupyterLab."""

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
    gc.collect()  # here, where the warning is ignored, and not in a later test


def problem(check: Check, findings: Findings | None = None) -> Problem:
    with pytest.raises(Problem) as raised:
        check(findings or Findings())
    return raised.value


def no_server() -> Iterator[dict[str, str]]:
    return iter(())


class TestProxyEntry:
    SERVERS = "/server-proxy/servers-info"

    def test_exists(self, answers: Answers, findings: Findings) -> None:
        answers[self.SERVERS] = (200, "application/json", b'{"server_processes": [{"name": "marimo"}]}')
        assert servers.proxy_entry(findings) == "/marimo/"

    def test_is_missing(self, answers: Answers, findings: Findings) -> None:
        answers[self.SERVERS] = (200, "application/json", b'{"server_processes": [{"name": "mine"}]}')
        wrong = problem(servers.proxy_entry, findings)
        assert str(wrong) == "JupyterLab has no proxy entry for marimo"
        assert "c.ServerProxy.servers.update" in wrong.remedy

    @pytest.mark.parametrize("body", [b"", b"<html>", b"{}"])
    def test_no_answer(self, body: bytes, answers: Answers, findings: Findings) -> None:
        answers[self.SERVERS] = (200, "application/json", body)
        assert "jupyter-server-proxy does not answer" in str(problem(servers.proxy_entry, findings))


class TestMarimoServer:
    def test_does_not_start(self, answers: Answers, findings: Findings) -> None:
        answers["/marimo/"] = (500, "text/html", b"")
        assert str(problem(servers.marimo_server, findings)) == "marimo's server did not start (HTTP 500)"

    @pytest.mark.parametrize("status", [401, 403])
    def test_answers_only_with_the_token(
        self, status: int, answers: Answers, findings: Findings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers["/marimo/"] = (200, "text/html", b"<html>")
        answers["/marimo/api/status"] = (status, "text/plain", b"")
        port = findings.server["port"]
        monkeypatch.setattr(servers, "marimo_port", lambda: port)
        assert servers.marimo_server(findings) == f"answers on port {port}, and only with the token"
        assert findings.page == "<html>"

    @pytest.mark.parametrize(
        ("status", "message"), [(200, "answers requests without the token"), (500, "answers HTTP 500")]
    )
    def test_unexpected_answer_on_its_port(
        self, status: int, message: str, answers: Answers, findings: Findings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers["/marimo/"] = (200, "text/html", b"<html>")
        answers["/marimo/api/status"] = (status, "text/plain", b"")
        monkeypatch.setattr(servers, "marimo_port", lambda: findings.server["port"])
        assert message in str(problem(servers.marimo_server, findings))


class TestEventStream:
    @pytest.mark.parametrize(
        ("kind", "body", "message"),
        [
            ("text/html", b"<html>", "marimo answered with text/html instead of events"),
            ("text/event-stream", b": keep-alive\n\n", "the stream ended before its first event"),
        ],
    )
    def test_no_events(
        self, kind: str, body: bytes, message: str, answers: Answers, findings: Findings
    ) -> None:
        answers["/marimo/sse"] = (200, kind, body)
        assert str(problem(servers.event_stream, findings)) == message

    def test_is_rejected(self, findings: Findings) -> None:
        assert str(problem(servers.event_stream, findings)) == "no event arrived: HTTP Error 404: Not Found"

    def test_sends_an_event(
        self, answers: Answers, findings: Findings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        answers["/marimo/sse"] = (200, "text/event-stream", b"data: {}\n\n")
        assert servers.event_stream(findings) == "the first event arrived"
        warning = "the kernel that this check started could not be stopped: HTTP Error 404"
        assert warning in capsys.readouterr().out
        answers["/marimo/api/home/shutdown_session"] = (200, "application/json", b"{}")
        servers.event_stream(findings)
        assert capsys.readouterr().out == ""

    def test_is_not_used(self, findings: Findings) -> None:
        findings.page = '{"transport": "websocket"}'
        assert servers.event_stream(findings).startswith("not checked")


class TestDiskSpace:
    def test_is_sufficient(self, home: Path) -> None:
        assert files.disk_space(Findings()).endswith(" MB free in the home folder")

    def test_is_nearly_full(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=3 * 2**20))
        wrong = problem(files.disk_space)
        assert str(wrong) == "3 MB free in the home folder, at least 500 MB are needed"
        assert "enlarge the space's volume" in wrong.remedy

    def test_is_full(self, home: Path) -> None:
        # Simulates a full volume, also for root. The limit cannot be undone, so it is set in a child process.
        resource = pytest.importorskip("resource")
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
            try:
                files.disk_space(Findings())
            except Problem as wrong:
                os._exit(0 if "File too large" in str(wrong) else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


class TestPayload:
    @pytest.fixture
    def payload(self, home: Path) -> Path:
        """A payload as on-start.sh downloads it: its folder is named after the hash of SHA256SUMS."""
        content = b"value = 1\n"
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            member = tarfile.TarInfo("python/packed.py")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        uploaded = {"python/module.py": content, "files.tar": packed.getvalue()}
        digests = {name: hashlib.sha256(one).hexdigest() for name, one in uploaded.items()}
        sums = "".join(f"{digest}  {name}\n" for name, digest in digests.items()).encode()
        folder = state.STATE / "payload" / hashlib.sha256(sums).hexdigest()[:16]
        (folder / "python").mkdir(parents=True)
        (folder / "SHA256SUMS").write_bytes(sums)
        for name, one in [*uploaded.items(), ("python/packed.py", content)]:
            (folder / name).write_bytes(one)
        (folder.parent / "current").symlink_to(folder.name)
        return folder

    def test_is_unchanged(self, payload: Path) -> None:
        assert files.payload(Findings()) == f"{payload.name}, 3 files, unchanged since upload"

    @pytest.mark.parametrize("name", ["python/module.py", "python/packed.py", "SHA256SUMS"])
    def test_was_altered(self, name: str, payload: Path) -> None:
        (payload / name).write_text("value = 2\n")
        wrong = problem(files.payload)
        assert str(wrong) == f"{payload / name} was altered"
        assert "Stop the space and start it again" in wrong.remedy

    @pytest.mark.parametrize("name", ["python/module.py", "python/packed.py", "SHA256SUMS"])
    def test_lacks_a_file(self, name: str, payload: Path) -> None:
        (payload / name).unlink()
        assert "No such file" in str(problem(files.payload))


class TestToken:
    def test_is_private(self, home: Path) -> None:
        state.token_file()
        assert files.token(Findings()) == "only you can read it (mode 600)"

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o700])
    def test_is_readable_by_others(self, mode: int, home: Path) -> None:
        state.token_file().chmod(mode)
        wrong = problem(files.token)
        assert f"has mode {mode:o}" in str(wrong)
        assert wrong.remedy == f"Run: chmod 600 {state.STATE}/token"

    def test_is_empty_or_missing(self, home: Path) -> None:
        assert "No such file" in str(problem(files.token))
        (state.STATE / "token").write_text("\n")
        assert str(problem(files.token)) == f"{state.STATE}/token is empty"

    def test_belongs_to_another_user(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        state.token_file()
        monkeypatch.setattr("os.geteuid", lambda: 12345)
        assert "belongs to user" in str(problem(files.token))


class TestActivityWatcher:
    @pytest.fixture
    def file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        path = tmp_path / "last-active"
        monkeypatch.setenv("SAGEMAKER_LAST_ACTIVE_TIMESTAMP", str(path))
        return path

    def test_no_work_recorded_yet(self, file: Path) -> None:
        assert files.activity_watcher(Findings()).startswith("no work in marimo has been recorded")

    def test_work_recorded(self, file: Path) -> None:
        file.write_text("2021-01-02T03:04:05.000000Z")
        assert files.activity_watcher(Findings()).endswith(": 2021-01-02 03:04:05 UTC")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("2999-01-01T00:00:00.000000Z", "a time in the future: 2999-01-01 00:00:00"),
            ("soon", "does not contain a time"),
        ],
    )
    def test_invalid_time(self, content: str, message: str, file: Path) -> None:
        file.write_text(content)
        wrong = problem(files.activity_watcher)
        assert message in str(wrong)
        assert wrong.remedy.startswith(f"Run: rm -f {file}\n")


class TestBounded:
    def test_a_check_that_hangs_is_a_problem(self) -> None:
        done = threading.Event()
        with pytest.raises(Problem, match=r"no answer within 0\.2 s"):
            bounded(lambda _: str(done.wait()), Findings(), 0.2)
        done.set()

    def test_a_check_that_raises_is_a_problem(self) -> None:
        with pytest.raises(Problem, match=r"the check itself failed: ZeroDivisionError"):
            bounded(lambda _: str(1 // 0), Findings())


class TestRun:
    @staticmethod
    def works(_: Findings) -> str:
        return "as expected"

    @staticmethod
    def is_wrong(_: Findings) -> str:
        raise Problem("out of order", "Repair it.\nThen try again.")

    @pytest.fixture(autouse=True)
    def run(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(doctor, "jupyter_servers", no_server)

    def test_all_checks_pass(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(doctor, "CHECKS", (("one", self.works, None), ("two", self.works, "one")))
        assert doctor.main() == 0
        assert capsys.readouterr().out == (
            "  ok   one: as expected\n  ok   two: as expected\n\nAll checks passed.\n"
        )

    def test_continues_after_a_failed_check(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        checks = (
            ("one", self.is_wrong, None),
            ("two", self.works, "one"),
            ("three", self.works, "two"),
            ("four", self.works, None),
        )
        monkeypatch.setattr(doctor, "CHECKS", checks)
        assert doctor.main() == 1
        assert capsys.readouterr().out == (
            "FAILED one: out of order\n       Repair it.\n       Then try again.\n"
            "  -    two: not checked: it needs one\n"
            "  -    three: not checked: it needs two\n"
            "  ok   four: as expected\n\n"
            "1 of 4 checks failed.\n"
        )

    def test_prints_no_secret(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        secret = state.token_file().read_text()
        monkeypatch.setattr(doctor, "jupyter_servers", lambda: iter([{"token": "jupyters-token"}, {}]))

        def leaks(_: Findings) -> str:
            raise Problem(f"GET /?token=jupyters-token {secret}", f"curl -H {secret}")

        monkeypatch.setattr(doctor, "CHECKS", (("one", leaks, None),))
        doctor.main()
        assert capsys.readouterr().out.startswith("FAILED one: GET /?token=… …\n       curl -H …\n")


def test_all_checks_are_present() -> None:
    names = {name for name, _, _ in doctor.CHECKS}
    assert names >= {
        *("payload", "environment", "marimo's server", "proxy entry", "event stream", "token"),
        *("activity watcher", "disk space", "bucket"),
    }


def test_each_check_comes_after_the_one_it_needs() -> None:
    names = [name for name, _, _ in doctor.CHECKS]
    for name, _, needed in doctor.CHECKS:
        assert needed is None or names.index(needed) < names.index(name)


def test_jupyters_files_of_servers_that_ended_are_ignored(
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


@pytest.mark.parametrize("app", ["CodeEditor", "JupyterLab"])
def test_code_editor_is_not_checked_for_jupyterlab(
    app: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (state.STATE / "space.env").write_text(f"MARIMO_APP_TYPE={app}\n")
    monkeypatch.setattr(doctor, "CHECKS", tuple((name, lambda _: "fine", None) for name, *_ in doctor.CHECKS))
    assert doctor.main() == 0
    printed = capsys.readouterr().out
    assert "disk space: fine" in printed
    assert ("JupyterLab: fine" in printed) == (app == "JupyterLab")
    assert set(doctor.IN_ANY_APP) < {name for name, *_ in doctor.CHECKS}
