"""The page of jobs: its lists, costs, logs and new jobs, with 1,000 jobs behind it."""

import json
import shlex
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagemaker_marimo import state
from sagemaker_marimo.jobs.sender import Sender
from sagemaker_marimo.jobs.settings import Clients, Refused
from sagemaker_marimo.jobs_page import again, job, marimo_job, output, view
from sagemaker_marimo.jobs_page.costs import Costs
from sagemaker_marimo.jobs_page.lines import lines
from sagemaker_marimo.jobs_page.marimo_job import Wanted
from sagemaker_marimo.jobs_page.pages import MAX_RESULTS, MOST_EMPTY, PAGE_SIZE, Pages
from sagemaker_marimo.jobs_page.session import Session, chosen_notebook
from sagemaker_marimo.jobs_page.watch import Watch

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
MINE = "marimo-dev-ana"
SWEEP = "squares-261127100000-ab12"
ROLE = "arn:aws:iam::123456789012:role/marimo-dev-user-ana"


def denied(operation: str) -> ClientError:
    return ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, operation)


class SageMaker:
    """1,000 jobs of ana, every tenth a training job, and some of bo. Requests are counted."""

    def __init__(self, count: int = 1000) -> None:
        self.requests: Counter[str] = Counter()
        self.deny = ""
        self.created: list[dict[str, Any]] = []
        self.jobs: dict[str, dict[str, dict[str, Any]]] = {"processing": {}, "training": {}}
        for number in range(count):
            kind = "training" if number % 10 == 0 else "processing"
            created = NOW - timedelta(minutes=90 * number)
            self.add(kind, f"{MINE}-nb-{number}", created)
            if number % 40 == 1:
                self.add(kind, f"marimo-dev-bo-{MINE}-{number}", created)

    def add(self, kind: str, name: str, created: datetime, status: str = "Completed") -> None:
        word = kind.capitalize()
        self.jobs[kind][name] = {
            f"{word}JobName": name,
            f"{word}JobStatus": status,
            "CreationTime": created,
            **({} if status == "InProgress" else {f"{word}EndTime": created + timedelta(minutes=65)}),
        }

    def _list(self, kind: str, request: dict[str, Any]) -> dict[str, Any]:
        operation = f"List{kind.capitalize()}Jobs"
        self.requests[operation] += 1
        if self.deny == operation:
            raise denied(operation)
        after = request.get("CreationTimeAfter")
        found = [
            one
            for name, one in self.jobs[kind].items()
            if request["NameContains"] in name and (after is None or one["CreationTime"] > after)
        ]
        found.sort(key=lambda one: one["CreationTime"], reverse=True)
        start = int(request.get("NextToken", 0))
        end = start + request["MaxResults"]
        more = {"NextToken": str(end)} if end < len(found) else {}
        return {f"{kind.capitalize()}JobSummaries": found[start:end], **more}

    def list_processing_jobs(self, **request: Any) -> dict[str, Any]:
        return self._list("processing", request)

    def list_training_jobs(self, **request: Any) -> dict[str, Any]:
        return self._list("training", request)

    def describe_processing_job(self, **request: str) -> dict[str, Any]:
        self.requests["DescribeProcessingJob"] += 1
        summary = self.jobs["processing"][request["ProcessingJobName"]]
        if request["ProcessingJobName"] == self.deny:
            raise denied("DescribeProcessingJob")
        start = summary["CreationTime"] + timedelta(minutes=5)
        cluster = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
        return {
            **summary,
            "ProcessingStartTime": start,
            "ProcessingResources": {"ClusterConfig": cluster},
            "ProcessingOutputConfig": {
                "Outputs": [{"OutputName": "result", "S3Output": {"S3Uri": "s3://bucket/people/ana/jobs/x"}}]
            },
            "AppSpecification": {
                "ImageUri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/image:tag",
                "ContainerArguments": ["nb.py", "--city", "New York"],
            },
            "Environment": {again.SOURCE: "abc", "MARIMO_SECRET_TOKEN": "arn:of-a-secret"},
            "StoppingCondition": {"MaxRuntimeInSeconds": 1800},
        }

    def describe_training_job(self, **request: str) -> dict[str, Any]:
        self.requests["DescribeTrainingJob"] += 1
        summary = self.jobs["training"][request["TrainingJobName"]]
        return {
            **summary,
            "TrainingStartTime": summary["CreationTime"],
            "BillableTimeInSeconds": 1800,
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 30},
            "OutputDataConfig": {"S3OutputPath": "s3://bucket/people/ana/jobs/y"},
            "AlgorithmSpecification": {
                "TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/image:tag",
                "ContainerArguments": ["nb.py", "--n", "2"],
            },
            "EnableManagedSpotTraining": True,
            "CheckpointConfig": {"S3Uri": "s3://bucket/people/ana/jobs/y/checkpoints"},
            "Environment": {again.SOURCE: "abc"},
            "StoppingCondition": {"MaxRuntimeInSeconds": 1800, "MaxWaitTimeInSeconds": 3600},
        }

    def create_processing_job(self, **request: Any) -> None:
        self.created.append(request)

    create_training_job = create_processing_job


