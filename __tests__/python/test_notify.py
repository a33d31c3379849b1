"""`--notify` and `marimo-job notify`: requests, refusals, addresses, and the message that a job sends."""

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber
from test_jobs_request import NOTEBOOK, client, prepare, refusal
from test_sweep import ENVIRONMENT, plan

from sagemaker_marimo import job_notify
from sagemaker_marimo.job_container import RESOURCES, Container
from sagemaker_marimo.job_notify import Ended
from sagemaker_marimo.jobs import notebook, notify
from sagemaker_marimo.jobs.parser import parser
from sagemaker_marimo.jobs.sender import Sender
from sagemaker_marimo.jobs.settings import Refused
from sagemaker_marimo.jobs.sweep_store import Store

TOPICS = "arn:aws:sns:us-east-1:123456789012:marimo-dev-user-"
TOPIC = f"{TOPICS}ana"
ROLES = "arn:aws:iam::123456789012:role/marimo-dev-user-"
ON: dict[str, Any] = {
    "roleArn": None,
    "userRoleArnPrefix": ROLES,
    "topicArnPrefix": TOPICS,
    "emailDomains": ["example.com"],
}
CONFIRMED = {"SubscriptionArn": f"{TOPIC}:1", "Endpoint": "ana@example.com", "Protocol": "email"}
WAITING = {"SubscriptionArn": "PendingConfirmation", "Endpoint": "bo@example.com", "Protocol": "email"}


@pytest.fixture
def folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(notebook, "check", lambda *_: iter(()))
    monkeypatch.setenv("MARIMO_USER", "ana")
    addresses(monkeypatch, [CONFIRMED])
    (home / "analysis.py").write_text(NOTEBOOK)
    return home


def addresses(monkeypatch: pytest.MonkeyPatch, found: list[dict[str, str]]) -> None:
    """The answers of SNS to each client: what is asked is checked, and sent nowhere."""

    def new_client(_: object) -> Any:
        sns = client("sns")
        stub = Stubber(sns)
        stub.add_response("list_subscriptions_by_topic", {"Subscriptions": found}, {"TopicArn": TOPIC})
        if found:
            stub.add_response("unsubscribe", {}, {"SubscriptionArn": found[0]["SubscriptionArn"]})
        else:
            expected = {"TopicArn": TOPIC, "Protocol": "email", "Endpoint": "cy@example.com"}
            stub.add_response("subscribe", {"SubscriptionArn": "pending confirmation"}, expected)
        stub.activate()
        return sns

    monkeypatch.setattr(notify, "client", new_client)


def variables(request: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, value in request["Environment"].items() if "NOTIFY" in name}


@pytest.mark.parametrize(
    ("words", "when"), [(["--notify"], "both"), (["--notify", "failure"], "failure"), ([], None)]
)
def test_the_request_names_the_senders_own_topic(folder: Path, words: list[str], when: str | None) -> None:
    built = prepare(folder, [str(folder / "analysis.py"), *words], **ON)
    expected = {} if when is None else {"MARIMO_NOTIFY": when, "MARIMO_NOTIFY_TOPIC": TOPIC}
    assert variables(built.final) == expected
    assert "--notify" not in "\n".join(built.warnings)


def test_a_spot_job_is_told_from_others(folder: Path) -> None:
    words = [str(folder / "analysis.py"), "--notify"]
    assert "MARIMO_NOTIFY_SPOT" in variables(prepare(folder, [*words, "--spot"], **ON).final)
    assert "MARIMO_NOTIFY_SPOT" not in variables(prepare(folder, [*words, "--checkpoints"], **ON).final)


def test_it_is_refused_where_nobody_is_notified(folder: Path) -> None:
    off = ON | {"topicArnPrefix": None}
    assert "(jobs.notifications)" in refusal(folder, str(folder / "analysis.py"), "--notify", **off)
    with pytest.raises(SystemExit):
        parser().parse_args(["run", "a.py", "--notify", "never"])


def test_an_unconfirmed_address_is_warned_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    addresses(monkeypatch, [WAITING])
    warnings = prepare(folder, [str(folder / "analysis.py"), "--notify"], **ON).warnings
    assert "no address of yours is confirmed" in "\n".join(warnings)


