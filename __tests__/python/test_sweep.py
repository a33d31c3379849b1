"""Sweeps: the grid, its division into pipelines, their definitions, the progress and the table."""

import argparse
import dataclasses
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import botocore.session
import pytest
from botocore.exceptions import ClientError
from botocore.validate import validate_parameters

from sagemaker_marimo.jobs import (
    command,
    follow,
    grid,
    listing,
    pipeline,
    request,
    results,
    sweep_command,
    sweep_plan,
    table,
)
from sagemaker_marimo.jobs.parser import parser
from sagemaker_marimo.jobs.sender import Sender
from sagemaker_marimo.jobs.settings import Clients, Environment
from sagemaker_marimo.jobs.sweep import Sweep, SweepError
from sagemaker_marimo.jobs.sweep_plan import Plan
from sagemaker_marimo.jobs.sweep_progress import Progress
from sagemaker_marimo.jobs.sweep_store import Store
from sagemaker_marimo.jobs.table import Outcome

REQUEST: dict[str, Any] = {
    "ProcessingJobName": "marimo-dev-analysis-261124173000-ab12",
    "RoleArn": "arn:aws:iam::123456789012:role/marimo-dev-jobs",
    "AppSpecification": {
        "ImageUri": "image",
        "ContainerEntrypoint": ["/bin/bash", "/opt/ml/processing/input/runtime/job/run.sh"],
        "ContainerArguments": ["analysis.py", "--of", "the single job"],
    },
    "ProcessingResources": {
        "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30}
    },
    "ProcessingInputs": [
        {
            "InputName": "runtime",
            "S3Input": {
                "S3Uri": "s3://bucket/marimo/payload/0123/",
                "LocalPath": "/opt/ml/processing/input/runtime",
                "S3DataType": "S3Prefix",
                "S3InputMode": "File",
            },
        }
    ],
    "ProcessingOutputConfig": {
        "Outputs": [
            {
                "OutputName": "result",
                "S3Output": {
                    "S3Uri": "s3://bucket/people/ana/jobs/x",
                    "LocalPath": "/opt/ml/processing/output",
                    "S3UploadMode": "EndOfJob",
                },
            }
        ]
    },
    "Environment": {"AWS_REGION": "us-east-1"},
}
JOB: dict[str, Any] = {
    "notebook": "analysis.py",
    "arguments": [],
    "instance": "ml.m5.large",
    "minutes": 10,
    "volume_gb": 30,
}
ENVIRONMENT = Environment(
    name="dev",
    region="us-east-1",
    bucket="bucket",
    prefix="marimo-dev",
    role="arn:aws:iam::123456789012:role/marimo-dev-jobs",
    user_roles="",
    schedules=[],
    max_schedules=20,
    shortest_schedule=15,
    topics=None,
    email_domains=[],
    athena_users=[],
    image="123456789012.dkr.ecr.us-east-1.amazonaws.com/image:cpu",
    gpu_image=None,
    secrets=[],
    python="3.12",
    subnets=["subnet-1"],
    groups=["sg-1"],
    key="arn:aws:kms:us-east-1:123456789012:key/1",
    allowed=["ml.m5.large"],
    team_types={},
    instance="ml.m5.large",
    max_instances=4,
    node_groups=["sg-2"],
    max_minutes=60,
    max_warm_minutes=60,
    volume_gb=30,
    tags={},
    payload="0123",
    payload_sha256="0123" * 16,
)
SENDER = Sender(str(ENVIRONMENT.role), ENVIRONMENT.prefix, "people/ana")


def plan(rows: int = 3, **changes: Any) -> Plan:
    members: dict[str, Any] = {
        "name": "analysis-261124173000-ab12",
        "prefix": "marimo-dev",
        "job": JOB,
        "source": "4567" * 16,
        "columns": ["n"],
        "rows": [[str(number)] for number in range(1, rows + 1)],
        "arguments": ["--env=dev"],
        "parallel": 4,
        "attempts": 3,
        "minutes": 10,
        "table": "result.csv",
        "then_notebook": None,
        "hourly": 0.115,
    }
    return Plan(**{**members, **changes})


def test_names_of_pipelines_and_jobs_are_those_that_the_role_may_use() -> None:
    """__tests__/unit/stack/processing-job.test.ts holds the stack to the same file."""
    contract = json.loads((Path(__file__).parents[1] / "support/job-contract.json").read_text())
    names = contract["sweep"]
    one = plan(1, name=names["name"], prefix=contract["jobs.json"]["jobNamePrefix"])
    (part,) = one.parts
    store = Store(None, None, "bucket", "people/ana")
    (step,) = json.loads(one.definition(store, part, REQUEST))["Steps"]
    assert part.name == names["pipeline"]
    assert step["Arguments"]["ProcessingJobName"] == names["jobOfRow"]