class S3:
    def __init__(self, sweeps: tuple[str, ...] = (SWEEP,)) -> None:
        self.sweeps = sweeps
        self.requests: Counter[str] = Counter()
        self.keys = ["people/ana/job-sources/abc/nb.py"]

    def get_paginator(self, _: str) -> "S3":
        return self

    def paginate(self, **request: str) -> list[dict[str, Any]]:
        self.requests["ListObjectsV2"] += 1
        return [{"CommonPrefixes": [{"Prefix": f"{request['Prefix']}{name}/"} for name in self.sweeps]}]

    def list_objects_v2(self, **request: Any) -> dict[str, Any]:
        found = [key for key in self.keys if key.startswith(request["Prefix"])]
        return {"KeyCount": len(found), "Contents": [{"Key": key, "Size": 1500} for key in found]}

    def get_object(self, **_: str) -> None:
        raise ClientError({"Error": {"Code": "NoSuchKey", "Message": "no"}}, "GetObject")


def environment() -> Any:
    """What the page reads of jobs.json."""
    members: dict[str, Any] = {
        "name": "dev",
        "prefix": "marimo-dev",
        "bucket": "bucket",
        "region": "us-east-1",
        "tags": {},
        "role": None,
        "allowed": None,
        "gpu_image": None,
        "athena_users": [],
        "groups": [],
        "subnets": [],
        "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/image:new",
        "schedules": ["report"],
        "secrets": ["arn:of-a-secret"],
        "instance": "ml.m5.large",
        "max_minutes": 60,
        "volume_gb": 30,
        "key": "key",
        "max_instances": 4,
        "node_groups": ["sg-nodes"],
        "max_warm_minutes": 60,
        "payload": "0123456789abcdef",
        "payload_sha256": "sha",
    }
    return type("Environment", (), members)


@pytest.fixture
def sagemaker() -> SageMaker:
    return SageMaker()


@pytest.fixture
def session(home: Path, sagemaker: SageMaker) -> Session:
    who = Sender(ROLE, MINE, "people/ana")
    return Session(Clients(S3(), sagemaker, Logs()), environment(), who, Costs(home / "costs.json"))


class Logs:
    def __init__(self) -> None:
        self.lines = ["one", "two"]

    def describe_log_streams(self, **request: Any) -> dict[str, Any]:
        return {"logStreams": [{"logStreamName": f"{request['logStreamNamePrefix']}algo-1-1"}]}

    def get_log_events(self, **request: Any) -> dict[str, Any]:
        start = int(request.get("nextToken", 0))
        events = [{"message": line} for line in self.lines[start:]]
        return {"events": events, "nextForwardToken": str(len(self.lines))}


def test_a_page_of_1000_jobs_needs_one_request_of_each_list(session: Session, sagemaker: SageMaker) -> None:
    first = session.lines(0)
    assert [line.name for line in first[:3]] == [f"{MINE}-nb-0", f"{MINE}-nb-1", SWEEP]
    assert len(first) == PAGE_SIZE + 1
    assert sagemaker.requests == {"ListProcessingJobs": 1, "ListTrainingJobs": 1}
    assert session.clients.s3.requests == {"ListObjectsV2": 1}
    # A page that was read needs none.
    session.lines(0)
    assert sum(sagemaker.requests.values()) == 2
    second = session.lines(1)
    assert [line.name for line in second] == [f"{MINE}-nb-{n}" for n in range(PAGE_SIZE, 2 * PAGE_SIZE)]
    assert all(count <= 2 for count in sagemaker.requests.values())
    for number in range(2, 20):
        assert len(session.lines(number)) == PAGE_SIZE
        assert all(count <= number + 1 for count in sagemaker.requests.values())
    # Control: what is shown anew is read anew.
    session.show(MINE)
    before = sum(sagemaker.requests.values())
    session.lines(0)
    assert sum(sagemaker.requests.values()) == before + 2