def test_of_a_sweep_only_the_last_job_notifies(folder: Path) -> None:
    single = prepare(folder, [str(folder / "analysis.py"), "--notify"], **ON).request

    def steps(then: str | None) -> dict[str, dict[str, str]]:
        one = plan(2, then_notebook=then)
        text = one.definition(Store(None, None, "bucket", "people/ana"), one.parts[0], single)
        return {step["Name"]: variables(step["Arguments"]) for step in json.loads(text)["Steps"]}

    rows = {"MARIMO_NOTIFY": "both", "MARIMO_NOTIFY_TOPIC": TOPIC, "MARIMO_NOTIFY_ROWS": "2"}
    assert steps(None) == {"row-1": rows, "row-2": rows}
    with_then = steps("summary.py")
    assert with_then["row-1"] == with_then["row-2"] == {}
    assert with_then["then"] == {"MARIMO_NOTIFY": "both", "MARIMO_NOTIFY_TOPIC": TOPIC}


def command(monkeypatch: pytest.MonkeyPatch, found: list[dict[str, str]], *words: str) -> int:
    changes: dict[str, Any] = {"topics": TOPICS, "email_domains": ["example.com"], "user_roles": ROLES}
    environment = dataclasses.replace(ENVIRONMENT, **changes)
    addresses(monkeypatch, found)
    who = Sender(f"{ROLES}ana", "marimo-dev-ana", "people/ana")
    return notify.run_command(environment, who, parser().parse_args(["notify", *words]))


def test_addresses_are_listed_added_and_removed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, [CONFIRMED, WAITING]) == 0
    out = capsys.readouterr().out
    assert out == "ana@example.com  confirmed\nbo@example.com  not confirmed yet\n"
    command(monkeypatch, [], "cy@Example.com")
    assert "AWS sends an e-mail to cy@example.com: open its link once" in capsys.readouterr().err
    command(monkeypatch, [CONFIRMED], "ana@example.com")
    assert "is confirmed already" in capsys.readouterr().err
    command(monkeypatch, [CONFIRMED], "--remove", "ana@example.com")
    assert "ana@example.com is removed" in capsys.readouterr().err
    command(monkeypatch, [WAITING], "--remove", "bo@example.com")
    assert "was never confirmed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["ana@elsewhere.org"], "must end with @example.com (jobs.notifications.emailDomains of dev)"),
        (["ana"], "must end with"),
        (["--remove", "cy@example.com"], "is not one of your addresses"),
        (["--remove"], "--remove needs an ADDRESS"),
    ],
)
def test_other_addresses_are_refused(monkeypatch: pytest.MonkeyPatch, words: list[str], says: str) -> None:
    with pytest.raises(Refused) as refused:
        command(monkeypatch, [CONFIRMED], *words)
    assert says in str(refused.value)