def test_long_names_of_users_leave_the_time_of_a_sweep_in_the_names_of_its_jobs() -> None:
    prefix = "marimo-production-maria-fernandez"
    name = sweep_command.sweep_name("marimo-production", "report.py", "261126101500-0a1b", sender=prefix)
    assert name == "report-261126101500-0a1b"
    one = plan(1, name=name, prefix=prefix)
    assert one.job_prefix == f"{prefix}-{name[-13:]}"
    assert one.job_prefix.endswith("101500-0a1b")
    assert len(f"{one.job_prefix}-{grid.MAX_ROWS}") <= pipeline.JOB_NAME_CHARACTERS
    assert list(sweep_plan.problems(one, None, 1000)) == []
    # Control: a longer name leaves no room for it, and is refused.
    longer = plan(1, name=name, prefix=f"{prefix}-2nd")
    assert any("27 characters together" in problem for problem in sweep_plan.problems(longer, None, 1000))


def test_a_grid_is_read() -> None:
    read = grid.read('\ufeffn,name\n1,"a, b"\n\n-2,\n1,"a, b"\n')
    assert read.columns == ("n", "name")
    assert read.arguments(1, ["--all"]) == ["--n=1", "--name=a, b", "--all"]
    # A value may begin with a hyphen, an empty cell adds no option, and equal rows are separate runs.
    assert read.arguments(2, []) == ["--n=-2"]
    assert read.rows[2] == read.rows[0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the file is empty"),
        ("n\n", "no rows"),
        ("n,n\n1,2\n", "column 'n' appears 2 times"),
        ("1st\n1\n", "column '1st' is not a valid option name"),
        ("status\n1\n", "column 'status' is reserved for the result table"),
        ("n,m\n1\n", "row 1 has 1 cells, but the first line has 2"),
        ("n\n1\n2\n3\n4\n", "there are 4 rows, at most 3 are allowed"),
        (f"n\n{'x' * 253}\n", "has 257 characters, at most 256 are allowed"),
        (",".join(f"n{i}" for i in range(100)) + "\n" + ",".join("1" * 100) + "\n", "has 100 arguments"),
    ],
)
def test_an_invalid_grid_is_rejected(text: str, problem: str) -> None:
    with pytest.raises(grid.GridError, match=problem):
        grid.read(text, max_rows=3)
    assert grid.read("n\n1\n2\n3\n", max_rows=3).rows
    assert grid.read(f"n\n{'x' * 252}\n").rows


def test_all_problems_of_a_grid_are_reported() -> None:
    with pytest.raises(grid.GridError) as refusal:
        grid.read("a b,a b,row\n1,2\n")
    assert len(refusal.value.problems) == 4


@pytest.mark.parametrize(("rows", "parallel"), [(1, 1), (50, 4), (51, 4), (200, 7), (1000, 20)])
def test_rows_are_divided_and_the_limit_is_kept(rows: int, parallel: int) -> None:
    parts = pipeline.divide("p", rows, parallel, then=False)
    numbers = [number for part in parts for number in range(part.first, part.last + 1)]
    assert numbers == list(range(1, rows + 1))
    assert max(len(part.steps) for part in parts) <= pipeline.MAX_STEPS
    assert sum(part.parallel for part in parts) == parallel
    assert min(part.parallel for part in parts) >= 1
    assert len({part.name for part in parts}) == len(parts)


def test_a_limit_below_the_number_of_pipelines_is_rejected() -> None:
    with pytest.raises(ValueError, match="--parallel is 3, but must be at least 4 for 200 rows"):
        pipeline.divide("p", 200, 3, then=False)
    with pytest.raises(ValueError, match="at most 49 rows, which fit into one pipeline"):
        pipeline.divide("p", 50, 4, then=True)
    assert len(pipeline.divide("p", 49, 1, then=True)) == 1


STORE = Store(None, None, "bucket", "people/ana")


