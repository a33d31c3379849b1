"""A sweep: a job for each row of a grid, in SageMaker pipelines. What is known of it is in the bucket.

Below marimo/jobs/<sweep>/: sweep.json, written before anything starts, grid.csv, rows/<n>/ as a job's
outputs, then/ of the notebook that runs after them, and table.csv at the end. Each step towards the end can
be asked for again, so whoever resumes a sweep does not need to know how far it had come.
"""

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_marimo.jobs import pipeline, table
from sagemaker_marimo.jobs.grid import Grid
from sagemaker_marimo.jobs.pipeline import Members, Part
from sagemaker_marimo.jobs.table import Outcome

FOLDER = "marimo/jobs"
THREADS = 8
"""That read outcomes at a time."""

# A row is one of these: the first four are under way, or can be again by a resume.
WAITING, RUNNING, INTERRUPTED, STOPPED = "waiting", "running", "interrupted", "stopped"
DONE, FAILED = "done", "failed"


class SweepError(Exception):
    """For people."""


@dataclass(frozen=True)
class Store:
    """The sweeps of one environment."""

    s3: Any
    sagemaker: Any
    bucket: str

    def get(self, key: str) -> str | None:
        try:
            answer = self.s3.get_object(Bucket=self.bucket, Key=f"{FOLDER}/{key}")
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                return None
            raise
        return str(answer["Body"].read().decode(errors="replace"))

    def put(self, key: str, text: str) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=f"{FOLDER}/{key}", Body=text.encode())

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{FOLDER}/{key}"

    def names(self, prefix: str) -> list[str]:
        """Oldest first. `prefix` is that of jobs, whose outputs are there too."""
        found = []
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"{FOLDER}/", Delimiter="/"
        )
        for page in pages:
            found += [one["Prefix"].split("/")[-2] for one in page.get("CommonPrefixes", ())]
        # <stem>-<time>-<4 hex>
        sweeps = [name for name in found if not name.startswith(f"{prefix}-")]
        return sorted(sweeps, key=lambda name: name.split("-")[-2:])

    def has(self, uri: str) -> bool:
        """Whether anything is below it."""
        bucket, prefix = uri.removeprefix("s3://").split("/", 1)
        return bool(self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1).get("KeyCount"))


@dataclass(frozen=True)
class Plan:
    """What sweep.json holds: everything that the sweep was asked to be."""

    name: str
    prefix: str  # of jobs and pipelines
    request: Members  # of a single job with the same notebook, without the notebook's arguments
    pipeline_role: str
    columns: list[str]
    rows: list[list[str]]
    arguments: list[str]  # of every row, beside its own
    parallel: int
    attempts: int
    minutes: float
    table: str
    then_notebook: str | None
    hourly: float | None  # US dollars of an instance
    finished: bool = False

    @property
    def grid(self) -> Grid:
        return Grid(tuple(self.columns), tuple(tuple(row) for row in self.rows))

    @property
    def parts(self) -> list[Part]:
        name = f"{self.prefix}-{self.name}"
        return pipeline.divide(name, len(self.rows), self.parallel, then=self.then_notebook is not None)

    @property
    def notebook(self) -> str:
        return str(self.request["AppSpecification"]["ContainerArguments"][0])

    def definition(self, store: Store, part: Part) -> str:
        seconds, base = int(self.minutes * 60), f"{self.prefix}-{self.name}"
        requests = {}
        for number in range(part.first, part.last + 1):
            requests[pipeline.step_name(number)] = pipeline.row_request(
                self.request,
                self.grid.arguments(number, self.arguments),
                store.uri(f"{self.name}/rows/{number}"),
                f"{base}-{number}",
                seconds,
            )
        if self.then_notebook is None:
            return pipeline.definition(requests, self.attempts)
        rows, output = store.uri(f"{self.name}/rows/"), store.uri(f"{self.name}/then")
        then = pipeline.then_request(self.request, self.then_notebook, rows, output, f"{base}-then", seconds)
        return pipeline.definition(requests, self.attempts, then)

    def most_cost(self, rows: int | None = None) -> float | None:
        """US dollars that so many rows may cost at most: each attempt to its time limit."""
        if self.hourly is None:
            return None
        jobs = (len(self.rows) if rows is None else rows) + (self.then_notebook is not None)
        return jobs * self.attempts * (self.minutes * 60 + pipeline.SECONDS_BESIDE) / 3600 * self.hourly