def test_all_pages_have_each_own_job_once_newest_first(sagemaker: SageMaker) -> None:
    pages = Pages(sagemaker, MINE)
    names = [one.name for one in pages]
    assert names == [f"{MINE}-nb-{number}" for number in range(1000)]
    assert not pages.has_more(19)
    assert pages.has_more(18)
    assert sagemaker.requests == {"ListProcessingJobs": 10, "ListTrainingJobs": 1}


def test_a_list_without_own_jobs_ends(sagemaker: SageMaker) -> None:
    for number in range(MOST_EMPTY * MAX_RESULTS + 1):
        sagemaker.add("processing", f"x-cy-{number}", NOW)
    assert Pages(sagemaker, "cy").page(0) == []
    assert sagemaker.requests["ListProcessingJobs"] == MOST_EMPTY


def test_a_list_that_iam_denies_is_named_and_the_other_one_shown(sagemaker: SageMaker) -> None:
    sagemaker.deny = "ListTrainingJobs"
    pages = Pages(sagemaker, MINE)
    assert {one.kind for one in pages.page(0)} == {"processing"}
    assert pages.problems == ["Your role may not list training jobs."]
    assert Pages(SageMaker(), MINE).problems == []


def test_rows_of_a_sweep_are_one_line(session: Session, sagemaker: SageMaker) -> None:
    for number in range(1, 31):
        status = "InProgress" if number > 28 else "Completed"
        sagemaker.add("processing", f"{MINE}-{SWEEP}-{number}-0123456789", NOW, status)
    sagemaker.add("processing", f"{MINE}-{SWEEP[:-4]}cd34", NOW)  # a single job
    found = {line.name: line for line in session.lines(0)}
    assert found[SWEEP].state == "rows here: 28 done, 2 in progress"
    assert f"{MINE}-{SWEEP}-1-0123456789" not in found
    assert found[f"{MINE}-{SWEEP[:-4]}cd34"].kind == "processing"
    assert len(found) == PAGE_SIZE - 29


def test_a_sweep_without_rows_is_on_the_page_of_its_time() -> None:
    names = [SWEEP, "notes", "old-250101000000-ab12"]
    since = NOW - timedelta(days=1)
    assert [line.name for line in lines([], names, lambda _: None, since=since)] == [SWEEP]
    assert [line.name for line in lines([], names, lambda _: None, until=since)] == [names[2]]


def test_the_months_cost_describes_each_ended_job_once(session: Session, sagemaker: SageMaker) -> None:
    steps: list[tuple[int, int]] = []

    def count() -> Any:
        return session.costs.month(sagemaker, MINE, NOW, lambda done, of: steps.append((done, of)))

    sagemaker.add("processing", f"{MINE}-now", NOW - timedelta(minutes=65), "InProgress")
    # 26.5 days, a job each 90 minutes. Every tenth is billed half an hour on each of two instances.
    month = count()
    training = sum(number % 10 == 0 for number in range(424))
    assert (month.jobs, month.unknown) == (425, 0)
    assert month.dollars == pytest.approx(0.115 * (424 - training + training + 1))
    assert steps[-1] == (425, 425)
    described = sagemaker.requests["DescribeProcessingJob"] + sagemaker.requests["DescribeTrainingJob"]
    assert described == 425
    # The second time, only the running job is described, also by another page.
    session.costs = Costs(session.costs.file)
    assert count().dollars == pytest.approx(month.dollars)
    assert sagemaker.requests["DescribeProcessingJob"] + sagemaker.requests["DescribeTrainingJob"] == 426
    # And the lists show it without a request.
    assert session.lines(0)[2].dollars == pytest.approx(0.115)
    assert sagemaker.requests["DescribeProcessingJob"] + sagemaker.requests["DescribeTrainingJob"] == 426


def test_a_job_that_cannot_be_described_is_of_unknown_cost(session: Session, sagemaker: SageMaker) -> None:
    sagemaker.deny = f"{MINE}-nb-1"
    month = session.costs.month(sagemaker, MINE, NOW, lambda *_: None)
    assert (month.jobs, month.unknown) == (424, 1)


def test_half_a_file_of_costs_is_ignored(home: Path) -> None:
    file = home / "costs.json"
    for text in ('{"a": [', "[]", '{"a": 1}'):
        file.write_text(text)
        assert Costs(file).dollars("a") is None
    file.write_text('{"a": ["ml.m5.large", 1, 3600.0]}')
    assert Costs(file).dollars("a") == pytest.approx(0.115)


