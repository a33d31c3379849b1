"""A user's schedules: their times, requests, history, and what is refused."""

import hashlib
import io
import json
import subprocess
import sys
from argparse import Namespace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from botocore.exceptions import ClientError

from sagemaker_marimo import names
from sagemaker_marimo.jobs import (
    overlap,
    request,
    schedule,
    schedule_command,
    schedule_history,
    schedule_payload,
    sender,
    settings,
    sources,
    submit,
)
from sagemaker_marimo.jobs.cron import Cron, CronError
from sagemaker_marimo.jobs.lookup import NotFoundError
from sagemaker_marimo.jobs.parser import parser
from sagemaker_marimo.jobs.settings import Clients, Refused

CONTRACT = json.loads((Path(__file__).parents[1] / "support/job-contract.json").read_text())
ROLES = "arn:aws:iam::123456789012:role/marimo-dev-user-"
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("0 7 * * MON-FRI", "cron(0 7 ? * MON-FRI *)"),
        ("0 7 * * 1-5", "cron(0 7 ? * MON-FRI *)"),
        ("0 7 * * 0", "cron(0 7 ? * SUN *)"),
        ("0 7 * * 7", "cron(0 7 ? * SUN *)"),
        ("0 7 * * fri-mon", "cron(0 7 ? * SUN,MON,FRI,SAT *)"),
        ("*/20 9-17 1 jan,JUL *", "cron(0,20,40 9-17 1 JAN,JUL ? *)"),
        ("5/30 * * * *", "cron(5,35 * * * ? *)"),
        ("0 0 1 * *", "cron(0 0 1 * ? *)"),
    ],
)
def test_an_expression_of_cron_becomes_that_of_eventbridge_scheduler_and_back(
    text: str, expression: str
) -> None:
    cron = Cron.parse(text)
    assert cron.expression == expression
    assert Cron.of_expression(expression) == cron


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 7 * *", "has 4 fields"),
        ("0 7 * * * *", "has 6 fields"),
        ("60 * * * *", "must be 0 to 59"),
        ("* 24 * * *", "must be 0 to 23"),
        ("* * 0 * *", "must be 1 to 31"),
        ("* * * * 8", "is not a valid day of week"),
        ("*/0 * * * *", "is not a valid minute"),
        ("1,,2 * * * *", "is not a valid minute"),
        ("5-3 * * * *", "goes backwards"),
        ("0 7 1 * MON", "make two schedules"),
        ("0 0 30 2 *", "is never due"),
        ("rate(1 day)", "has 2 fields"),
    ],
)
def test_other_expressions_are_refused(text: str, message: str) -> None:
    with pytest.raises(CronError, match=message):
        Cron.parse(text)


@pytest.mark.parametrize("expression", ["rate(1 day)", "at(2026-01-01T00:00:00)", "cron(0 7 L * ? *)"])
def test_an_expression_that_another_program_wrote_has_no_times(expression: str) -> None:
    assert Cron.of_expression(expression) is None


def times(text: str, after: datetime, count: int) -> list[str]:
    found = islice(Cron.parse(text).times(after, BERLIN), count)
    return [f"{moment.astimezone(BERLIN):%a %d %H:%M}" for moment in found]


def test_the_next_times_are_those_after_now() -> None:
    friday = datetime(2026, 11, 27, 7, 0, tzinfo=BERLIN)
    assert times("0 7 * * MON-FRI", friday, 3) == ["Mon 30 07:00", "Tue 01 07:00", "Wed 02 07:00"]
    assert times("0 7 * * MON-FRI", friday - timedelta(seconds=1), 1) == ["Fri 27 07:00"]


