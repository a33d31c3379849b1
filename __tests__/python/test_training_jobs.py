"""Training jobs of `marimo-job`: their requests, what is rejected, and what is said of them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from test_jobs_follow import Client, page
from test_jobs_request import JOBS_JSON, NOTEBOOK, prepare, refusal
from test_sweep import ENVIRONMENT, SENDER, plan

from sagemaker_marimo.jobs import descriptions, follow, notebook, request, results, states, training
from sagemaker_marimo.jobs import training_status as status
from sagemaker_marimo.jobs.request import JobOptions
from sagemaker_marimo.jobs.sweep_store import Store

JOB = "marimo-dev-train-261127101500-0a1b"
CREATED = datetime(2026, 11, 27, 10, 15, tzinfo=UTC)
ALL_FLAGS = [["--spot"], ["--nodes", "2"], ["--warm", "30"], ["--checkpoints"]]


@pytest.fixture
def folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(notebook, "check", lambda *_: iter(()))
    (home / "analysis.py").write_text(NOTEBOOK)
    return home


def validate(built: dict[str, Any]) -> None:
    Client("sagemaker", create_training_job=[{}]).create_training_job(**built)


@pytest.mark.parametrize("words", ALL_FLAGS)
def test_each_flag_makes_a_training_job(folder: Path, words: list[str]) -> None:
    built = prepare(folder, words, ["--n", "3"])
    validate(built.final)
    container = built.final["AlgorithmSpecification"]
    *_, verifier, payload, script = container["ContainerEntrypoint"]
    assert (payload, script) == ("/opt/ml/input/data/runtime", "/opt/ml/input/data/runtime/job/run.sh")
    # SageMaker reads a training job's reason from there.
    assert "/output/failure" in verifier and "/output/message" not in verifier
    assert max(map(len, container["ContainerEntrypoint"])) <= 256
    assert container["ContainerArguments"] == ["analysis.py", "--n", "3"]
    channels = {one["ChannelName"]: one for one in built.final["InputDataConfig"]}
    assert channels.keys() == {"runtime", "source"}
    assert {one["InputMode"] for one in channels.values()} == {"File"}


def test_without_a_flag_the_request_is_that_of_a_processing_job(folder: Path) -> None:
    built = prepare(folder, ["--time-limit", "5"])
    assert built.final is built.request
    assert "ProcessingJobName" in built.final


def test_both_kinds_have_the_same_image_limits_rights_and_environment(folder: Path) -> None:
    built = prepare(folder, ["--spot", "--time-limit", "5", "--volume", "40"])
    job, made = built.request, built.final
    assert made["TrainingJobName"] == job["ProcessingJobName"]
    assert made["AlgorithmSpecification"]["TrainingImage"] == job["AppSpecification"]["ImageUri"]
    assert made["ResourceConfig"] == job["ProcessingResources"]["ClusterConfig"]
    assert made["VpcConfig"] == job["NetworkConfig"]["VpcConfig"]
    assert (made["RoleArn"], made["Tags"]) == (job["RoleArn"], job["Tags"])
    assert made["Environment"] == job["Environment"]
    assert made["OutputDataConfig"]["KmsKeyId"] == JOBS_JSON["encryptionKeyArn"]
    assert made["OutputDataConfig"]["S3OutputPath"] == made["Environment"]["MARIMO_JOB_OUTPUT"]


def test_a_spot_job_may_wait_for_capacity(folder: Path) -> None:
    made = prepare(folder, ["--spot", "--time-limit", "5"]).final
    assert made["EnableManagedSpotTraining"]
    assert made["StoppingCondition"] == {"MaxRuntimeInSeconds": 300, "MaxWaitTimeInSeconds": 600}
    made = prepare(folder, ["--spot", "--time-limit", "5", "--wait", "5"]).final
    assert made["StoppingCondition"]["MaxWaitTimeInSeconds"] == 300
    # Control.
    made = prepare(folder, ["--checkpoints"]).final
    assert "EnableManagedSpotTraining" not in made
    assert "MaxWaitTimeInSeconds" not in made["StoppingCondition"]


def test_checkpoints_are_in_the_jobs_own_output(folder: Path) -> None:
    made = prepare(folder, ["--checkpoints"]).final
    uri = f"{made['Environment']['MARIMO_JOB_OUTPUT']}/checkpoints"
    assert made["CheckpointConfig"] == {"S3Uri": uri}
    assert made["Environment"]["MARIMO_CHECKPOINTS"] == uri
    assert "CheckpointConfig" not in prepare(folder, ["--spot"]).final


def test_only_several_nodes_may_reach_one_another(folder: Path) -> None:
    made = prepare(folder, ["--nodes", "2"]).final
    assert made["ResourceConfig"]["InstanceCount"] == 2
    assert made["VpcConfig"]["SecurityGroupIds"] == JOBS_JSON["nodeSecurityGroupIds"]
    for words in ([], ["--spot"]):
        built = prepare(folder, words).request
        groups = built["NetworkConfig"]["VpcConfig"]["SecurityGroupIds"]
        assert groups == JOBS_JSON["securityGroupIds"]


def test_local_storage_has_no_volume_key(folder: Path) -> None:
    for instance, has_key in (("ml.g5.xlarge", False), ("ml.m5.large", True)):
        made = prepare(folder, ["--spot", "--instance", instance], allowedInstanceTypes=None).final
        validate(made)
        assert ("VolumeKmsKeyId" in made["ResourceConfig"]) == has_key


def test_a_warm_pool_is_asked_for_and_its_quota_named(folder: Path) -> None:
    built = prepare(folder, ["--warm", "30"])
    assert built.final["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 1800
    assert "'ml.m5.large for training warm pool usage' is 0" in "\n".join(built.warnings)
    assert built.cost()["atMostForTheWarmPool"].startswith("0.0575 USD")
    assert "warm pool" not in "\n".join(prepare(folder, ["--nodes", "2"]).warnings)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--nodes", "5"], "--nodes 5 must be 1 to 4 (jobs.maximumInstances of dev)"),
        (["--warm", "61"], "--warm 61 must be 1 to 60 minutes"),
        (["--warm", "5", "--spot"], "--warm cannot be combined with --spot"),
        (["--wait", "60"], "--wait 60 has no effect without --spot"),
        (["--spot", "--time-limit", "10", "--wait", "9"], "--wait 9 must be at least the time limit, 10"),
    ],
)
def test_rejected(folder: Path, words: list[str], says: str) -> None:
    assert says in refusal(folder, *words)


def test_values_at_the_limits_are_accepted(folder: Path) -> None:
    validate(prepare(folder, ["--nodes", "4", "--warm", "60"]).final)
    validate(prepare(folder, ["--nodes", "100"], maximumInstances=None).final)
    assert "must be 1 to 100" in refusal(folder, "--nodes", "101", maximumInstances=None)


def test_a_dry_run_has_the_prices_on_demand_and_on_spot(folder: Path) -> None:
    costs = prepare(folder, ["--spot", "--nodes", "2", "--time-limit", "60"]).cost()
    assert costs["atMostByTheTimeLimit"].startswith("0.2300 USD")
    assert costs["atMostByTheTimeLimitOnSpot"].startswith("about 0.0805 USD (an estimate")
    assert "OnSpot" not in "".join(prepare(folder).cost())


def test_interrupted_without_checkpoints_begins_anew(folder: Path) -> None:
    assert "begins anew" in "\n".join(prepare(folder, ["--spot"]).warnings)
    assert "begins anew" not in "\n".join(prepare(folder, ["--spot", "--checkpoints"]).warnings)


def test_the_rows_of_a_sweep_are_training_jobs_too() -> None:
    options = JobOptions("nb.py", [], "ml.m5.large", 10, 30, spot=True, checkpoints=True)
    one = plan(2, then_notebook="then.py", job=vars(options))
    single = request.build(options, ENVIRONMENT, one.source, "single", SENDER)
    store = Store(None, None, "bucket", "people/ana")
    *rows, then = json.loads(one.definition(store, one.parts[0], single))["Steps"]
    assert {step["Type"] for step in (*rows, then)} == {"Training"}
    for number, step in enumerate(rows, 1):
        made = step["Arguments"]
        validate(made)
        output = f"s3://bucket/people/ana/sweeps/{one.name}/rows/{number}"
        assert made["OutputDataConfig"]["S3OutputPath"] == output
        # A row that SageMaker retries goes on from them.
        assert made["CheckpointConfig"]["S3Uri"] == f"{output}/checkpoints"
        entrypoint = made["AlgorithmSpecification"]["ContainerEntrypoint"]
        assert entrypoint[-1] == "/opt/ml/input/data/runtime/job/row.sh"
        assert made["StoppingCondition"] == {"MaxRuntimeInSeconds": 900, "MaxWaitTimeInSeconds": 1800}
    validate(then["Arguments"])
    arguments = then["Arguments"]["AlgorithmSpecification"]["ContainerArguments"]
    assert arguments == ["then.py", "--rows", "/opt/ml/input/data/rows"]
    # Control: without the options, all are processing jobs.
    plain = plan(2)
    (step, *_) = json.loads(plain.definition(store, plain.parts[0], single))["Steps"]
    assert step["Type"] == "Processing"


def test_a_sweep_on_several_nodes_costs_as_many_times_as_much() -> None:
    single, four = plan(), plan(job={**plan().job, "nodes": 4})
    assert four.max_cost() == pytest.approx(4 * (single.max_cost() or 0))


def described(training_status: str, secondary: str, **more: object) -> dict[str, Any]:
    return {
        "TrainingJobName": JOB,
        "TrainingJobStatus": training_status,
        "SecondaryStatus": secondary,
        "CreationTime": CREATED,
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/people/ana/jobs/x"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 30},
        **more,
    }


def transitions(*names: str) -> list[dict[str, object]]:
    return [{"Status": name, "StartTime": CREATED} for name in names]


MISSING = ClientError({"Error": {"Code": "ResourceNotFound", "Message": ""}}, "DescribeProcessingJob")


def test_a_job_of_either_kind_is_found_and_then_asked_for_once() -> None:
    api = Client(
        "sagemaker",
        describe_processing_job=[MISSING],
        describe_training_job=[described("InProgress", "Training", TrainingStartTime=CREATED)],
    )
    first = descriptions.describe(api, JOB)
    assert [name for name, _ in api.requests] == ["DescribeProcessingJob", "DescribeTrainingJob"]
    descriptions.describe(api, JOB, first)
    assert [name for name, _ in api.requests[2:]] == ["DescribeTrainingJob"]
    assert results.output_of(first) == ("bucket", "people/ana/jobs/x/")
    assert (results.instance(first), results.instances(first)) == ("ml.m5.large", 2)
    assert follow.status_line(first, {}, CREATED + timedelta(minutes=3)).startswith("running for 3 min 00 s")


def test_a_training_job_is_stopped_as_one() -> None:
    running = described("InProgress", "Training")
    api = Client(
        "sagemaker",
        describe_processing_job=[MISSING],
        describe_training_job=[running],
        stop_training_job=[{}],
    )
    follow.stop(api, JOB)
    assert api.requests[-1] == ("StopTrainingJob", {"TrainingJobName": JOB})


def test_an_interrupted_job_waits() -> None:
    job = descriptions.of_training(described("InProgress", "Interrupted", TrainingStartTime=CREATED))
    assert states.of_job(job, {}) == "interrupted"
    line = follow.status_line(job, {}, CREATED + timedelta(minutes=3))
    assert line == "interrupted: waiting for Spot capacity (3 min 00 s)"


def test_the_status_of_a_spot_job_has_interruptions_and_savings() -> None:
    job = descriptions.of_training(
        described(
            "Completed",
            "Completed",
            EnableManagedSpotTraining=True,
            CheckpointConfig={"S3Uri": "s3://bucket/people/ana/jobs/x/checkpoints"},
            TrainingTimeInSeconds=3600,
            BillableTimeInSeconds=900,
            SecondaryStatusTransitions=transitions("Training", "Interrupted", "Training", "Interrupted"),
        )
    )
    assert list(status.lines(job)) == [
        "Spot: interrupted 2 times; billed 900 s of 3600 s: saved 75%, 0.1725 USD",
        "Checkpoints: s3://bucket/people/ana/jobs/x/checkpoints/",
    ]
    facts = status.facts(job)
    assert (facts["interruptions"], facts["savedShare"], facts["billedSeconds"]) == (2, 0.75, 900)
    assert results.seconds(job) == 900
    # Control: a processing job has no such lines.
    processing = {"ProcessingJobName": JOB, "ProcessingJobStatus": "Completed"}
    assert (list(status.lines(processing)), status.facts(processing)) == ([], {})


@pytest.mark.parametrize(
    ("pool", "says"),
    [
        (None, "AWS kept none. Ask an administrator for the quota 'ml.m5.large for training warm pool"),
        ({"Status": "Available"}, "waits for the next job"),
        ({"Status": "Reused", "ReusedByJob": "next"}, "went on to next"),
    ],
)
def test_the_status_says_whether_there_is_a_warm_pool(pool: dict[str, str] | None, says: str) -> None:
    job = described("Completed", "Completed", **({} if pool is None else {"WarmPoolStatus": pool}))
    job["ResourceConfig"]["KeepAlivePeriodInSeconds"] = 1800
    assert says in "\n".join(status.lines(descriptions.of_training(job)))
    del job["ResourceConfig"]["KeepAlivePeriodInSeconds"]
    assert "arm pool" not in "\n".join(status.lines(descriptions.of_training(job)))


def test_the_log_has_the_lines_of_all_nodes_and_those_after_an_interruption() -> None:
    streams = [{"logStreamName": f"{JOB}/algo-{node}-1"} for node in (1, 2)]
    logs = Client(
        "logs",
        describe_log_streams=[{"logStreams": streams[:1]}, {"logStreams": streams}],
        get_log_events=[page("a", "one"), page("a"), page("a"), page("b", "two"), page("b")],
    )
    log = follow.Log(logs, JOB, training=True)
    assert list(log.new_lines()) == ["one"]
    assert list(log.new_lines()) == ["[algo-2] two"]
    assert {parameters["logGroupName"] for _, parameters in logs.requests} == {"/aws/sagemaker/TrainingJobs"}


def test_jobs_of_both_kinds_are_listed_newest_first() -> None:
    def at(minute: int) -> datetime:
        return CREATED + timedelta(minutes=minute)

    class Pages:
        def get_paginator(self, operation: str) -> "Pages":
            self.kind = operation
            return self

        def paginate(self, **_: object) -> list[dict[str, Any]]:
            if self.kind == "list_training_jobs":
                mine = [("t2", 4), ("t1", 2)]
                jobs = [
                    {"TrainingJobName": name, "TrainingJobStatus": "Completed", "CreationTime": at(minute)}
                    for name, minute in mine
                ]
                return [{"TrainingJobSummaries": jobs}]
            jobs = [
                {"ProcessingJobName": name, "ProcessingJobStatus": "Failed", "CreationTime": at(minute)}
                for name, minute in [("p2", 3), ("p1", 1)]
            ]
            return [{"ProcessingJobSummaries": jobs}]

    found = list(descriptions.summaries(Pages(), "marimo-dev"))
    assert [one["ProcessingJobName"] for one in found] == ["t2", "p2", "t1", "p1"]
    assert [one["ProcessingJobStatus"] for one in found] == ["Completed", "Failed"] * 2


def test_checkpoints_are_not_downloaded(tmp_path: Path) -> None:
    class S3:
        def get_paginator(self, _: str) -> "S3":
            return self

        def paginate(self, **_: object) -> list[dict[str, Any]]:
            names = ("page.html", "files/checkpoints/a", "checkpoints/model.pt")
            return [{"Contents": [{"Key": f"people/ana/jobs/x/{name}"} for name in names]}]

        def download_file(self, _: str, key: str, file: str) -> None:
            Path(file).write_text(key)

    files = results.fetch(S3(), descriptions.of_training(described("Completed", "Completed")), tmp_path)
    assert [str(file.relative_to(tmp_path)) for file in files] == ["page.html", "files/checkpoints/a"]


def test_the_kind_is_sent_by_its_own_operation(folder: Path) -> None:
    api = Client("sagemaker", create_training_job=[{}], create_processing_job=[{}])
    training.create(api, prepare(folder, ["--checkpoints"]).final)
    training.create(api, prepare(folder).final)
    assert [name for name, _ in api.requests] == ["CreateTrainingJob", "CreateProcessingJob"]