@pytest.mark.parametrize("kind", ["processing", "training"])
def test_a_log_is_followed_until_the_end(session: Session, sagemaker: SageMaker, kind: str) -> None:
    name = f"{MINE}-nb-running"
    sagemaker.add(kind, name, datetime.now(UTC), "InProgress")
    watch = Watch(session, name, kind)
    shown: list[list[str]] = []
    watch.read()
    assert (watch.lines, watch.has_ended) == (["one", "two"], False)

    def sleep(_: float) -> None:
        session.clients.logs.lines.append("another")
        if len(session.clients.logs.lines) == 5:
            sagemaker.add(kind, name, datetime.now(UTC) - timedelta(minutes=65))

    watch.follow(lambda: shown.append(list(watch.lines)), lambda: False, sleep)
    assert watch.lines == ["one", "two", *["another"] * 4]
    assert shown[-1] == watch.lines
    assert watch.status.startswith("done after ")
    assert watch.cost == "0.1150 USD"
    # The end is noted for the list.
    assert Costs(session.costs.file).dollars(name) is not None


def test_nobody_looks_any_more(session: Session, sagemaker: SageMaker) -> None:
    sagemaker.add("processing", f"{MINE}-nb-running", NOW, "InProgress")
    watch = Watch(session, f"{MINE}-nb-running", "processing")
    watch.read()
    before = sum(sagemaker.requests.values())
    watch.follow(lambda: None, lambda: True, lambda _: None)
    assert sum(sagemaker.requests.values()) == before


def test_an_outage_is_shown_and_then_gone(session: Session, sagemaker: SageMaker) -> None:
    name = f"{MINE}-nb-running"
    said: list[str] = []
    sagemaker.add("processing", name, NOW, "InProgress")
    watch = Watch(session, name, "processing")
    watch.read()
    sagemaker.deny = name

    def sleep(_: float) -> None:
        if said:
            sagemaker.deny = ""
            sagemaker.add("processing", name, NOW)

    watch.follow(lambda: said.append(watch.problem), lambda: False, sleep)
    assert said[0].startswith("AWS: ")
    assert said[1:] == ["", ""]


def test_a_job_runs_again_with_other_arguments(session: Session, sagemaker: SageMaker) -> None:
    description = job.describe(sagemaker, f"{MINE}-nb-1", "processing")
    assert again.is_possible(description)
    assert (again.arguments(description), again.minutes(description)) == (["--city", "New York"], 30)

    def run(**changes: Any) -> str:
        wanted: dict[str, Any] = {"arguments": ["--city", "Berlin"], "instance": "ml.m5.large", "minutes": 20}
        wanted |= changes
        return again.run(session.clients, session.environment, session.who, description, **wanted)

    name = run()
    (sent,) = sagemaker.created
    assert name.startswith(f"{MINE}-nb-")
    assert sent["ProcessingJobName"] == name
    assert sent["AppSpecification"]["ContainerArguments"] == ["nb.py", "--city", "Berlin"]
    # The job's own image and files, and the environment's payload.
    assert sent["AppSpecification"]["ImageUri"].endswith("image:tag")
    assert sent["Environment"][again.SOURCE] == "abc"
    assert sent["Environment"]["MARIMO_PAYLOAD_SHA256"] == "sha"
    assert "arn:of-a-secret" in sent["Environment"].values()
    assert sent["StoppingCondition"] == {"MaxRuntimeInSeconds": 1200}
    # All problems at once, and nothing is sent.
    session.clients.s3.keys = []
    with pytest.raises(Refused) as refused:
        run(minutes=61, instance="ml.none")
    assert len(refused.value.problems) == 3
    assert "no longer exists" in str(refused.value)
    assert len(sagemaker.created) == 1


def test_a_training_job_stays_one(session: Session, sagemaker: SageMaker) -> None:
    description = job.describe(sagemaker, f"{MINE}-nb-0", "training")
    wanted: dict[str, Any] = {"arguments": ["--n", "3"], "instance": "ml.m5.large", "minutes": 20}
    again.run(session.clients, session.environment, session.who, description, **wanted)
    (sent,) = sagemaker.created
    assert sent["TrainingJobName"].startswith(f"{MINE}-nb-")
    assert sent["AlgorithmSpecification"]["ContainerArguments"] == ["nb.py", "--n", "3"]
    assert (sent["EnableManagedSpotTraining"], sent["ResourceConfig"]["InstanceCount"]) == (True, 2)
    assert sent["VpcConfig"]["SecurityGroupIds"] == ["sg-nodes"]
    assert sent["CheckpointConfig"]["S3Uri"].startswith("s3://bucket/people/ana/jobs/")


