"""What `marimo-job` says of names: its list, names of sweeps, and names that do not exist."""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagemaker_marimo.jobs import command, results, settings
from sagemaker_marimo.jobs.settings import Clients
from sagemaker_marimo.jobs.sweep_plan import Plan

START = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)
SWEEP = "squares-261124173000-ab12"
RUNNING, DONE, ROW = (
    "marimo-dev-analysis-261124180000-0001",
    "marimo-dev-report-261124170000-0002",
    f"marimo-dev-{SWEEP}-2-0123456789",
)


class S3:
    """The bucket: a finished sweep whose second row failed, and the output of the jobs."""

    def __init__(self) -> None:
        plan = Plan(
            name=SWEEP,
            prefix="marimo-dev",
            job={"notebook": "squares.py", "instance": "ml.m5.large"},
            source="",
            columns=["n"],
            rows=[["1"], ["2"]],
            arguments=[],
            parallel=2,
            attempts=1,
            minutes=5,
            table="result.csv",
            then_notebook=None,
            hourly=None,
            finished=True,
        )
        header = "n,row,status,exit_status,attempts,seconds,error"
        table = f"{header}\n1,1,done,0,1,1,\n2,2,failed,1,1,1,ValueError: no\n"
        self.objects = {
            f"shared/sweeps/{SWEEP}/sweep.json": json.dumps(vars(plan)),
            f"shared/sweeps/{SWEEP}/table.csv": table,
            f"shared/sweeps/{SWEEP}/rows/2/result.json": json.dumps({"exitStatus": 1}),
            f"shared/jobs/{DONE}/result.json": json.dumps({"exitStatus": 0}),
            "shared/sweeps/notes/readme.txt": "the folder of another program",
        }

    def get_object(self, **request: str) -> dict[str, Any]:
        if request["Key"] not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[request["Key"]].encode())}

    def get_paginator(self, _: str) -> "S3":
        return self

    def paginate(self, **request: str) -> list[dict[str, Any]]:
        below = {key.removeprefix(request["Prefix"]).split("/")[0] for key in self.objects}
        return [{"CommonPrefixes": [{"Prefix": f"{request['Prefix']}{name}/"} for name in sorted(below)]}]


