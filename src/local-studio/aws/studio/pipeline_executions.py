"""Executions of a pipeline: a processing or training job for each step, in the requested order and number.

All code here runs with the lock held: requests and timers acquire it, and jobs report their end with it.
"""

import json
import secrets
import string
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from moto.core.exceptions import ServiceException

from . import jobs, processing_jobs, request_validation, training_jobs
from .pipeline_definition import (
    CAPACITY_ERROR,
    INTERNAL_ERROR,
    JOB_NAMES,
    RESOURCE_LIMIT,
    SERVICE_FAULT,
    THROTTLING,
    RetryPolicy,
    Step,
    filled,
)
from .state import Members, Resource, Studio


class AccessDenied(ServiceException):
    code = "AccessDeniedException"


_LETTERS = string.ascii_lowercase + string.digits
# Source: CreateProcessingJob and CreateTrainingJob: 63 characters, of which the suffix here has 11.
_MAX_JOB_PREFIX = 52

# Exception types by the beginning of an error of CreateProcessingJob or of a job's FailureReason. Source:
# SageMaker Developer Guide, "Retry Policy for Pipeline Steps", has the exceptions. Guess: that the beginning
# decides.
_EXCEPTION_TYPES = {
    "InternalServerError": INTERNAL_ERROR,
    "CapacityError": CAPACITY_ERROR,
    "ResourceLimitExceeded": RESOURCE_LIMIT,
    "ThrottlingException": THROTTLING,
    "InternalFailure": SERVICE_FAULT,
}


@dataclass
class StepRun:
    """A step that has started. AWS lists only these."""

    step: Step
    # PipelineExecutionStep, StepStatus: the values.
    status: str = "Starting"
    attempts: int = 0
    retries: dict[RetryPolicy, int] = field(default_factory=dict)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: datetime | None = None
    failure: str | None = None
    job: jobs.Job | None = None

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
            # Guess: the first attempt is 1.
            "AttemptCount": self.attempts,
            "StartTime": self.started,
            "EndTime": self.ended,
            "FailureReason": self.failure and self.failure[:1024],  # the model's limit
            "Metadata": self.job and {self.job.kind: {"Arn": self.job.arn}},
        }
        return {name: value for name, value in members.items() if value is not None}


@dataclass
class Execution(Resource):
    studio: Studio = field(kw_only=True)
    steps: Sequence[Step] = field(kw_only=True)
    max_parallel: int = field(kw_only=True)
    role_arn: str = field(kw_only=True)
    tokens: set[str] = field(default_factory=set)
    runs: dict[str, StepRun] = field(default_factory=dict)

    @classmethod
    def of(
        cls, studio: Studio, pipeline_arn: str, role_arn: str, steps: Sequence[Step], max_parallel: int
    ) -> "Execution":
        arn = f"{pipeline_arn}/execution/{_random(12)}"
        configuration = {"MaxParallelExecutionSteps": max_parallel}
        members = {
            "PipelineArn": pipeline_arn,
            "PipelineExecutionArn": arn,
            "ParallelismConfiguration": configuration,
        }
        execution = cls(
            "PipelineExecution",
            arn,
            members,
            studio=studio,
            steps=steps,
            max_parallel=max_parallel,
            role_arn=role_arn,
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
        """Starts the steps that can start, and ends the execution after the last step."""
        if self.is_over:
            return
        if self.status == "Executing" and not self._has("Failed"):
            for step in self.steps:
                running = sum(not run.is_over for run in self.runs.values())
                if running < self.max_parallel and step.name not in self.runs and self._is_ready(step):
                    self.runs[step.name] = StepRun(step)
                    self._start(self.runs[step.name])
        if all(run.is_over for run in self.runs.values()):
            self._end()

    def _has(self, status: str) -> bool:
        return any(run.status == status for run in self.runs.values())

    def _is_ready(self, step: Step) -> bool:
        # A step does not run after a failed dependency: aws/amazon-sagemaker-examples#3294.
        return all(name in self.runs and self.runs[name].status == "Succeeded" for name in step.depends_on)

    def _end(self) -> None:
        if self.status == "Stopping":
            # Source: PipelineExecutionStatus: the values.
            self.set_status("Stopped")
        elif self._has("Failed") or self._has("Stopped"):
            # Source: as above; for the wording AWS re:Post, "SageMaker pipeline FailStep error message not
            # shown". Guess: after a failure no other step starts, and the running steps complete.
            self.set_status("Failed", "Step failure: One or multiple steps failed.")
        elif len(self.runs) == len(self.steps):
            # Source: as above.
            self.set_status("Succeeded")

    def _start(self, run: StepRun) -> None:
        run.attempts += 1
        identifier = self.arn.rsplit("/", 1)[-1]
        # SageMaker Developer Guide, "IAM Access Management" of Pipelines: the name in Arguments is the prefix
        # of the job name. The suffix and the default name are those of real jobs.
        kind, member = run.step.type, JOB_NAMES[run.step.type]
        arguments = filled(run.step.arguments, identifier)
        prefix = arguments.get(member) or f"pipelines-{identifier}-{run.step.name}"
        name = f"{prefix[:_MAX_JOB_PREFIX].replace('_', '-').rstrip('-')}-{_random(10)}"
        try:
            request = request_validation.parse(f"Create{kind}Job", json.dumps({**arguments, member: name}))
            if denied := self.studio.denial(self.role_arn, f"Create{kind}Job", request):
                # Source: IAM User Guide, "Troubleshoot access denied error messages" (including the wording).
                raise AccessDenied(denied)
            if kind == "Training":
                training_jobs.create(self.studio, request)
                run.job = self.studio.training_jobs[name]
            else:
                run.job = processing_jobs.start(self.studio, request)
            # Before its end, which needs the lock.
            run.job.watchers.append(lambda job: self._on_job_change(run, job))
            run.status = "Executing"
        except ServiceException as refusal:
            self._fail(
                run,
                refusal.code,
                # Guess: the wording.
                f"ClientError: Failed to invoke sagemaker:Create{kind}Job. Error Details: {refusal.message}",
            )

    def _on_job_change(self, run: StepRun, job: jobs.Job) -> None:
        if run.job is not job or run.is_over or not job.is_over:
            return
        if job.status == "Completed":
            run.end("Succeeded")
        elif job.status == "Stopped":
            # By StopPipelineExecution, StopProcessingJob or the time limit. Guess: the last two fail a step.
            run.end("Stopped" if self.status == "Stopping" else "Failed", f"Job {job.name} was stopped.")
        else:
            reason = str(job.members.get("FailureReason", ""))
            self._fail(run, reason.split(":")[0], reason)
        self.advance()

    def _fail(self, run: StepRun, code: str, reason: str) -> None:
        """Ends the step, unless one of its retry policies allows another attempt."""
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
                jobs.stop(self.studio, run.job)
        self.advance()

    def abandon(self) -> None:
        """Stops an execution whose process has ended, and with it its timers."""
        for run in self.runs.values():
            if not run.is_over:
                run.end("Stopped")
        # Source: PipelineExecutionStatus: the values.
        self.set_status("Stopped")

    def retry(self) -> None:
        """Runs all steps again that have not succeeded (SageMaker Developer Guide, "View the details of a
        pipeline run")."""
        self.runs = {name: run for name, run in self.runs.items() if run.status == "Succeeded"}
        # Source: PipelineExecutionStatus: the values.
        self.set_status("Executing")
        self.advance()


def _random(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))