def test_steps_are_valid_requests() -> None:
    one = plan(then_notebook="summary.py")
    (part,) = one.parts
    steps = json.loads(one.definition(STORE, part, REQUEST))["Steps"]
    assert [step["Name"] for step in steps] == ["row-1", "row-2", "row-3", "then"]
    shape = (
        botocore.session.get_session()
        .get_service_model("sagemaker")
        .operation_model("CreateProcessingJob")
        .input_shape
    )
    for step in steps:
        validate_parameters(step["Arguments"], shape)
        # With the pipeline's suffix, the name must have at most 63 characters.
        assert len(step["Arguments"]["ProcessingJobName"]) <= 52
    second = steps[1]["Arguments"]
    assert second["AppSpecification"]["ContainerArguments"] == ["analysis.py", "--n=2", "--env=dev"]
    assert second["AppSpecification"]["ContainerEntrypoint"][-1].endswith("/job/row.sh")
    target = "s3://bucket/people/ana/sweeps/analysis-261124173000-ab12/rows/2"
    assert second["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"] == target
    assert second["Environment"]["MARIMO_ROW_SECONDS"] == "600"
    assert second["StoppingCondition"]["MaxRuntimeInSeconds"] > 600
    assert steps[3]["DependsOn"] == ["row-1", "row-2", "row-3"]
    then = steps[3]["Arguments"]
    assert then["AppSpecification"]["ContainerArguments"][0] == "summary.py"
    assert then["ProcessingInputs"][1]["S3Input"]["LocalPath"] == pipeline.ROWS_FOLDER
    # The original request is not changed.
    assert REQUEST["Environment"] == {"AWS_REGION": "us-east-1"}
    assert len(REQUEST["ProcessingInputs"]) == 1


def test_only_platform_failures_are_retried() -> None:
    def attempts_of(kind: str, attempts: int) -> int:
        policies = pipeline.retry_policies(attempts)
        return sum(policy["MaxAttempts"] for policy in policies if kind in policy["ExceptionType"])

    assert attempts_of("SageMaker.JOB_INTERNAL_ERROR", 3) == 2
    assert attempts_of("SageMaker.JOB_INTERNAL_ERROR", 1) == 0
    assert attempts_of("SageMaker.RESOURCE_LIMIT", 1) > 0


def test_the_cost_is_limited() -> None:
    one = plan(rows=100)
    cost = 100 * 3 * (600 + pipeline.OVERHEAD_SECONDS) / 3600 * 0.115
    assert one.max_cost() == pytest.approx(cost)
    assert sweep_command.problems(one, cost + 0.01) == []
    assert "more than --max-cost" in sweep_command.problems(one, cost - 0.01)[0]
    assert "with --max-cost" in sweep_command.problems(plan(rows=150), None)[0]
    assert sweep_command.problems(plan(rows=3), None) == []
    unknown = plan(hourly=None)
    assert "the price of ml.m5.large is unknown" in sweep_command.problems(unknown, 1000)[0]
    assert sweep_command.problems(unknown, float("inf")) == []


@pytest.mark.parametrize(
    ("hourly", "terminal", "answer", "is_accepted"),
    [
        (None, True, "y\n", True),
        (None, True, "\n", False),
        (None, False, "y\n", False),
        (0.1, True, "y\n", False),  # nothing is asked
    ],
)
def test_a_type_without_a_price_asks(
    hourly: float | None, terminal: bool, answer: str, is_accepted: bool, monkeypatch: Any
) -> None:
    for name in ("stdin", "stderr"):
        stream = io.StringIO(answer)
        stream.isatty = lambda: terminal  # type: ignore[method-assign]
        monkeypatch.setattr(sys, name, stream)
    assert sweep_command.accepts_unknown_cost(plan(hourly=hourly)) == is_accepted
    assert len(sweep_command.problems(plan(rows=200, parallel=1, attempts=21), None)) == 3


def test_a_sweep_is_named_after_its_notebook() -> None:
    name = sweep_command.sweep_name("marimo-dev", "a_very_long_name_of_a_notebook.py", "261124173000-ab12")
    assert name.endswith("-261124173000-ab12")
    assert len(f"marimo-dev-{name}-1000") == pipeline.JOB_NAME_CHARACTERS
    assert sweep_command.sweep_name("marimo-dev", "a/b_.py", "261124173000-ab12") == "b-261124173000-ab12"