class SageMaker:
    """A running job, a job and a row that completed. Summaries lack ProcessingStartTime, as in the API."""

    def __init__(self) -> None:
        self.described: list[str] = []
        self.denied = ""
        self.stopped: list[str] = []
        end = {"ProcessingEndTime": START + timedelta(minutes=2), "ProcessingJobStatus": "Completed"}
        self.jobs: dict[str, dict[str, Any]] = {
            RUNNING: {"CreationTime": START + timedelta(hours=1), "ProcessingJobStatus": "InProgress"},
            ROW: {"CreationTime": START + timedelta(minutes=31), **end},
            DONE: {"CreationTime": START, **end},
            f"not-{RUNNING}": {"CreationTime": START, "ProcessingJobStatus": "InProgress"},
        }

    def describe_processing_job(self, **request: str) -> dict[str, Any]:
        name = request["ProcessingJobName"]
        self.described.append(name)
        if not name.startswith("marimo-dev-") or name == self.denied:
            raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "DescribeProcessingJob")
        if name not in self.jobs:
            message = {"Code": "ValidationException", "Message": "Could not find requested job"}
            raise ClientError({"Error": message}, "DescribeProcessingJob")
        folder = f"sweeps/{SWEEP}/rows/2" if name == ROW else f"jobs/{name}"
        output = {"OutputName": "result", "S3Output": {"S3Uri": f"s3://bucket/shared/{folder}"}}
        return self.jobs[name] | {
            "ProcessingJobName": name,
            "ProcessingStartTime": START,
            "ProcessingResources": {"ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1}},
            "ProcessingOutputConfig": {"Outputs": [output]},
        }

    def describe_training_job(self, **request: str) -> dict[str, Any]:
        message = {"Code": "ValidationException", "Message": "Requested resource not found."}
        raise ClientError({"Error": message}, "DescribeTrainingJob")

    def stop_processing_job(self, **request: str) -> None:
        self.stopped.append(request["ProcessingJobName"])
        self.jobs[request["ProcessingJobName"]]["ProcessingJobStatus"] = "Stopping"

    def get_paginator(self, operation: str) -> "Pages":
        """One page for each job."""
        if operation == "list_training_jobs":
            return Pages([{"TrainingJobSummaries": []}])
        return Pages(
            [
                {"ProcessingJobSummaries": [{"ProcessingJobName": name, **job}]}
                for name, job in self.jobs.items()
            ]
        )


class Pages(list[dict[str, Any]]):
    def paginate(self, **_: Any) -> "Pages":
        return self


@pytest.fixture
def sagemaker(monkeypatch: pytest.MonkeyPatch) -> SageMaker:
    fake = SageMaker()
    members = {"prefix": "marimo-dev", "bucket": "bucket", "name": "dev", "role": "studio", "schedules": []}
    environment = type("Environment", (), members)
    monkeypatch.setattr(settings, "where", lambda *_: ("bucket", "us-east-1"))
    monkeypatch.setattr(settings, "connect", lambda _: Clients(S3(), fake, None))
    monkeypatch.setattr(settings, "read", lambda *_: environment)
    return fake


Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def said(sagemaker: SageMaker, capsys: pytest.CaptureFixture[str]) -> Said:
    def run(*words: str) -> tuple[int, str, str]:
        status = command.main(words)
        return status, *capsys.readouterr()

    return run


def test_jobs_and_sweeps_are_listed_newest_first_without_the_rows(said: Said, sagemaker: SageMaker) -> None:
    status, out, _ = said("list")
    running, sweep, done = out.splitlines()
    assert status == 0
    assert running.startswith(f"{RUNNING}  running for ")
    assert sweep.split(maxsplit=1) == [SWEEP, "failed, 2 rows: 1 done, 1 failed"]
    assert done.endswith("  done after 2 min 00 s")
    # Only the job in progress needs its description.
    assert sagemaker.described == [RUNNING]
    assert said("list", "--most", "1")[1].startswith(RUNNING)
    assert len(said("list", "--most", "1")[1].splitlines()) == 1


def test_only_own_and_scheduled_jobs_are_listed(
    said: Said, sagemaker: SageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = {"ProcessingEndTime": START, "ProcessingJobStatus": "Completed", "CreationTime": START}
    sagemaker.jobs = {f"marimo-dev-{name}-x-1": dict(end) for name in ("ana", "bo", "bob", "daily")}
    members: dict[str, Any] = {"role": None, "user_roles": "arn:aws:iam::123456789012:role/marimo-dev-user-"}
    members |= {"prefix": "marimo-dev", "bucket": "bucket", "name": "dev", "schedules": ["daily"]}
    members |= {"team_types": {}}
    monkeypatch.setattr(settings, "read", lambda *_: type("Environment", (), members))
    lines = said("list", "--user", "Bo")[1].splitlines()
    assert sorted(line.split()[0] for line in lines) == ["marimo-dev-bo-x-1", "marimo-dev-daily-x-1"]


def test_jobs_of_others_are_listed_but_not_described(said: Said, sagemaker: SageMaker) -> None:
    sagemaker.denied = RUNNING
    status, out, _ = said("list")
    assert (status, out.splitlines()[0]) == (0, f"{RUNNING}  in progress, of another user")
    for verb in ("status", "logs", "stop"):
        assert said(verb, RUNNING)[2].startswith(f"{RUNNING} is not your job: ")
    assert not sagemaker.stopped


def test_json_has_sagemakers_status_and_ours(said: Said) -> None:
    assert json.loads(said("list", "--json")[1]) == [
        {"job": RUNNING, "status": "InProgress", "state": "running"},
        {"sweep": SWEEP, "state": "failed", "rows": {"done": 1, "failed": 1}},
        {"job": DONE, "status": "Completed", "state": "done"},
    ]
    row = json.loads(said("status", ROW, "--json")[1])
    assert (row["status"], row["state"]) == ("Completed", "failed")


def test_the_status_of_a_failed_row_is_failed(said: Said) -> None:
    assert said("status", ROW)[1].startswith(f"{ROW}: failed after ")
    assert said("status", DONE)[1].startswith(f"{DONE}: done after ")


@pytest.mark.parametrize("verb", ["status", "open", "logs"])
def test_the_name_of_a_sweep_is_not_a_job(said: Said, verb: str) -> None:
    status, out, err = said(verb, SWEEP)
    assert (status, out) == (2, "")
    assert err == f"{SWEEP} is a sweep, not a job. To show it: marimo-job sweep {SWEEP}\n"


@pytest.mark.parametrize("verb", ["status", "open", "logs", "stop", "sweep", "resume"])
@pytest.mark.parametrize("name", [DONE.replace("report", "raport"), "report-261124170000", "no such name"])
def test_a_mistyped_name_gets_similar_ones(said: Said, sagemaker: SageMaker, verb: str, name: str) -> None:
    status, out, err = said(verb, name)
    kind = "sweep" if verb in ("sweep", "resume") else "job"
    assert (status, out) == (2, "")
    assert err.startswith(f"there is no {kind} {name}\n")
    assert ("Similar names:\n" + f"  {DONE}\n" in err) == (name != "no such name")
    assert "To list all jobs and sweeps: marimo-job list" in err
    assert "Exception" not in err
    # IAM denies names without the prefix.
    assert all(one.startswith("marimo-dev-") for one in sagemaker.described)


def test_a_job_that_has_ended_cannot_be_stopped(said: Said, sagemaker: SageMaker) -> None:
    assert said("stop", DONE) == (1, "", f"{DONE} has already ended: done after 2 min 00 s\n")
    assert said("stop", ROW)[2].startswith(f"{ROW} has already ended: failed after ")
    assert sagemaker.stopped == []
    # Control: a running job, which is then stopping. A second stop is not sent.
    for _ in range(2):
        assert said("stop", RUNNING)[::2] == (
            0,
            f"{RUNNING} is being stopped. To follow it: marimo-job logs {RUNNING} --follow\n",
        )
    assert sagemaker.stopped == [RUNNING]


def test_a_job_that_ends_before_its_stop_is_said_to_have_ended(said: Said, sagemaker: SageMaker) -> None:
    def end(**_: str) -> None:
        sagemaker.jobs[RUNNING] |= sagemaker.jobs[DONE]
        raise ClientError({"Error": {"Code": "ValidationException"}}, "StopProcessingJob")

    sagemaker.stop_processing_job = end  # type: ignore[method-assign]
    assert said("stop", RUNNING) == (1, "", f"{RUNNING} has already ended: done after 2 min 00 s\n")


def test_a_sweep_that_has_ended_cannot_be_stopped(said: Said) -> None:
    assert said("stop", SWEEP) == (1, "", f"{SWEEP} has already ended: failed, 2 rows: 1 done, 1 failed\n")


@pytest.mark.parametrize("verb", ["sweep", "resume"])
def test_the_name_of_a_job_is_not_a_sweep(said: Said, verb: str) -> None:
    status, _, err = said(verb, DONE)
    assert status == 2
    assert err == f"{DONE} is a job, not a sweep. To show it: marimo-job status {DONE}\n"


def test_other_errors_of_aws_are_not_hidden(said: Said, sagemaker: SageMaker) -> None:
    def deny(**_: str) -> None:
        raise ClientError({"Error": {"Code": "ThrottlingException"}}, "DescribeProcessingJob")

    sagemaker.describe_processing_job = deny  # type: ignore[assignment]
    assert said("status", DONE)[0] != 2


@pytest.mark.parametrize(("name", "is_finished"), [(RUNNING, False), (DONE, True)])
def test_an_unfinished_page_is_said_to_be_one(
    said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, name: str, is_finished: bool
) -> None:
    def fetch(*_: object) -> list[Path]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "page.html").touch()
        if is_finished:
            (tmp_path / name / "result.json").write_text('{"exitStatus": 0}')
        return [tmp_path / name / "page.html"]

    monkeypatch.setattr(results, "fetch", fetch)
    monkeypatch.setattr(command, "page_address", str)
    status, out, err = said("open", name, "--output", str(tmp_path))
    assert (status, out) == (0, f"{tmp_path / name / 'page.html'}\n")
    assert err.startswith("The page is unfinished: running for ") == (not is_finished)
