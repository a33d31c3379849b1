"""A sweep: one job for each row of a grid, in SageMaker pipelines. Its state is in the bucket.

The user's folder sweeps/<sweep>/ contains sweep.json, written before anything starts, grid.csv, rows/<n>/
with each job's output, then/ with the output of the notebook that runs last, and table.csv at the end. Each
step is idempotent, so a sweep can be resumed from any point.
"""

import hashlib
import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

from botocore.exceptions import ClientError

from sagemaker_marimo.jobs import pipeline, results, table
from sagemaker_marimo.jobs.pipeline import Members, Part, is_missing
from sagemaker_marimo.jobs.sweep_plan import Plan
from sagemaker_marimo.jobs.sweep_progress import (
    DONE,
    FAILED,
    INTERRUPTED,
    RUNNING,
    STOPPED,
    WAITING,
    Progress,
)
from sagemaker_marimo.jobs.sweep_store import Store
from sagemaker_marimo.jobs.table import Outcome

THREADS = 8
"""Number of threads that read outcomes."""


class SweepError(Exception):
    """A problem with a sweep, in words for the user."""


class Sweep:
    """One sweep, with the state that this program has read so far."""

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
        """Writes the plan to the bucket. Starts nothing."""
        if store.get(f"{plan.name}/sweep.json") is not None:
            raise SweepError(f"there is already a sweep {plan.name}")
        sweep = cls(store, plan)
        lines = [plan.columns, *plan.rows]
        store.put(f"{plan.name}/grid.csv", table.csv_text(lines))
        sweep._save()
        return sweep

    @classmethod
    def open(cls, store: Store, name: str) -> "Sweep":
        text = store.get(f"{name}/sweep.json")
        if text is None:
            raise SweepError(f"there is no sweep {name}")
        try:
            plan = Plan(**json.loads(text))
        except (ValueError, TypeError):
            plan = None
        if plan is None or plan.name != name:
            raise SweepError(
                f"{store.uri(name)}/sweep.json is not one of this version of marimo-job: start a new sweep"
            )
        return cls(store, plan)

    def _save(self) -> None:
        self.store.put(f"{self.plan.name}/sweep.json", json.dumps(vars(self.plan), indent=1) + "\n")

    def start(self, single: Members) -> None:
        """Creates and starts each pipeline that has not been started. The token makes a repeated request
        harmless (SageMaker API, ClientRequestToken). `single` is the request of a single job with the same
        notebook, from the deployment."""
        for part in self.plan.parts:
            if self._find_execution(part):
                continue
            self._create_pipeline(part, single)
            started = self.store.sagemaker.start_pipeline_execution(
                PipelineName=part.name, ClientRequestToken=_token("start", part.name)
            )
            self._executions[part.name] = started["PipelineExecutionArn"]

    def _create_pipeline(self, part: Part, single: Members) -> None:
        try:
            self.store.sagemaker.create_pipeline(
                PipelineName=part.name,
                PipelineDescription=self.plan.mark,
                PipelineDefinition=self.plan.definition(self.store, part, single),
                ClientRequestToken=_token("create", part.name),
                RoleArn=single["RoleArn"],
                ParallelismConfiguration={"MaxParallelExecutionSteps": part.parallel},
                Tags=single.get("Tags", []),
            )
        except ClientError as error:
            # SageMaker does not document how long a token is valid.
            if "already exists" not in error.response["Error"]["Message"]:
                raise

    def _find_execution(self, part: Part) -> bool:
        """Whether the pipeline has an execution."""
        if part.name in self._executions:
            return True
        try:
            answer = self.store.sagemaker.list_pipeline_executions(PipelineName=part.name, MaxResults=1)
        except ClientError as error:
            if not is_missing(error):
                raise
            return False
        for execution in answer["PipelineExecutionSummaries"]:
            self._executions[part.name] = execution["PipelineExecutionArn"]
        return part.name in self._executions

    def progress(self) -> Progress:
        """Sends two requests for each pipeline that has not ended, and two, once, for each row that has."""
        rows: list[str] = []
        progress = Progress(rows)
        if self.plan.finished and not self._outcomes:
            # Its pipelines have been deleted.
            self._outcomes = table.outcomes(self.store.get(f"{self.plan.name}/table.csv") or "")
        for part in self.plan.parts:
            if not self.plan.finished and self._find_execution(part):
                self._update(part, self._executions[part.name])
            rows += [self._state(part, number) for number in range(part.first, part.last + 1)]
        progress.is_over, progress.is_stopping = self.is_over, "Stopping" in self._statuses.values()
        steps = sum(_retries(step) for step in self._steps.values())
        progress.retries = steps or sum(max(0, one.attempts - 1) for one in self._outcomes.values())
        if self.plan.then_notebook is not None:
            progress.then = self._then()
        return progress

    def _then(self) -> str:
        status = "Succeeded" if self.plan.finished else self._steps.get("then", {}).get("StepStatus")
        if status != "Succeeded":
            return {None: WAITING, "Failed": INTERRUPTED, "Stopped": STOPPED}.get(status, RUNNING)
        if self._then_status is None:
            text = self.store.get(f"{self.plan.name}/then/result.json")
            self._then_status = (
                INTERRUPTED if text is None else FAILED if json.loads(text)["exitStatus"] else DONE
            )
        return self._then_status

    def _update(self, part: Part, arn: str) -> None:
        if self._statuses.get(part.name) in ("Succeeded", "Failed", "Stopped"):
            return
        sagemaker = self.store.sagemaker
        # Before the steps: if the execution has ended, no step changes after that.
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
        # A waiting row has no step yet. If its pipeline has ended, it never gets one.
        over = self._statuses.get(part.name) in ("Failed", "Stopped")
        return STOPPED if over else WAITING

    def _read(self, numbers: list[int]) -> None:
        """Reads the outcomes of these rows, each once."""
        with ThreadPoolExecutor(THREADS) as pool:
            new = [number for number in numbers if number not in self._outcomes]
            self._outcomes |= dict(zip(new, pool.map(self._outcome, new), strict=True))

    def _outcome(self, number: int) -> Outcome:
        step, folder = self._step(number), f"{self.plan.name}/rows/{number}"
        attempts, text = _retries(step) + 1, self.store.get(f"{folder}/result.json")
        if text is None:
            return Outcome(INTERRUPTED, attempts=attempts, error="the job completed without result.json")
        result = json.loads(text)
        error = self._exit_message(step, result) if result["exitStatus"] else ""
        beside = PurePosixPath(self.plan.notebook).parent / self.plan.table
        return Outcome.of_result(result, attempts, error, self.store.get(f"{folder}/files/{beside}"))

    def _exit_message(self, step: Members, result: Members) -> str:
        # A training job that completed has no message in its description.
        if "TrainingJob" in step["Metadata"]:
            return str(result.get("message", ""))
        name = step["Metadata"]["ProcessingJob"]["Arn"].rsplit("/", 1)[-1]
        job = self.store.sagemaker.describe_processing_job(ProcessingJobName=name)
        return str(job.get("ExitMessage", ""))

    @property
    def is_over(self) -> bool:
        ended = (
            self._statuses.get(part.name) in ("Succeeded", "Failed", "Stopped") for part in self.plan.parts
        )
        return self.plan.finished or all(ended)

    def failures(self) -> list[tuple[int, str]]:
        """The numbers of the failed rows that `progress` has read, and the last line of what each raised."""
        failed = [(number, one) for number, one in self._outcomes.items() if one.status == FAILED]
        return sorted((number, one.error.strip().rpartition("\n")[2]) for number, one in failed)

    def stop(self) -> int:
        """Stops all running pipelines. Returns their number."""
        count = 0
        for part in self.plan.parts:
            if self._find_execution(part) and self._status(part) == "Executing":
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
        """Pipelines that ended with rows left."""
        return [part for part in self.plan.parts if self._statuses.get(part.name) in ("Failed", "Stopped")]

    def parts_to_start(self) -> list[Part]:
        """Pipelines that a resume retries or starts, after `progress`."""
        ended = self.ended_parts()
        return [part for part in self.plan.parts if part in ended or part.name not in self._executions]

    def resume(self, single: Members) -> None:
        """Retries pipelines that ended too early, except rows with an outcome, and starts missing ones.
        sweep_check.py comes first."""
        if self.plan.options.notify:
            self.store.delete(f"{self.plan.name}/told")  # of job_notify.py, which tells once
        self.start(single)
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

    def collect_table(self) -> str:
        """Writes the table to the bucket. Deletes the pipelines once all their rows have an outcome."""
        progress = self.progress()
        outcomes = []
        for number, state in enumerate(progress.rows, 1):
            step = self._step(number)
            if number in self._outcomes:
                outcomes.append(self._outcomes[number])
            else:
                reason = results.explained(str(step.get("FailureReason", "")))
                attempts = _retries(step) + 1 if step else 0
                outcomes.append(Outcome(state, attempts=attempts, error=reason))
        text = table.make(self.plan.columns, self.plan.rows, outcomes)
        self.store.put(f"{self.plan.name}/table.csv", text)
        if all(self._statuses.get(part.name) == "Succeeded" for part in self.plan.parts):
            self.plan = Plan(**{**vars(self.plan), "finished": True})
            self._save()  # before they are deleted: a finished sweep has no pipelines
            for part in self.plan.parts:
                self._delete(part)
        return text

    def _delete(self, part: Part) -> None:
        try:
            self.store.sagemaker.delete_pipeline(
                PipelineName=part.name, ClientRequestToken=_token("delete", part.name)
            )
        except ClientError as error:
            if not is_missing(error):
                raise


def _retries(step: Members) -> int:
    return max(0, int(step.get("AttemptCount", 1)) - 1)


def _token(*words: str) -> str:
    """A token of at least 32 characters, as the SageMaker API requires; equal for equal words."""
    return hashlib.sha256("/".join(words).encode()).hexdigest()