@dataclass
class Progress:
    """Where a sweep is."""

    rows: list[str]  # the status of each
    retries: int = 0
    then: str | None = None  # as a row

    def count(self) -> Counter[str]:
        return Counter(self.rows)

    def __str__(self) -> str:
        count = self.count()
        states = (DONE, RUNNING, WAITING, FAILED, INTERRUPTED, STOPPED)
        words = [f"{count[state]} {state}" for state in states if count[state] or state == DONE]
        if self.retries:
            words.append(f"{self.retries} retried")
        if self.then:
            words.append(f"then: {self.then}")
        return f"{len(self.rows)} rows: " + ", ".join(words)


class Sweep:
    """One sweep, as far as this program has heard of it."""

    def __init__(self, store: Store, plan: Plan) -> None:
        self.store = store
        self.plan = plan
        self._executions: dict[str, str] = {}  # ARN by pipeline
        self._statuses: dict[str, str] = {}
        self._steps: dict[str, Members] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._then_status: str | None = None

    @classmethod
    def create(cls, store: Store, plan: Plan) -> "Sweep":
        """Writes down what is to be done, and does nothing of it."""
        if store.get(f"{plan.name}/sweep.json") is not None:
            raise SweepError(f"there is a sweep {plan.name} already")
        sweep = cls(store, plan)
        lines = [plan.columns, *plan.rows]
        store.put(f"{plan.name}/grid.csv", table.csv_text(lines))
        sweep._save()
        return sweep

    @classmethod
    def open(cls, store: Store, name: str) -> "Sweep":
        text = store.get(f"{name}/sweep.json")
        if text is None:
            raise SweepError(f"there is no sweep {name}: `marimo-job list` names them")
        return cls(store, Plan(**json.loads(text)))

    def _save(self) -> None:
        self.store.put(f"{self.plan.name}/sweep.json", json.dumps(vars(self.plan), indent=1) + "\n")

    def start(self) -> None:
        """Makes and starts each pipeline, unless it has started. By its token SageMaker takes a request that
        comes twice for one (SageMaker API, ClientRequestToken)."""
        for part in self.plan.parts:
            if self._find(part):
                continue
            self._make(part)
            started = self.store.sagemaker.start_pipeline_execution(
                PipelineName=part.name, ClientRequestToken=_token("start", part.name)
            )
            self._executions[part.name] = started["PipelineExecutionArn"]

    def _make(self, part: Part) -> None:
        try:
            self.store.sagemaker.create_pipeline(
                PipelineName=part.name,
                PipelineDefinition=self.plan.definition(self.store, part),
                ClientRequestToken=_token("create", part.name),
                RoleArn=self.plan.pipeline_role,
                ParallelismConfiguration={"MaxParallelExecutionSteps": part.parallel},
                Tags=self.plan.request.get("Tags", []),
            )
        except ClientError as error:
            # How long SageMaker knows a token is not documented.
            if "already exists" not in error.response["Error"]["Message"]:
                raise

    def _find(self, part: Part) -> bool:
        """Whether the pipeline has an execution."""
        if part.name in self._executions:
            return True
        try:
            answer = self.store.sagemaker.list_pipeline_executions(PipelineName=part.name, MaxResults=1)
        except ClientError as error:
            # ListPipelineExecutions, errors.
            if error.response["Error"]["Code"] in ("ResourceNotFound", "ResourceNotFoundException"):
                return False
            raise
        for execution in answer["PipelineExecutionSummaries"]:
            self._executions[part.name] = execution["PipelineExecutionArn"]
        return part.name in self._executions

    def progress(self) -> Progress:
        """Two requests for each pipeline that has not ended, and two for each row that has, once."""
        rows: list[str] = []
        progress = Progress(rows)
        for part in self.plan.parts:
            arn = self._executions.get(part.name) if self._find(part) else None
            if arn is not None:
                self._look(part, arn)
            rows += [self._state(part, number) for number in range(part.first, part.last + 1)]
        progress.retries = sum(_retries(step) for step in self._steps.values())
        if self.plan.then_notebook is not None:
            progress.then = self._then()
        return progress

    def _then(self) -> str:
        status = self._steps.get("then", {}).get("StepStatus")
        if status != "Succeeded":
            return {None: WAITING, "Failed": INTERRUPTED, "Stopped": STOPPED}.get(status, RUNNING)
        if self._then_status is None:
            text = self.store.get(f"{self.plan.name}/then/result.json")
            self._then_status = (
                INTERRUPTED if text is None else FAILED if json.loads(text)["exitStatus"] else DONE
            )
        return self._then_status

    def _look(self, part: Part, arn: str) -> None:
        if self._statuses.get(part.name) in ("Succeeded", "Failed", "Stopped"):
            return
        sagemaker = self.store.sagemaker
        # Before its steps: what it says of its end holds for all of them.
        status = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)["PipelineExecutionStatus"]
        answer = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn, MaxResults=100)
        self._steps |= {step["StepName"]: step for step in answer["PipelineExecutionSteps"]}
        self._statuses[part.name] = status
        numbers = range(part.first, part.last + 1)
        self._read([n for n in numbers if self._step(n).get("StepStatus") == "Succeeded"])

    def _step(self, number: int) -> Members:
        return self._steps.get(pipeline.step_name(number), {})

    def _state(self, part: Part, number: int) -> str:
        status = self._step(number).get("StepStatus")
        if number in self._outcomes:
            return self._outcomes[number].status
        if status in ("Starting", "Executing", "Stopping"):
            return RUNNING
        if status == "Failed":
            return INTERRUPTED
        # One that waits has no step, and never will where its pipeline has ended.
        over = self._statuses.get(part.name) in ("Failed", "Stopped")
        return STOPPED if over else WAITING

    def _read(self, numbers: list[int]) -> None:
        """What the notebooks of these rows left, of each but once."""
        with ThreadPoolExecutor(THREADS) as pool:
            new = [number for number in numbers if number not in self._outcomes]
            self._outcomes |= dict(zip(new, pool.map(self._outcome, new), strict=True))

    def _outcome(self, number: int) -> Outcome:
        step, folder = self._step(number), f"{self.plan.name}/rows/{number}"
        attempts, text = _retries(step) + 1, self.store.get(f"{folder}/result.json")
        if text is None:
            return Outcome(INTERRUPTED, attempts=attempts, error="its job completed without result.json")
        result = json.loads(text)
        error = self._exit_message(step) if result["exitStatus"] else ""
        beside = PurePosixPath(self.plan.notebook).parent / self.plan.table
        return Outcome.of_result(result, attempts, error, self.store.get(f"{folder}/files/{beside}"))

    def _exit_message(self, step: Members) -> str:
        name = step["Metadata"]["ProcessingJob"]["Arn"].rsplit("/", 1)[-1]
        job = self.store.sagemaker.describe_processing_job(ProcessingJobName=name)
        return str(job.get("ExitMessage", ""))

    @property
    def is_over(self) -> bool:
        parts = self.plan.parts
        return all(self._statuses.get(part.name) in ("Succeeded", "Failed", "Stopped") for part in parts)

    def stop(self) -> int:
        """How many pipelines were told to."""
        count = 0
        for part in self.plan.parts:
            if self._find(part) and self._status(part) == "Executing":
                self.store.sagemaker.stop_pipeline_execution(
                    PipelineExecutionArn=self._executions[part.name], ClientRequestToken=str(uuid.uuid4())
                )
                count += 1
        return count

    def _status(self, part: Part) -> str:
        answer = self.store.sagemaker.describe_pipeline_execution(
            PipelineExecutionArn=self._executions[part.name]
        )
        return str(answer["PipelineExecutionStatus"])

    def ended_parts(self) -> list[Part]:
        """Parts of which rows are left, though they have ended."""
        return [part for part in self.plan.parts if self._statuses.get(part.name) in ("Failed", "Stopped")]

    def left(self) -> int:
        """Rows that a resume may run again, or for the first time."""
        return sum(state not in (DONE, FAILED) for state in self.progress().rows)

    def resume(self) -> None:
        """Goes on with what has ended too early, but for rows that have an outcome, and begins what has not
        begun."""
        if self.plan.finished:
            return
        for one in self.plan.request["ProcessingInputs"]:
            uri = one["S3Input"]["S3Uri"]
            if not self.store.has(uri):
                # Terraform keeps the payload of now alone.
                raise SweepError(f"{uri} is gone, which its jobs start from: start a sweep of the rows left")
        self.start()
        self.progress()
        for part in self.ended_parts():
            self.store.sagemaker.retry_pipeline_execution(
                PipelineExecutionArn=self._executions[part.name],
                ClientRequestToken=str(uuid.uuid4()),
                ParallelismConfiguration={"MaxParallelExecutionSteps": part.parallel},
            )
            del self._statuses[part.name]
            for name in [*part.steps, "then"]:
                if self._steps.get(name, {}).get("StepStatus") != "Succeeded":
                    self._steps.pop(name, None)

    def gather(self) -> str:
        """The table, which is then in the bucket; pipelines whose rows all have an outcome are deleted."""
        progress = self.progress()
        outcomes = []
        for number, state in enumerate(progress.rows, 1):
            step = self._step(number)
            if number in self._outcomes:
                outcomes.append(self._outcomes[number])
            else:
                reason = str(step.get("FailureReason", ""))
                attempts = _retries(step) + 1 if step else 0
                outcomes.append(Outcome(state, attempts=attempts, error=reason))
        text = table.make(self.plan.columns, self.plan.rows, outcomes)
        self.store.put(f"{self.plan.name}/table.csv", text)
        if all(self._statuses.get(part.name) == "Succeeded" for part in self.plan.parts):
            self.plan = Plan(**{**vars(self.plan), "finished": True})
            self._save()  # before they are gone: nobody looks for them then
            for part in self.plan.parts:
                self._delete(part)
        return text

    def _delete(self, part: Part) -> None:
        try:
            self.store.sagemaker.delete_pipeline(
                PipelineName=part.name, ClientRequestToken=_token("delete", part.name)
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("ResourceNotFound", "ResourceNotFoundException"):
                raise

    def table(self) -> str | None:
        return self.store.get(f"{self.plan.name}/table.csv")


def _retries(step: Members) -> int:
    return max(0, int(step.get("AttemptCount", 1)) - 1)


def _token(*words: str) -> str:
    """SageMaker API: 32 characters at least, the same for the same."""
    return hashlib.sha256("/".join(words).encode()).hexdigest()


def problems(plan: Plan, most_cost: float | None, free: float) -> Iterator[str]:
    """What is wrong with a plan: its division into pipelines, its attempts and its cost. `most_cost` is the
    bound in US dollars, without which it may cost `free`."""
    try:
        _ = plan.parts
    except ValueError as error:
        yield str(error)
    if not 1 <= plan.attempts <= pipeline.MOST_ATTEMPTS:
        yield f"--attempts is {plan.attempts}: 1 to {pipeline.MOST_ATTEMPTS}"
    yield from cost_problems(plan, len(plan.rows), most_cost, free)


def cost_problems(plan: Plan, rows: int, most_cost: float | None, free: float) -> Iterator[str]:
    cost = plan.most_cost(rows)
    if most_cost == float("inf"):
        return
    if cost is None:
        instance = plan.request["ProcessingResources"]["ClusterConfig"]["InstanceType"]
        yield f"the price of {instance} is not known, so its cost is not bound: --max-cost none says you know"
    elif most_cost is None and cost > free:
        yield f"it may cost {cost:.2f} USD: above {free:.2f} USD say how much it may, with --max-cost"
    elif most_cost is not None and cost > most_cost:
        yield f"it may cost {cost:.2f} USD, more than --max-cost {most_cost:.2f}"