@pytest.mark.parametrize(
    ("prefix", "notebook", "stem"),
    [
        ("marimo-dev", "marimo_dev_report.py", "sweep-marimo-dev-r"),
        ("marimo-dev", "marimo_dev.py", "sweep-marimo-dev"),
        # Shortened to the prefix.
        ("marimo-staging", "marimo_staging2.py", "sweep-marimo-s"),
        ("marimo-dev", "marimo_devices.py", "marimo-devices"),
        ("marimo-dev", "sweep.py", "sweep"),
    ],
)
def test_a_sweep_is_never_named_like_a_job(store: Store, prefix: str, notebook: str, stem: str) -> None:
    stamp = "261124173000-ab12"
    assert request.job_name(prefix, notebook, stamp).startswith(f"{prefix}-")
    name = sweep_command.sweep_name(prefix, notebook, stamp)
    assert name == f"{stem}-{stamp}"
    assert len(f"{prefix}-{name}-1000") <= pipeline.JOB_NAME_CHARACTERS
    sweep_command.start(store, plan(name=name, prefix=prefix), REQUEST)
    (entry,) = listing.entries(store, prefix, [prefix], 20)
    assert (entry.name, entry.text) == (name, "running, 3 rows: 0 done, 3 waiting")
    options = argparse.Namespace(job=name, user="ana")
    environment = cast(Environment, SimpleNamespace(prefix=prefix, bucket="bucket", role="studio"))
    for _ in range(2):  # the second time it is stopping already
        assert command.stop(Clients(store.s3, store.sagemaker, None), environment, options) == 0
    assert store.sagemaker.calls.count("stop") == 1


def test_options_make_a_plan() -> None:
    words = ["--each", "grid.csv", "--parallel", "2", "--max-cost", "none", "--then", "b.py"]
    options = parser().parse_args(["run", "analysis.py", *words])
    given: dict[str, Any] = {"source": "4567" * 16, "hourly": 0.115}
    job = request.JobOptions(**{**JOB, "arguments": ["--x=1"]})
    given |= dict.fromkeys(("environment", "prefix"), "marimo-dev")
    made = sweep_command.make_plan(options, grid.read("n\n1\n"), job, **given)
    another = sweep_command.make_plan(options, grid.read("n\n1\n"), job, **given)
    assert (made.parallel, made.attempts, made.then_notebook, made.table) == (2, 3, "b.py", "result.csv")
    assert made.name != another.name
    assert sweep_command.problems(made, options.max_cost) == []
    # The plan survives the round trip through sweep.json.
    again = Plan(**json.loads(json.dumps(vars(made))))
    assert again == made
    assert again.mark == made.mark != another.mark
    for wrong in (["--parallel", "0"], ["--max-cost", "-1"], ["--attempts", "x"]):
        with pytest.raises(SystemExit):
            parser().parse_args(["run", "analysis.py", *wrong])


def test_ctrl_c_asks_whether_to_stop(store: Store, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    one = plan()
    running = sweep_command.start(store, one, REQUEST)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupt)
    assert sweep_command.follow(running, tmp_path, lambda _: False) == 0
    assert "stop" not in store.sagemaker.calls
    assert sweep_command.follow(running, tmp_path, lambda name: name == one.name) == 0
    assert store.sagemaker.calls.count("stop") == 1