class Job:
    """A job's container, with an AWS CLI that writes what it is asked."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ml, self.calls = folder / "ml", folder / "calls"
        self.keys = folder / "keys.json"
        (self.ml / "processing/output").mkdir(parents=True)
        script = folder / "aws"
        script.write_text(
            f"#!{sys.executable}\nimport json, os, pathlib, sys\nwords = sys.argv[1:]\n"
            f"open({str(self.calls)!r}, 'a').write(json.dumps(words) + '\\n')\n"
            "if words[0] == os.environ.get('FAILS'): sys.exit('An error occurred (Denied)')\n"
            "if 'put-object' in words and 'TOLD' in os.environ: sys.exit('(PreconditionFailed)')\n"
            f"if 'list-objects-v2' in words: print(pathlib.Path({str(self.keys)!r}).read_text())\n"
            "if '--recursive' in words:\n"
            "    for row in (1, 2):\n"
            "        path = pathlib.Path(words[-5], str(row), 'result.json')\n"
            "        path.parent.mkdir()\n"
            "        path.write_text(json.dumps({'exitStatus': row - 1}))\n"
        )
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        monkeypatch.setenv("MARIMO_NOTIFY", "both")
        monkeypatch.setenv("MARIMO_NOTIFY_TOPIC", TOPIC)
        monkeypatch.setenv("MARIMO_JOB_OUTPUT", "s3://bucket/people/ana/jobs/marimo-dev-ana-report-1")

    def tell(self, ended: Ended) -> list[dict[str, str]]:
        """The messages that are published."""
        self.calls.write_text("")
        job_notify.tell(Container.of(self.ml), ended)
        calls = [json.loads(line) for line in self.calls.read_text().splitlines()]
        return [json.loads(one[one.index("--cli-input-json") + 1]) for one in calls if one[0] == "sns"]


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    return Job(tmp_path, monkeypatch)


def test_the_message_has_the_reason_the_last_lines_and_the_page(job: Job) -> None:
    lines = [f"line {number}" for number in range(30)]
    (message,) = job.tell(Ended("reñort.py", 1, "ValueError: no rows", lines))
    assert message["TopicArn"] == TOPIC
    assert message["Subject"] == "marimo: re?ort.py failed"
    text = message["Message"]
    assert "reñort.py failed with status 1.\n\nValueError: no rows\n\nIts last lines:\nline 10\n" in text
    assert "line 29" in text and "line 9\n" not in text
    assert "marimo-job open marimo-dev-ana-report-1" in text
    page = "prefix=people%2Fana%2Fjobs%2Fmarimo-dev-ana-report-1%2Fpage.html"
    assert f"https://us-east-1.console.aws.amazon.com/s3/object/bucket?region=us-east-1&{page}" in text


def test_a_long_subject_fits_and_a_run_of_a_schedule_names_it(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARIMO_JOB_OUTPUT", "s3://b/people/ana/jobs/marimo-dev-ana-schedule-daily/x1")
    (message,) = job.tell(Ended("n" * 200, 0))
    assert len(message["Subject"]) < 100
    assert "marimo-job schedules daily" in message["Message"]


@pytest.mark.parametrize(("when", "expected"), [("both", 2), ("success", 1), ("failure", 1)])
def test_only_the_chosen_end_is_told(
    job: Job, monkeypatch: pytest.MonkeyPatch, when: str, expected: int
) -> None:
    monkeypatch.setenv("MARIMO_NOTIFY", when)
    assert len(job.tell(Ended("a.py", 0))) + len(job.tell(Ended("a.py", 1))) == expected


def test_without_a_topic_and_on_other_nodes_nothing_is_told(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job.ml / "input/config").mkdir(parents=True)
    for host, expected in (("algo-1", 1), ("algo-2", 0)):
        resources = {"hosts": ["algo-1", "algo-2"], "current_host": host}
        (job.ml / RESOURCES).write_text(json.dumps(resources))
        assert len(job.tell(Ended("a.py", 0))) == expected
    (job.ml / RESOURCES).unlink()
    monkeypatch.delenv("MARIMO_NOTIFY_TOPIC")
    assert job.tell(Ended("a.py", 0)) == []


def test_a_spot_job_that_is_stopped_may_go_on(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = Ended("a.py", 143, stopped=True)
    assert job.tell(stopped)[0]["Subject"] == "marimo: a.py was stopped"
    monkeypatch.setenv("MARIMO_NOTIFY_SPOT", "1")
    assert job.tell(stopped) == []
    assert len(job.tell(Ended("a.py", 1))) == 1


def test_a_message_that_cannot_be_sent_is_a_line_in_the_log(
    job: Job, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAILS", "sns")
    job.tell(Ended("a.py", 0))
    assert "nobody could be notified: An error occurred (Denied)" in capsys.readouterr().out


def test_the_row_that_ends_last_tells_of_the_sweep_once(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARIMO_JOB_OUTPUT", "s3://bucket/people/ana/sweeps/report-1/rows/2")
    monkeypatch.setenv("MARIMO_NOTIFY_ROWS", "2")
    prefix = "people/ana/sweeps/report-1/rows"
    own = [f"{prefix}/2/result.json", f"{prefix}/2/files/result.json"]
    job.keys.write_text(json.dumps(own))
    assert job.tell(Ended("a.py", 1)) == []
    job.keys.write_text(json.dumps([*own, f"{prefix}/1/result.json"]))
    (message,) = job.tell(Ended("a.py", 1))
    assert message["Subject"] == "marimo: a.py: a sweep failed"
    assert (
        "1 of 2 rows succeeded.\n\nFailed rows: 2\n\nIts table: marimo-job resume report-1"
        in message["Message"]
    )
    marker = job.ml / "interrupted"
    monkeypatch.setenv("MARIMO_ROW_INTERRUPTED", str(marker))
    assert len(job.tell(Ended("a.py", 143, stopped=True))) == 1
    marker.touch()
    assert job.tell(Ended("a.py", 143, stopped=True)) == []
    (early,) = job.tell(Ended("a.py", 70, "no packages", ran=False))
    assert "Row 2 of the sweep report-1 could not run." in early["Message"]
    monkeypatch.setenv("TOLD", "1")
    assert job.tell(Ended("a.py", 70, "no packages", ran=False)) == []
