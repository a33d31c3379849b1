"""Runs of a pipeline: a processing job for each step, in the order and the numbers that were asked for.

Everything here happens with the lock held: requests and timers hold it, and jobs tell of their end with it.
"""

import json
import secrets
import string
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from moto.core.exceptions import ServiceException

from . import processing_jobs, request_validation
from .pipeline_definition import (
    CAPACITY_ERROR,
    INTERNAL_ERROR,
    RESOURCE_LIMIT,
    SERVICE_FAULT,
    THROTTLING,
    RetryPolicy,
    Step,
)
from .state import Members, Resource, Studio

if TYPE_CHECKING:
    from .processing_jobs import ProcessingJob

_LETTERS = string.ascii_lowercase + string.digits
# Source: CreateProcessingJob, ProcessingJobName: 63 characters, of which eleven are ours.
_LONGEST_JOB_PREFIX = 52

# How a refusal of CreateProcessingJob, or a job's FailureReason, begins. Source: SageMaker Developer Guide,
# "Retry Policy for Pipeline Steps", names the exceptions. Guess: that it is told by the beginning.
_EXCEPTION_TYPES = {
    "InternalServerError": INTERNAL_ERROR,
    "CapacityError": CAPACITY_ERROR,
    "ResourceLimitExceeded": RESOURCE_LIMIT,
    "ThrottlingException": THROTTLING,
    "InternalFailure": SERVICE_FAULT,
}


@dataclass
class StepRun:
    """A step that has begun; AWS lists no others."""

    step: Step
    # PipelineExecutionStep, StepStatus: the values.
    status: str = "Starting"
    attempts: int = 0
    retries: dict[RetryPolicy, int] = field(default_factory=dict)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: datetime | None = None
    failure: str | None = None
    job: "ProcessingJob | None" = None

    @property
    def is_over(self) -> bool:
        return self.ended is not None

    def end(self, status: str, failure: str | None = None) -> None:
        self.status, self.failure, self.ended = status, failure, datetime.now(UTC)

    def describe(self) -> Members:
        members = {
            "StepName": self.step.name,
            "StepDisplayName": self.step.display_name,
            "StepDescription": self.step.description,
            "StepStatus": self.status,
            # Guess: the first is 1.
            "AttemptCount": self.attempts,
            "StartTime": self.started,
            "EndTime": self.ended,
            "FailureReason": self.failure and self.failure[:1024],  # the model's limit
            "Metadata": self.job and {"ProcessingJob": {"Arn": self.job.arn}},
        }
        return {name: value for name, value in members.items() if value is not None}