def test_the_job_of_another_program_is_not_sent_again(sagemaker: SageMaker) -> None:
    description = job.describe(sagemaker, f"{MINE}-nb-0", "training")
    assert again.is_possible(description)
    assert not again.is_possible({**description, "Environment": {}})


def test_the_words_of_marimo_job() -> None:
    wanted = Wanted(Path("/home/nb.py"), "--city 'New York'", "--with 'a b.csv'", "ml.m5.large", 5)
    assert shlex.join(wanted.words("run", "--detach")) == (
        "run /home/nb.py --detach --instance ml.m5.large --time-limit 5 --with 'a b.csv' -- --city 'New York'"
    )
    with pytest.raises(ValueError, match='The arguments "\'" are not valid: No closing quotation'):
        Wanted(Path("nb.py"), "'").words("run")


def test_marimo_jobs_answer_is_the_pages(home: Path) -> None:
    command = state.PAYLOAD / "bin/marimo-job.sh"
    command.parent.mkdir(parents=True)
    command.write_text('echo "{\\"job\\": \\"$1\\"}"; echo "said $2 in $PWD" >&2; exit 3\n')
    answer = marimo_job.run("a b", "c")
    assert (answer.status, answer.facts, answer.messages) == (3, {"job": "a b"}, f"said c in {home}")
    # Files in the options are beside the notebook.
    (home / "project").mkdir()
    command.write_text("pwd\n")
    assert Wanted(home / "project/nb.py").start().output == str(home / "project")
    command.write_text("echo no JSON\n")
    assert marimo_job.run().facts is None


def test_schedules_are_offered_if_the_command_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def help_of(text: str) -> Any:
        return lambda: type("Parser", (), {"format_help": lambda _: text})()

    monkeypatch.setattr(marimo_job, "parser", help_of("    run    run a notebook, or schedule it\n"))
    assert not marimo_job.has_schedules()
    monkeypatch.setattr(marimo_job, "parser", help_of("    schedule   run a notebook at regular times\n"))
    assert marimo_job.has_schedules()


def test_what_the_bucket_has_is_counted_by_one_request(sagemaker: SageMaker, home: Path) -> None:
    s3 = S3()
    s3.keys = ["people/ana/jobs/x/page.html", "people/ana/jobs/x/files/", "people/ana/jobs/x/files/a b.csv"]
    description = job.describe(sagemaker, f"{MINE}-nb-1", "processing")
    assert str(output.stored(s3, description)) == "2 files, 3 KB"
    files = [output.folder(description) / name for name in ("page.html", "files/a b.csv")]
    assert output.links(description, files) == [
        ("page.html", f"../files/marimo-jobs/{MINE}-nb-1/page.html"),
        ("files/a b.csv", f"../files/marimo-jobs/{MINE}-nb-1/files/a%20b.csv"),
    ]
    assert output.folder(description).is_relative_to(home)


def test_a_log_cannot_write_html() -> None:
    assert "<script>" not in view.log(["<script>alert(1)</script>"])
    assert "&lt;script&gt;" in view.log(["<script>alert(1)</script>"])
    assert "<b>" not in view.text("<b>") + view.links([("<b>", '"><b>')])
    assert "The last 500 of 501 lines" in view.log(["x"] * 501)
    assert "The last" not in view.log(["x"] * 500)


def test_the_address_names_only_notebooks_in_the_home(home: Path, tmp_path: Path) -> None:
    notebook = "import marimo\napp = marimo.App()\n"
    (home / "nb.py").write_text(notebook)
    (home / "script.py").write_text("print()")
    (tmp_path / "outside.py").write_text(notebook)
    (home / "link.py").symlink_to(tmp_path / "outside.py")
    assert chosen_notebook("nb.py") == str(home / "nb.py")
    assert chosen_notebook(None) is None
    for text in ("script.py", "../outside.py", "link.py", "missing.py", str(tmp_path / "outside.py")):
        with pytest.raises(Refused, match=r"is not a (Python file in your home folder|marimo notebook)"):
            chosen_notebook(text)


def test_what_can_be_shown_and_chosen(session: Session) -> None:
    assert session.prefixes == {"my jobs": MINE, "schedule report": "marimo-dev-report"}
    assert session.instances("ml.c5.xlarge")[:2] == ["ml.c5.xlarge", "ml.m5.large"]
    assert json.dumps([line.cells for line in session.lines(0)])
