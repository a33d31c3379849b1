"""Following a job in a terminal: its log, its status, and Ctrl-C."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.validate import validate_parameters

from sagemaker_marimo.jobs import follow

JOB = "marimo-dev-analysis-261124170000-ab12"
CREATED = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)
SESSION = botocore.session.get_session()


def described(status: str, **more: object) -> dict[str, Any]:
    return {"ProcessingJobName": JOB, "ProcessingJobStatus": status, "CreationTime": CREATED, **more}


def refused(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "as requested"}}, operation)


class Client:
    """A fake AWS client. Answers from lists, repeating the last answer; botocore validates each request."""

    def __init__(self, service: str, **answers: list[Any]) -> None:
        self._model = SESSION.get_service_model(service)
        self._answers = answers
        self.requests: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        name = "".join(word.capitalize() for word in operation.split("_"))

        def send(**parameters: object) -> object:
            validate_parameters(parameters, self._model.operation_model(name).input_shape)
            self.requests.append((name, parameters))
            answers = self._answers[operation]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return send


def page(token: str, *lines: str) -> dict[str, Any]:
    return {"events": [{"message": line} for line in lines], "nextForwardToken": token}


def log_of(*pages: dict[str, Any]) -> Client:
    stream = {"logStreams": [{"logStreamName": f"{JOB}/algo-1-1"}]}
    return Client("logs", describe_log_streams=[stream], get_log_events=list(pages))


def test_the_fake_client_rejects_invalid_requests() -> None:
    with pytest.raises(Exception, match="ProcessingJobNam"):
        Client("sagemaker", describe_processing_job=[{}]).describe_processing_job(ProcessingJobNam=JOB)


def test_each_line_is_shown_once_and_an_empty_page_is_not_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    logs = log_of(page("f/1", "one"), page("f/2"), page("f/3", "two"), page("f/3"))
    sagemaker = Client("sagemaker", describe_processing_job=[described("InProgress"), described("Completed")])
    end = follow.follow(sagemaker, logs, JOB, poll_seconds=0)
    assert end is not None
    assert end["ProcessingJobStatus"] == "Completed"
    shown = capsys.readouterr()
    assert shown.out == "one\ntwo\n"
    assert "starting: waiting for the instance" in shown.err
    tokens = [parameters.get("nextToken") for name, parameters in logs.requests if name == "GetLogEvents"]
    assert tokens[:4] == [None, "f/1", "f/2", "f/3"]


def test_a_missing_log_has_no_lines_and_other_errors_are_raised() -> None:
    missing = Client(
        "logs", describe_log_streams=[refused("ResourceNotFoundException", "DescribeLogStreams")]
    )
    assert list(follow.Log(missing, JOB).new_lines()) == []
    denied = Client("logs", describe_log_streams=[refused("AccessDeniedException", "DescribeLogStreams")])
    with pytest.raises(ClientError, match="AccessDenied"):
        list(follow.Log(denied, JOB).new_lines())


def test_continues_after_a_network_error(capsys: pytest.CaptureFixture[str]) -> None:
    away = EndpointConnectionError(endpoint_url="https://example.invalid")
    sagemaker = Client("sagemaker", describe_processing_job=[away, described("Completed")])
    assert follow.follow(sagemaker, log_of(page("f/0"), page("f/0")), JOB, poll_seconds=0) is not None
    assert f"cannot get the status of {JOB}, trying again" in capsys.readouterr().err
    denied = Client("sagemaker", describe_processing_job=[refused("AccessDeniedException", "Describe")])
    with pytest.raises(ClientError, match="AccessDenied"):
        follow.follow(denied, log_of(page("f/0")), JOB, poll_seconds=0)


def test_without_a_terminal_an_unchanged_status_is_printed_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers = [described("InProgress")] * 5 + [described("Completed")]
    sagemaker = Client("sagemaker", describe_processing_job=answers)
    follow.follow(sagemaker, log_of(page("f/0"), page("f/0")), JOB, poll_seconds=0)
    assert capsys.readouterr().err.count("starting") == 1


def test_stop_ignores_only_the_error_of_a_job_that_needs_no_stop() -> None:
    refusal = refused("ValidationException", "StopProcessingJob")
    running = described("InProgress")
    for answer in (described("Completed"), described("Stopping")):
        for answers in ([answer], [running, answer]):
            sagemaker = Client("sagemaker", stop_processing_job=[refusal], describe_processing_job=answers)
            assert follow.stop(sagemaker, JOB) == answer
    with pytest.raises(ClientError):
        follow.stop(
            Client("sagemaker", stop_processing_job=[refusal], describe_processing_job=[running]), JOB
        )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (3600, "1 h 00 min"), (7384, "2 h 03 min")],
)
def test_duration(seconds: float, text: str) -> None:
    assert follow.duration(seconds) == text


def test_the_status_says_whether_the_instance_has_started() -> None:
    now = CREATED + timedelta(minutes=5)
    started = described("InProgress", ProcessingStartTime=CREATED + timedelta(minutes=3))
    waiting = follow.status_line(described("InProgress"), {}, now)
    assert waiting == "starting: waiting for the instance (5 min 00 s)"
    running = follow.status_line(started, {}, now)
    assert running == "running for 2 min 00 s (5 min 00 s since it was created)"


@pytest.mark.parametrize(
    ("status", "result", "line"),
    [
        ("Completed", {"exitStatus": 0}, "done after 1 min 01 s"),
        ("Completed", {}, "done after 1 min 01 s"),
        # A sweep's row whose notebook raised an exception.
        ("Completed", {"exitStatus": 1}, "failed after 1 min 01 s"),
        ("Failed", {"exitStatus": 0}, "failed after 1 min 01 s"),
        ("Stopped", {"exitStatus": 143}, "stopped after 1 min 01 s"),
        ("Stopping", {}, "stopping (1 min 01 s)"),
    ],
)
def test_the_status_says_what_the_notebook_did(status: str, result: dict[str, int], line: str) -> None:
    ended = described(status, ProcessingEndTime=CREATED + timedelta(seconds=61))
    assert follow.status_line(ended, result, CREATED) == line


# Runs in a separate process, whose terminal receives Ctrl-C.
PROGRAM = """
import fcntl, sys, termios
from datetime import UTC, datetime
from sagemaker_marimo.jobs import follow