@dataclass
class Execution(Resource):
    studio: Studio = field(kw_only=True)
    steps: Sequence[Step] = field(kw_only=True)
    most_parallel: int = field(kw_only=True)
    tokens: set[str] = field(default_factory=set)
    runs: dict[str, StepRun] = field(default_factory=dict)

    @classmethod
    def of(cls, studio: Studio, pipeline_arn: str, steps: Sequence[Step], most_parallel: int) -> "Execution":
        arn = f"{pipeline_arn}/execution/{_random(12)}"
        configuration = {"MaxParallelExecutionSteps": most_parallel}
        members = {
            "PipelineArn": pipeline_arn,
            "PipelineExecutionArn": arn,
            "ParallelismConfiguration": configuration,
        }
        execution = cls(
            "PipelineExecution", arn, members, studio=studio, steps=steps, most_parallel=most_parallel
        )
        # Source: PipelineExecutionStatus: the values.
        execution.set_status("Executing")
        return execution

    @property
    def is_over(self) -> bool:
        return self.status in ("Succeeded", "Failed", "Stopped")

    def describe(self) -> Members:
        return {**self.members, "PipelineExecutionStatus": self.status}

    def describe_steps(self) -> list[Members]:
        return [run.describe() for run in self.runs.values()]

    def advance(self) -> None:
        """Starts what may start, and ends where nothing is left to do."""
        if self.is_over:
            return
        if self.status == "Executing" and not self._has("Failed"):
            for step in self.steps:
                under_way = sum(not run.is_over for run in self.runs.values())
                if under_way < self.most_parallel and step.name not in self.runs and self._is_ready(step):
                    self.runs[step.name] = StepRun(step)
                    self._start(self.runs[step.name])
        if all(run.is_over for run in self.runs.values()):
            self._end()

    def _has(self, status: str) -> bool:
        return any(run.status == status for run in self.runs.values())

    def _is_ready(self, step: Step) -> bool:
        # A step after one that failed does not run: aws/amazon-sagemaker-examples#3294.
        return all(name in self.runs and self.runs[name].status == "Succeeded" for name in step.depends_on)

    def _end(self) -> None:
        if self.status == "Stopping":
            # Source: PipelineExecutionStatus: the values.
            self.set_status("Stopped")
        elif self._has("Failed") or self._has("Stopped"):
            # Source: as above; for the words AWS re:Post, "SageMaker pipeline FailStep error message not
            # shown". Guess: once a step has failed no other starts, and those that run come to their end.
            self.set_status("Failed", "Step failure: One or multiple steps failed.")
        elif len(self.runs) == len(self.steps):
            # Source: as above.
            self.set_status("Succeeded")

    def _start(self, run: StepRun) -> None:
        run.attempts += 1
        identifier = self.arn.rsplit("/", 1)[-1]
        # SageMaker Developer Guide, "IAM Access Management" of Pipelines: the name in Arguments is the
        # beginning of the job's. The end of it, and the name without one, are as such jobs show them.
        prefix = run.step.arguments.get("ProcessingJobName") or f"pipelines-{identifier}-{run.step.name}"
        name = f"{prefix[:_LONGEST_JOB_PREFIX].replace('_', '-').rstrip('-')}-{_random(10)}"
        try:
            request = request_validation.parse(
                "CreateProcessingJob", json.dumps({**run.step.arguments, "ProcessingJobName": name})
            )
            run.job = processing_jobs.start(self.studio, request, [lambda job: self._hear(run, job)])
            run.status = "Executing"
        except ServiceException as refusal:
            self._fail(
                run,
                refusal.code,
                # Guess: the words.
                "ClientError: Failed to invoke sagemaker:CreateProcessingJob. Error Details: "
                f"{refusal.message}",
            )

    def _hear(self, run: StepRun, job: "ProcessingJob") -> None:
        if run.job is not job or run.is_over or not job.is_over:
            return
        if job.status == "Completed":
            run.end("Succeeded")
        elif job.status == "Stopped":
            # By StopPipelineExecution, StopProcessingJob or its time limit. Guess: the last two fail it.
            run.end("Stopped" if self.status == "Stopping" else "Failed", f"Job {job.name} was stopped.")
        else:
            reason = str(job.members.get("FailureReason", ""))
            self._fail(run, reason.split(":")[0], reason)
        self.advance()

    def _fail(self, run: StepRun, code: str, reason: str) -> None:
        """Ends the step, unless one of its policies has another attempt for it."""
        exception_type = _EXCEPTION_TYPES.get(code)
        for policy in run.step.retry_policies:
            used = run.retries.get(policy, 0)
            if exception_type in policy.exception_types and used < policy.attempts and not self._stops:
                run.retries[policy] = used + 1
                run.status = "Starting"
                self._later(policy.interval * policy.backoff**used, run)
                return
        run.end("Failed", reason)

    @property
    def _stops(self) -> bool:
        return self.status != "Executing"

    def _later(self, seconds: float, run: StepRun) -> None:
        def start() -> None:
            with self.studio.lock:
                if run.status == "Starting" and not run.is_over:
                    self._start(run)
                    self.advance()

        timer = threading.Timer(seconds, start)
        timer.daemon = True  # the server may stop at any time
        timer.start()

    def stop(self) -> None:
        # Source: PipelineExecutionStatus: the values.
        self.set_status("Stopping")
        for run in self.runs.values():
            if run.status == "Starting":
                run.end("Stopped")
            elif run.status == "Executing" and run.job is not None and run.job.status == "InProgress":
                run.status = "Stopping"
                processing_jobs.stop(self.studio, {"ProcessingJobName": run.job.name})
        self.advance()

    def retry(self) -> None:
        """Again, but for what succeeded: from the last failed step (SageMaker Developer Guide, "View the
        details of a pipeline run")."""
        self.runs = {name: run for name, run in self.runs.items() if run.status == "Succeeded"}
        # Source: PipelineExecutionStatus: the values.
        self.set_status("Executing")
        self.advance()


def _random(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))