def test_a_skipped_hour_is_not_due_and_a_repeated_one_once() -> None:
    assert times("30 2 * * *", datetime(2026, 3, 28, 12, tzinfo=BERLIN), 2) == [
        "Mon 30 02:30",
        "Tue 31 02:30",
    ]
    assert times("30 2 * * *", datetime(2026, 10, 24, 12, tzinfo=BERLIN), 2) == [
        "Sun 25 02:30",
        "Mon 26 02:30",
    ]


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("*/15 * * * *", 15), ("0,50 * * * *", 10), ("0 7 * * *", 1440), ("0 0 29 2 *", None)],
)
def test_the_shortest_time_between_two_starts(text: str, minutes: int | None) -> None:
    shortest = Cron.parse(text).shortest()
    assert shortest is not None
    if minutes is not None:
        assert shortest == timedelta(minutes=minutes)


class Aws:
    """The calls of Amazon S3, SageMaker and EventBridge Scheduler that a schedule makes."""

    def __init__(self) -> None:
        self.schedules: dict[str, dict[str, Any]] = {}
        self.pipelines: dict[str, dict[str, Any]] = {}
        self.executions: list[dict[str, Any]] = []
        self.busy = self.denied = False
        self.objects: dict[str, bytes] = {}

    def _error(self, code: str, message: str = "") -> Exception:
        error: Exception = ClientError({"Error": {"Code": code, "Message": message}}, "call")
        return error

    def get_paginator(self, name: str) -> Any:
        pages: dict[str, dict[str, Any]] = {
            "list_schedules": {"Schedules": [{"Name": one} for one in sorted(self.schedules)]},
            "list_pipeline_executions": {"PipelineExecutionSummaries": self.executions},
        }
        return Namespace(paginate=lambda **_: [pages[name]])

    def get_schedule(self, **members: str) -> dict[str, Any]:
        if members["Name"] not in self.schedules:
            raise self._error("ResourceNotFoundException")
        return {**self.schedules[members["Name"]], "Arn": "arn", "ResponseMetadata": {}}

    def create_schedule(self, **members: Any) -> None:
        if self.denied:
            raise self._error("AccessDeniedException")
        assert members["Name"] not in self.schedules
        self.update_schedule(**members)

    def update_schedule(self, **members: Any) -> None:
        self.schedules[members["Name"]] = {**members, "LastModificationDate": datetime.now(UTC)}

    def delete_schedule(self, **members: str) -> None:
        del self.schedules[members["Name"]]

    def create_pipeline(self, **members: Any) -> None:
        if members["PipelineName"] in self.pipelines:
            raise self._error("ValidationException", "it already exists")
        self.update_pipeline(**members)

    def update_pipeline(self, **members: Any) -> None:
        self.pipelines[members["PipelineName"]] = members

    def delete_pipeline(self, **members: str) -> None:
        if self.busy:
            raise self._error("ConflictException")
        if members["PipelineName"] not in self.pipelines:
            raise self._error("ResourceNotFound")
        del self.pipelines[members["PipelineName"]]

    def get_object(self, **members: str) -> dict[str, Any]:
        if members["Key"] not in self.objects:
            raise self._error("NoSuchKey")
        return {"Body": io.BytesIO(self.objects[members["Key"]])}

    def head_object(self, **members: str) -> dict[str, Any]:
        raise self._error("404")

    def put_object(self, **members: Any) -> None:
        self.objects[members["Key"]] = members["Body"]


PAYLOAD = b"print()"
LIST = f"{hashlib.sha256(PAYLOAD).hexdigest()}  job/run.py\n".encode()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    aws = Aws()
    deployed = f"{names.PAYLOAD}/0123456789abcdef"
    aws.objects = {f"{deployed}/job/run.py": PAYLOAD, f"{deployed}/{names.CHECKSUMS}": LIST}
    session = Namespace(client=lambda _: aws)
    monkeypatch.setattr("sagemaker_marimo.jobs.schedule.boto3.Session", lambda **_: session)
    return aws