if sys.stdin.isatty():
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class SageMaker:
    status = "InProgress"

    def describe_processing_job(self, ProcessingJobName):
        return {"ProcessingJobStatus": self.status, "CreationTime": datetime.now(UTC)}

    def stop_processing_job(self, ProcessingJobName):
        self.status = SLOW or "Stopped"


class Logs:
    def describe_log_streams(self, **_):
        return {"logStreams": []}


SLOW = sys.argv[1]
end = follow.follow(SageMaker(), Logs(), "the-job", poll_seconds=0.05)
print("end:", end and end["ProcessingJobStatus"], flush=True)
"""


class Terminal:
    """Runs the program in a terminal: types input and reads the output."""

    def __init__(self, slow_stop: str = "") -> None:
        self._ours, theirs = pty.openpty()
        payload = Path(follow.__file__).parents[2]
        self.process = subprocess.Popen(  # noqa: S603  # no shell
            [sys.executable, "-B", "-c", PROGRAM, slow_stop],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "PYTHONPATH": str(payload)},
            start_new_session=True,
        )
        os.close(theirs)
        self.seen = ""
        self._answered = 0

    def until(self, text: str) -> None:
        deadline = time.monotonic() + 20
        while text not in self.seen[self._answered :]:
            ready, _, _ = select.select([self._ours], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"no {text!r} in {self.seen!r}"
            self.seen += os.read(self._ours, 4096).decode()

    def type(self, text: str) -> None:
        self._answered = len(self.seen)
        os.write(self._ours, text.encode())

    def close(self) -> int:
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()
            self.process.wait()
            os.close(self._ours)


QUESTION = "or [s]top it? "


@pytest.mark.parametrize(
    ("dialogue", "slow_stop", "end"),
    [
        ([("starting", "\x03"), (QUESTION, "d\n")], "", "end: None"),
        ([("starting", "\x03"), (QUESTION, "s\n")], "", "end: Stopped"),
        ([("starting", "\x03"), (QUESTION, "what\n"), (QUESTION, "s\n")], "", "end: Stopped"),
        ([("starting", "\x03"), (QUESTION, "\x03")], "", "end: None"),
        # While a stop takes time, Ctrl-C detaches without another question.
        ([("starting", "\x03"), (QUESTION, "s\n"), ("is being stopped", "\x03")], "Stopping", "end: None"),
    ],
)
def test_ctrl_c_asks_whether_to_stop(dialogue: list[tuple[str, str]], slow_stop: str, end: str) -> None:
    terminal = Terminal(slow_stop)
    for text, typed in dialogue:
        terminal.until(text)
        terminal.type(typed)
    terminal.until(end)
    assert terminal.close() == 0
    assert ("marimo-job stop the-job" in terminal.seen) == (end == "end: None")


def test_ctrl_c_without_a_terminal_detaches_and_says_how_to_stop() -> None:
    payload = Path(follow.__file__).parents[2]
    process = subprocess.Popen(  # noqa: S603  # no shell
        [sys.executable, "-B", "-c", PROGRAM, ""],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(payload)},
        start_new_session=True,
    )
    assert process.stderr is not None
    assert "starting" in process.stderr.readline()
    process.send_signal(2)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "end: None\n")
    assert "marimo-job stop the-job" in err