def test_expired_credentials_are_not_the_end(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def expired(*_: object, **__: object) -> None:
        raise ClientError({"Error": {"Code": "ExpiredTokenException", "Message": "expired"}}, "Describe")

    running = sweep_command.start(store, plan(), REQUEST)
    monkeypatch.setattr(running, "progress", expired)
    assert sweep_command.follow(running, tmp_path) == results.NO_ANSWER
    monkeypatch.setattr(follow, "describe", expired)
    clients = Clients(store.s3, store.sagemaker, None)
    assert command.follow_to_end(clients, "job-1", tmp_path, as_json=False) == results.NO_ANSWER
    said = capsys.readouterr().err
    assert f"{running.plan.name} continues" in said
    assert "job-1 continues. With valid credentials: marimo-job logs job-1 --follow" in said
    # Control: a platform failure is the end of a job, with another status.
    assert results.WITHOUT_STATUS != results.NO_ANSWER


def test_each_row_is_in_the_table() -> None:
    result = {"exitStatus": 0, "seconds": {"notebook": 1.5}}
    failed = {"exitStatus": 1, "seconds": {"notebook": 0.5}}
    text = table.make(
        ["n"],
        [["1"], ["2"], ["3"], ["4"]],
        [
            Outcome.of_result(result, 2, "", "square,n\n1,x\n"),
            Outcome.of_result(failed, 1, "ZeroDivisionError, line\n3", None),
            Outcome.of_result(result, 1, "", "other\n5\n6\n"),
            Outcome("interrupted", attempts=3, error="InternalServerError"),
        ],
    )
    assert text.splitlines() == [
        "n,row,status,exit_status,attempts,seconds,error,square,result.n,other",
        "1,1,done,0,2,1.5,,1,x,",
        '2,2,failed,1,1,0.5,"ZeroDivisionError, line',
        '3",,,',
        "3,3,done,0,1,1.5,,,,5",
        "3,3,done,0,1,1.5,,,,6",
        "4,4,interrupted,,3,,InternalServerError,,,",
    ]


def error(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


class FakeS3:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_object(self, **request: Any) -> None:
        self.objects[request["Key"]] = request["Body"]

    def get_object(self, **request: Any) -> dict[str, Any]:
        if request["Key"] not in self.objects:
            raise error("NoSuchKey")
        return {"Body": io.BytesIO(self.objects[request["Key"]])}

    def list_objects_v2(self, **request: Any) -> dict[str, Any]:
        found = [key for key in self.objects if key.startswith(request["Prefix"])]
        below = {key[len(request["Prefix"]) :].split("/")[0] for key in found}
        prefixes = [{"Prefix": f"{request['Prefix']}{name}/"} for name in sorted(below)]
        return {"KeyCount": len(found), "CommonPrefixes": prefixes}

    def get_paginator(self, _: str) -> "FakeS3":
        return self

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        return [self.list_objects_v2(**request)]


class FakeSageMaker:
    """A fake SageMaker whose steps a test sets. Interrupts the program at the call `dies_at`."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.pipelines: dict[str, dict[str, Any]] = {}  # the request by name
        self.executions: dict[str, dict[str, Any]] = {}  # by ARN
        self.dies_at = -1

    def _called(self, name: str) -> None:
        if len(self.calls) == self.dies_at:
            raise KeyboardInterrupt
        self.calls.append(name)

    def create_pipeline(self, **request: Any) -> None:
        self._called("create")
        made = self.pipelines.setdefault(request["PipelineName"], request)
        if made["ClientRequestToken"] != request["ClientRequestToken"]:
            raise error("ValidationException", "already exists")

    def describe_pipeline(self, **request: Any) -> dict[str, Any]:
        if request["PipelineName"] not in self.pipelines:
            raise error("ResourceNotFound")
        return self.pipelines[request["PipelineName"]]

    def start_pipeline_execution(self, **request: Any) -> dict[str, str]:
        self._called("start")
        arn = f"{request['PipelineName']}/{request['ClientRequestToken']}"
        self.executions.setdefault(arn, {"status": "Executing", "steps": {}})
        return {"PipelineExecutionArn": arn}

    def list_pipeline_executions(self, **request: Any) -> dict[str, Any]:
        self._called("list")
        if request["PipelineName"] not in self.pipelines:
            raise error("ResourceNotFound")
        arns = [arn for arn in self.executions if arn.split("/")[0] == request["PipelineName"]]
        return {"PipelineExecutionSummaries": [{"PipelineExecutionArn": arn} for arn in arns]}

    def describe_pipeline_execution(self, **request: Any) -> dict[str, str]:
        self._called("describe")
        return {"PipelineExecutionStatus": self.executions[request["PipelineExecutionArn"]]["status"]}

    def list_pipeline_execution_steps(self, **request: Any) -> dict[str, Any]:
        self._called("steps")
        steps = self.executions[request["PipelineExecutionArn"]]["steps"]
        return {"PipelineExecutionSteps": [{"StepName": name, **step} for name, step in steps.items()]}

    def retry_pipeline_execution(self, **request: Any) -> None:
        self._called("retry")
        self.executions[request["PipelineExecutionArn"]] |= {"status": "Executing"}

    def stop_pipeline_execution(self, **request: Any) -> None:
        self._called("stop")
        self.executions[request["PipelineExecutionArn"]] |= {"status": "Stopping"}

    def delete_pipeline(self, **request: Any) -> None:
        self._called("delete")
        if self.pipelines.pop(request["PipelineName"], None) is None:
            raise error("ResourceNotFound")

    def get_paginator(self, _: str) -> "FakeSageMaker":
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"ProcessingJobSummaries": [], "TrainingJobSummaries": []}]

    def describe_processing_job(self, **request: Any) -> dict[str, str]:
        self._called("job")
        return {"ExitMessage": f"what {request['ProcessingJobName']} raised"}


@pytest.fixture
def store() -> Store:
    made = Store(FakeS3(), FakeSageMaker(), "bucket", "people/ana")
    made.s3.put_object(Key="marimo/payload/0123/job/run.sh", Body=b"")
    made.s3.put_object(Key="people/ana/job-sources/4567456745674567/analysis.py", Body=b"")
    return made


def resume(store: Store, name: str, max_cost: float = float("inf"), **changes: Any) -> int:
    environment = dataclasses.replace(ENVIRONMENT, **changes)
    return sweep_command.resume(store, environment, SENDER, name, max_cost, Path(), detach=True)


def end(store: Store, one: Plan, statuses: Callable[[int], int], status: str = "Succeeded") -> None:
    """Ends every row with its exit status."""
    for arn, execution in store.sagemaker.executions.items():
        (part,) = [part for part in one.parts if part.name == arn.split("/")[0]]
        execution["status"] = status
        for number in range(part.first, part.last + 1):
            job = {"ProcessingJob": {"Arn": f"arn:processing-job/job-{number}"}}
            execution["steps"][f"row-{number}"] = {
                "StepStatus": "Succeeded",
                "AttemptCount": 1,
                "Metadata": job,
            }
            result = {"exitStatus": statuses(number), "seconds": {"notebook": 1}}
            store.put(f"{one.name}/rows/{number}/result.json", json.dumps(result))
            store.put(f"{one.name}/rows/{number}/files/result.csv", f"square\n{number**2}\n")


def test_a_sweep_from_start_to_end(store: Store) -> None:
    one = plan(rows=60)
    running = sweep_command.start(store, one, REQUEST)
    assert store.sagemaker.calls.count("create") == 2
    assert running.progress().count() == {"waiting": 60}
    end(store, one, lambda number: int(number == 7))
    progress = running.progress()
    assert str(progress) == "60 rows: 59 done, 1 failed"
    assert running.is_over
    text = running.collect_table()
    lines = text.splitlines()
    assert lines[7] == "7,7,failed,1,1,1.0,what job-7 raised,49"
    assert [line.split(",")[1] for line in lines[1:]] == [str(number) for number in range(1, 61)]
    assert store.sagemaker.pipelines == {}
    finished = Sweep.open(store, one.name)
    assert finished.plan.finished
    assert str(finished.progress()) == "60 rows: 59 done, 1 failed"
    assert store.get(f"{one.name}/table.csv") == text


def test_a_sweep_with_a_failed_row_is_failed(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    one = plan(rows=5)
    running = sweep_command.start(store, one, REQUEST)
    assert running.progress().state == "running"
    end(store, one, lambda number: int(number == 2))
    for finish in (False, True):  # the table is read instead of the steps after a collection
        if finish:
            running.collect_table()
        capsys.readouterr()
        assert sweep_command.show(store, one.name) == 0
        shown = capsys.readouterr().out
        assert shown.startswith(f"{one.name}: failed, 5 rows: 4 done, 1 failed\n")
        assert "row 2 failed: what job-2 raised\n" in shown
        assert f"{one.name}/rows/2/page.html" in shown
        assert ("table.csv" in shown) == finish


@pytest.mark.parametrize(
    ("rows", "then", "state"),
    [
        (["done", "done"], None, "done"),
        (["done", "failed"], None, "failed"),
        (["done", "done"], "failed", "failed"),
        # Rows that were waiting are stopped when another one is interrupted.
        (["interrupted", "stopped"], None, "failed"),
        (["failed", "stopped"], None, "stopped"),
    ],
)
def test_the_state_of_a_sweep(rows: list[str], then: str | None, state: str) -> None:
    assert Progress(rows, then=then, is_over=True).state == state
    assert Progress(rows, then=then).state == "running"
    assert Progress(rows, then=then, is_stopping=True).state == "stopping"


def test_the_number_of_requests_is_small(store: Store) -> None:
    one = plan(rows=200)
    running = sweep_command.start(store, one, REQUEST)
    end(store, one, lambda _: 0)
    running.progress()
    running.collect_table()
    assert len(store.sagemaker.calls) == 4 * len(("list", "create", "start", "describe", "steps", "delete"))


@pytest.mark.parametrize("dies_at", range(7))
def test_a_killed_start_can_be_resumed(store: Store, dies_at: int) -> None:
    one = plan(rows=60)
    store.sagemaker.dies_at = dies_at
    try:
        sweep_command.start(store, one, REQUEST)
    except KeyboardInterrupt:
        assert dies_at < 6
    store.sagemaker.dies_at = -1
    if dies_at < 2:
        # No pipeline says that this is the plan: nothing has run, and nothing is lost.
        with pytest.raises(SweepError, match="no row has run: start a new sweep"):
            resume(store, one.name)
        return
    resume(store, one.name)
    again = Sweep.open(store, one.name)
    assert len(store.sagemaker.executions) == 2
    end(store, one, lambda _: 0)
    again.progress()
    assert len(again.collect_table().splitlines()) == 61


def test_unfinished_rows_are_retried(store: Store) -> None:
    one = plan(rows=60)
    running = sweep_command.start(store, one, REQUEST)
    end(store, one, lambda _: 0)
    first, second = store.sagemaker.executions.values()
    first["status"] = "Failed"
    first["steps"]["row-3"] = {
        "StepStatus": "Failed",
        "AttemptCount": 3,
        "FailureReason": "InternalServerError",
    }
    del first["steps"]["row-4"]  # it was never started
    progress = running.progress()
    assert progress.retries == 2
    assert str(progress) == "60 rows: 58 done, 1 interrupted, 1 stopped, 2 retried"
    assert "3,3,interrupted,,3,,InternalServerError," in running.collect_table()
    # An unfinished sweep keeps its pipelines.
    assert len(store.sagemaker.pipelines) == 2
    again = Sweep.open(store, one.name)
    resume(store, one.name)
    assert store.sagemaker.calls.count("retry") == 1
    assert second["status"] == "Succeeded"
    end(store, one, lambda _: 0)
    assert str(again.progress()) == "60 rows: 60 done"
    again.collect_table()
    assert store.sagemaker.pipelines == {}


def test_the_cost_of_a_resume_is_limited(store: Store) -> None:
    one = plan(rows=60, hourly=100.0)
    sweep_command.start(store, one, REQUEST)
    end(store, one, lambda _: 0, "Failed")
    for execution in store.sagemaker.executions.values():
        execution["steps"] = {}
    with pytest.raises(SweepError, match="may cost"):
        resume(store, one.name, 1.0)
    assert "retry" not in store.sagemaker.calls
    assert resume(store, one.name) == 0
    assert store.sagemaker.calls.count("retry") == 2


def test_the_cost_of_rows_that_have_not_started_is_limited_too(store: Store) -> None:
    one = plan(rows=60, hourly=100.0)
    store.sagemaker.dies_at = len(("list", "create", "start", "list"))
    with pytest.raises(KeyboardInterrupt):
        sweep_command.start(store, one, REQUEST)
    store.sagemaker.dies_at = -1
    # 30 rows, 3 attempts of 15 minutes each.
    with pytest.raises(SweepError, match=r"it may cost 2250\.00 USD, more than --max-cost 2000"):
        resume(store, one.name, 2000.0)
    assert len(store.sagemaker.executions) == 1
    with pytest.raises(SweepError, match=r"--instance ml\.m5\.large is not allowed in dev"):
        resume(store, one.name, allowed=["ml.t3.medium"])
    assert resume(store, one.name, 2250.0) == 0
    assert len(store.sagemaker.executions) == 2
    # Control: all rows have started.
    assert resume(store, one.name, 1.0) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"job": {**JOB, "notebook": "other.py"}},
        {"job": {**JOB, "image": "attacker/image"}},
        {"source": "89ab" * 16},
        {"arguments": ["--send-to=attacker"]},
        {"hourly": 0.000001},
        {"rows": [["x"]] * 60},
    ],
)
def test_a_sweep_json_that_somebody_changed_is_not_resumed(store: Store, change: dict[str, Any]) -> None:
    one = plan(rows=60)
    store.sagemaker.dies_at = len(("list", "create", "start", "list"))
    with pytest.raises(KeyboardInterrupt):
        sweep_command.start(store, one, REQUEST)
    store.sagemaker.dies_at = -1
    text = store.get(f"{one.name}/sweep.json") or ""
    store.put(f"{one.name}/sweep.json", json.dumps(json.loads(text) | change))
    with pytest.raises(SweepError, match="is not the one that the sweep was started with"):
        resume(store, one.name)
    assert len(store.sagemaker.executions) == 1
    store.put(f"{one.name}/sweep.json", text)  # control
    assert resume(store, one.name) == 0
    assert len(store.sagemaker.executions) == 2


@pytest.mark.parametrize("change", [{"request": REQUEST}, {"pipeline_role": "attacker"}, {"name": "b"}])
def test_a_sweep_json_has_no_request_and_no_role(store: Store, change: dict[str, Any]) -> None:
    one = plan()
    sweep_command.start(store, one, REQUEST)
    store.put(f"{one.name}/sweep.json", json.dumps(vars(one) | change))
    with pytest.raises(SweepError, match="is not one of this version of marimo-job"):
        resume(store, one.name)


def test_a_resume_takes_role_image_network_and_key_from_the_deployment(store: Store) -> None:
    one = plan(rows=60)
    store.sagemaker.dies_at = len(("list", "create", "start", "list"))
    with pytest.raises(KeyboardInterrupt):
        sweep_command.start(store, one, REQUEST)
    store.sagemaker.dies_at = -1
    resume(store, one.name)
    made = store.sagemaker.pipelines[one.parts[1].name]
    step = json.loads(made["PipelineDefinition"])["Steps"][0]["Arguments"]
    assert made["RoleArn"] == step["RoleArn"] == ENVIRONMENT.role
    assert step["AppSpecification"]["ImageUri"] == ENVIRONMENT.image
    assert step["NetworkConfig"]["VpcConfig"] == {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
    assert step["ProcessingOutputConfig"]["KmsKeyId"] == ENVIRONMENT.key
    assert step["Environment"]["MARIMO_SOURCE_SHA256"] == one.source
    assert step["Environment"]["MARIMO_PAYLOAD_SHA256"] == ENVIRONMENT.payload_sha256


def test_a_sweep_of_somebody_else_is_not_resumed(store: Store) -> None:
    one = plan(prefix="marimo-dev-ana")
    sweep_command.start(store, one, REQUEST)
    with pytest.raises(SweepError, match="is a sweep of marimo-dev-ana-…, but you send jobs as marimo-dev-…"):
        resume(store, one.name)


def test_the_exit_status_of_a_failed_row(store: Store, tmp_path: Any) -> None:
    one = plan()
    running = sweep_command.start(store, one, REQUEST)
    end(store, one, lambda number: int(number == 2))
    assert sweep_command.follow(running, tmp_path) == sweep_command.ROWS_FAILED
    assert (tmp_path / one.name / "table.csv").read_text().count("\n") == 4


@pytest.mark.parametrize(
    ("status", "exit_status", "ends_with"),
    [
        ("Succeeded", 0, 0),
        ("Succeeded", 1, sweep_command.ROWS_FAILED),
        ("Failed", 0, sweep_command.ROWS_LEFT),
    ],
)
def test_the_exit_status_includes_the_last_notebook(
    store: Store, tmp_path: Any, status: str, exit_status: int, ends_with: int
) -> None:
    one = plan(then_notebook="summary.py")
    running = sweep_command.start(store, one, REQUEST)
    assert running.progress().then == "waiting"
    end(store, one, lambda _: 0, status)
    (execution,) = store.sagemaker.executions.values()
    execution["steps"]["then"] = {"StepStatus": status}
    store.put(f"{one.name}/then/result.json", json.dumps({"exitStatus": exit_status}))
    assert sweep_command.follow(running, tmp_path) == ends_with


def test_a_resume_without_the_payload_is_rejected(store: Store) -> None:
    one = plan()
    sweep_command.start(store, one, REQUEST)
    resume(store, one.name)
    store.s3.objects.pop("marimo/payload/0123/job/run.sh")
    with pytest.raises(
        SweepError, match="s3://bucket/marimo/payload/0123/, which the jobs need, no longer exists"
    ):
        resume(store, one.name)


def test_the_sweeps_of_one_user_are_listed_oldest_first(store: Store) -> None:
    for name in ("b-261124173000-ab12", "a-261124173001-ab12"):
        store.put(f"{name}/sweep.json", "{}")
    for key in ("people/bo/sweeps/c-261124173000-ab12/sweep.json", "people/ana/jobs/x/result.json"):
        store.s3.put_object(Bucket="bucket", Key=key, Body=b"{}")
    assert store.names() == ["b-261124173000-ab12", "a-261124173001-ab12"]


def test_a_sweep_is_stopped_and_not_created_twice(store: Store) -> None:
    one = plan()
    running = sweep_command.start(store, one, REQUEST)
    assert running.stop() == 1
    assert running.progress().state == "stopping"
    assert running.stop() == 0
    with pytest.raises(SweepError, match="already"):
        sweep_command.start(store, one, REQUEST)
    with pytest.raises(SweepError, match="there is no sweep other"):
        Sweep.open(store, "other")