def environment(**changes: object) -> settings.Environment:
    members: dict[str, Any] = CONTRACT["jobs.json"] | {"roleArn": None, "userRoleArnPrefix": ROLES} | changes
    return settings._environment(members, "0123456789abcdef", hashlib.sha256(LIST).hexdigest())


def run(
    aws: Aws,
    monkeypatch: pytest.MonkeyPatch,
    *words: str,
    problems: list[str] | None = None,
    **changes: object,
) -> int | None:
    """Runs a command of `marimo-job`, with a notebook that passes its checks."""
    here = environment(**changes)

    def prepare(*_: object) -> submit.Prepared:
        if problems:
            raise Refused(problems)
        who = sender.find(here, "ana")
        job = CONTRACT["job"]
        name = f"{who.prefix}-report-261127000000-0a1b"
        options = request.JobOptions("report.py", [], "ml.m5.large", 60, 30)
        built = request.build(options, here, job["source"]["sha256"], name, who)
        return submit.Prepared(options, sources.Sources({"report.py": b""}, None), who, built, built, [])

    monkeypatch.setattr(submit, "prepare", prepare)
    options = parser().parse_args([*words, "--user", "ana"])
    return schedule_command.run_command(Clients(aws, aws, aws), here, options, [])


def test_a_schedule_starts_a_pipeline_as_the_user_in_the_users_group(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("schedule", "report.py", "--cron", "0 7 * * MON-FRI", "--zone", "Europe/Berlin")
    assert run(aws, monkeypatch, *words) == 0
    made = aws.schedules["report"]
    assert made["GroupName"] == "marimo-dev-user-ana"
    assert made["ScheduleExpression"] == "cron(0 7 ? * MON-FRI *)"
    assert made["ScheduleExpressionTimezone"] == "Europe/Berlin"
    assert made["Target"]["RoleArn"] == f"{ROLES}ana"
    assert made["Target"]["Arn"] == "arn:aws:scheduler:::aws-sdk:sagemaker:startPipelineExecution"
    started = json.loads(made["Target"]["Input"])
    assert started["PipelineName"] == "marimo-dev-ana-schedule-report"
    assert "<aws.scheduler.execution-id>" in started["ClientRequestToken"]
    pipeline = aws.pipelines["marimo-dev-ana-schedule-report"]
    assert pipeline["RoleArn"] == f"{ROLES}ana"
    assert {"Key": "Environment", "Value": "dev"} in pipeline["Tags"]
    (step,) = json.loads(pipeline["PipelineDefinition"])["Steps"]
    job = step["Arguments"]
    execution = {"Get": "Execution.PipelineExecutionId"}
    output = {
        "Std:Join": {
            "On": "/",
            "Values": ["s3://bucket-of-dev/people/ana/jobs/marimo-dev-ana-schedule-report", execution],
        }
    }
    assert job["ProcessingJobName"] == "marimo-dev-ana-schedule-report"
    assert job["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"] == output
    assert job["Environment"]["MARIMO_JOB_OUTPUT"] == output
    assert job["Environment"]["MARIMO_SCHEDULE_RUN"] == execution
    assert job["Environment"]["MARIMO_SCHEDULE_OVERLAP"] == "skip"
    # The deployed payload goes with a later deployment; the copy has the same checksums.
    copied = "people/ana/schedules/payload/0123456789abcdef"
    assert job["ProcessingInputs"][0]["S3Input"]["S3Uri"] == f"s3://bucket-of-dev/{copied}/"
    assert aws.objects[f"{copied}/job/run.py"] == PAYLOAD
    assert aws.objects[f"{copied}/{names.CHECKSUMS}"] == LIST
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(line.endswith("07:00 Europe/Berlin") for line in lines)


def test_all_problems_are_reported_at_once_and_nothing_is_made(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("schedule", "report.py", "--cron", "*/5 * * * *", "--zone", "Berlin", "--name", "A_b")
    with pytest.raises(Refused) as refused:
        run(aws, monkeypatch, *words, problems=["marimo check found errors"], maximumSchedulesPerUser=0)
    text = str(refused.value)
    for part in (
        "--zone Berlin is not a known time zone",
        "two starts 5 minutes apart: dev allows at least 15 (jobs.shortestScheduleMinutes)",
        "--name A_b must be",
        "dev allows 0 (jobs.maximumSchedulesPerUser)",
        "marimo check found errors",
    ):
        assert part in text
    assert aws.schedules == aws.pipelines == {}


def test_an_existing_schedule_is_replaced_on_request_only(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("schedule", "report.py", "--cron")
    run(aws, monkeypatch, *words, "0 7 * * *")
    with pytest.raises(Refused, match="there is already a schedule report: use --replace"):
        run(aws, monkeypatch, *words, "0 8 * * *")
    assert run(aws, monkeypatch, *words, "0 8 * * *", "--replace", maximumSchedulesPerUser=1) == 0
    assert aws.schedules["report"]["ScheduleExpression"] == "cron(0 8 * * ? *)"
    with pytest.raises(Refused, match="you have 1 schedules, and dev allows 1"):
        run(aws, monkeypatch, *words, "0 8 * * *", "--name", "other", maximumSchedulesPerUser=1)


def test_a_refused_schedule_leaves_no_pipeline(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    aws.denied = True
    with pytest.raises(Exception, match="AccessDenied"):
        run(aws, monkeypatch, "schedule", "report.py", "--cron", "0 7 * * *")
    assert aws.schedules == aws.pipelines == {}


def test_a_dry_run_makes_nothing(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = dict(aws.objects)
    assert run(aws, monkeypatch, "schedule", "report.py", "--cron", "0 7 * * *", "--dry-run") == 0
    assert json.loads(capsys.readouterr().out)["cron"] == "cron(0 7 * * ? *)"
    assert (aws.schedules, aws.objects) == ({}, before)


def test_pause_keeps_everything_but_the_state_and_resume_ends_it(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(aws, monkeypatch, "schedule", "report.py", "--cron", "0 7 * * *")
    before = {**aws.schedules["report"], "LastModificationDate": None}
    run(aws, monkeypatch, "pause", "report")
    assert {**aws.schedules["report"], "LastModificationDate": None} == before | {"State": "DISABLED"}
    assert run(aws, monkeypatch, "schedules") == 0
    assert "next: paused" in capsys.readouterr().out
    assert run(aws, monkeypatch, "resume", "report") == 0
    assert aws.schedules["report"]["State"] == "ENABLED"
    # The name of a sweep is for the command of sweeps.
    assert run(aws, monkeypatch, "resume", "report-261127000000-0a1b") is None


def test_a_schedule_is_deleted_with_its_pipeline_or_before_it_if_a_run_goes_on(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(aws, monkeypatch, "schedule", "report.py", "--cron", "0 7 * * *")
    aws.busy = True
    assert run(aws, monkeypatch, "unschedule", "report") == 0
    assert "a run still goes on" in capsys.readouterr().err
    assert aws.schedules == {}
    assert aws.pipelines
    aws.busy = False
    assert run(aws, monkeypatch, "unschedule", "report") == 0
    assert aws.pipelines == {}
    with pytest.raises(NotFoundError, match="there is no schedule report"):
        run(aws, monkeypatch, "unschedule", "report")


def test_nobody_has_schedules_with_one_role_for_everybody(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match="one role"):
        run(
            aws,
            monkeypatch,
            "schedules",
            roleArn="arn:aws:iam::123456789012:role/all",
            userRoleArnPrefix=None,
        )


def test_an_altered_payload_is_not_copied(aws: Aws) -> None:
    here = environment()
    who = sender.find(here, "ana")
    aws.objects[f"{names.PAYLOAD}/0123456789abcdef/job/run.py"] = b"import os"
    with pytest.raises(Refused, match="is not the deployed one"):
        schedule_payload.copy(aws, here, who)
    assert f"{schedule_payload.prefix(here, who)}/{names.CHECKSUMS}" not in aws.objects


def execution(name: str, status: str, minutes_ago: int = 0) -> dict[str, Any]:
    arn = f"arn:aws:sagemaker:us-east-1:123456789012:pipeline/p/execution/{name}"
    started = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return {"PipelineExecutionArn": arn, "PipelineExecutionStatus": status, "StartTime": started}


def scheduled(minutes_ago: int, state: str = "ENABLED") -> schedule.Scheduled:
    changed = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return schedule.Scheduled(
        {
            "Name": "report",
            "State": state,
            "ScheduleExpression": "cron(0 * * * ? *)",
            "ScheduleExpressionTimezone": "UTC",
            "LastModificationDate": changed,
        }
    )


def test_a_run_that_was_due_and_did_not_start_is_missed() -> None:
    now = datetime.now(UTC)
    assert schedule_history.missed(scheduled(180), [], now) is not None
    assert schedule_history.missed(scheduled(180), [execution("a", "Succeeded", 170)], now) is not None
    assert schedule_history.missed(scheduled(180), [execution("a", "Succeeded", 0)], now) is None
    assert schedule_history.missed(scheduled(0), [], now) is None
    assert schedule_history.missed(scheduled(180, "DISABLED"), [], now) is None


def test_only_earlier_runs_that_go_on_overlap() -> None:
    listed = [
        execution("later", "Executing"),
        execution("own", "Executing"),
        execution("done", "Succeeded"),
        execution("stops", "Stopping"),
        execution("first", "Executing"),
    ]
    assert overlap.earlier(listed, "own") == ["stops", "first"]
    assert overlap.earlier(listed, "first") == []


def aws_cli(folder: Path, *answers: object) -> Path:
    """A stand-in for the AWS CLI, which gives these answers one after another."""
    (folder / "answers.json").write_text(json.dumps(answers))
    program = folder / "aws"
    program.write_text(
        f"#!{sys.executable}\nimport json, sys\nfrom pathlib import Path\n"
        "file = Path(__file__).with_name('answers.json')\nanswers = json.loads(file.read_text())\n"
        "file.write_text(json.dumps(answers[1:]))\n"
        "if answers[0] is None: sys.exit('AccessDenied')\n"
        "print(json.dumps({'PipelineExecutionSummaries': answers[0]}))\n"
    )
    program.chmod(0o755)
    return folder


def summaries(**statuses: str) -> list[dict[str, str]]:
    return [
        {"PipelineExecutionArn": f"arn/execution/{name}", "PipelineExecutionStatus": status}
        for name, status in statuses.items()
    ]


@pytest.mark.parametrize(
    ("mode", "answers", "status", "printed"),
    [
        ("skip", [summaries(own="Executing", first="Executing")], overlap.SKIPPED, "skipped: the run first"),
        ("skip", [summaries(own="Executing", first="Failed")], 0, ""),
        ("skip", [None], 1, "cannot be listed: AccessDenied"),
        (
            "queue",
            [summaries(own="Executing", first="Executing"), summaries(own="Executing", first="Stopped")],
            0,
            "",
        ),
    ],
)
def test_a_run_is_skipped_or_waits_while_an_earlier_one_goes_on(
    tmp_path: Path, mode: str, answers: list[Any], status: int, printed: str
) -> None:
    program = (
        "import runpy, sys, time; time.sleep = lambda _: None; "
        f"sys.argv = ['overlap.py', 'p', 'own', {mode!r}]; "
        f"runpy.run_path({overlap.__file__!r}, run_name='__main__')"
    )
    result = subprocess.run(  # noqa: S603  # no shell
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": str(aws_cli(tmp_path, *answers))},
    )
    assert (result.returncode, printed in result.stdout) == (status, True), result.stderr
