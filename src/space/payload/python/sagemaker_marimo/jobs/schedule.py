"""A user's schedules: each is a pipeline with one job, which EventBridge Scheduler starts as the user's role.

A pipeline, because a job's name has no room for a user's name and the 36 characters of an execution's id, and
because a pipeline keeps its executions, which are the schedule's history.
"""

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import boto3
from botocore.exceptions import ClientError

from sagemaker_marimo.jobs import pipeline
from sagemaker_marimo.jobs.cron import Cron
from sagemaker_marimo.jobs.lookup import NotFoundError
from sagemaker_marimo.jobs.sender import Sender
from sagemaker_marimo.jobs.settings import Environment, Refused

Members = dict[str, Any]
NAME = re.compile(r"[a-z0-9](-?[a-z0-9]){0,30}")
# With them, `marimo-job resume` could not tell a schedule from a sweep.
_SWEEP = re.compile(r".*-\d{12}-[0-9a-f]{4}")
STEP = "notebook"
# Variables of the job, which run.sh passes to overlap.py.
PIPELINE = "MARIMO_SCHEDULE"
RUN = "MARIMO_SCHEDULE_RUN"
OVERLAP = "MARIMO_SCHEDULE_OVERLAP"
# The members of UpdateSchedule: it resets those that are missing (EventBridge Scheduler API).
_KEPT = (
    "Name",
    "GroupName",
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "Description",
    "FlexibleTimeWindow",
    "State",
    "Target",
)
_EXECUTION = {"Get": "Execution.PipelineExecutionId"}


def is_valid(name: str) -> bool:
    return NAME.fullmatch(name) is not None and _SWEEP.fullmatch(name) is None


@dataclass(frozen=True)
class Scheduled:
    """A schedule as EventBridge Scheduler has it."""

    members: Members

    @property
    def name(self) -> str:
        return str(self.members["Name"])

    @property
    def is_paused(self) -> bool:
        return bool(self.members["State"] == "DISABLED")

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.members.get("ScheduleExpressionTimezone", "UTC"))

    @property
    def cron(self) -> Cron | None:
        """None if another program wrote the expression."""
        return Cron.of_expression(self.members["ScheduleExpression"])

    @property
    def times(self) -> str:
        cron = self.cron
        text = self.members["ScheduleExpression"] if cron is None else str(cron)
        return f"{text} {self.zone.key}"


@dataclass(frozen=True)
class Schedules:
    """The schedules of one user, in the group that Terraform makes for them."""

    scheduler: Any
    sagemaker: Any
    sender: Sender

    @classmethod
    def of(cls, environment: Environment, sagemaker: Any, sender: Sender) -> "Schedules":
        if environment.role is not None:
            raise Refused(
                [
                    f"everybody in {environment.name} has one role (existing.executionRoleArn), so nobody "
                    "has a schedule group: ask for a schedule in the settings"
                ]
            )
        scheduler = boto3.Session(region_name=environment.region).client("scheduler")
        return cls(scheduler, sagemaker, sender)

    @property
    def group(self) -> str:
        """It has the name of the user's role."""
        return self.sender.role.rpartition("/")[2]

    def pipeline(self, name: str) -> str:
        return f"{self.sender.prefix}-schedule-{name}"

    def names(self) -> list[str]:
        pages = self.scheduler.get_paginator("list_schedules").paginate(GroupName=self.group)
        return [one["Name"] for page in pages for one in page["Schedules"]]

    def find(self, name: str) -> Scheduled | None:
        try:
            return Scheduled(self.scheduler.get_schedule(GroupName=self.group, Name=name))
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return None

    def get(self, name: str) -> Scheduled:
        found = self.find(name)
        if found is None:
            known = ", ".join(self.names()) or "none"
            raise NotFoundError(f"there is no schedule {name}. Your schedules: {known}")
        return found

    def all(self) -> Iterator[Scheduled]:
        yield from (self.get(name) for name in self.names())

    def put(self, name: str, cron: Cron, zone: str, note: str, request: Members, attempts: int) -> None:
        """Creates or replaces the schedule. First the pipeline, which the schedule starts."""
        existing = self.find(name)
        self._put_pipeline(name, note, request, attempts)
        members = {
            "Name": name,
            "GroupName": self.group,
            "ScheduleExpression": cron.expression,
            "ScheduleExpressionTimezone": zone,
            "Description": note[:512],
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "State": "ENABLED",
            "Target": self._target(name),
        }
        if existing is not None:
            self.scheduler.update_schedule(**members)
            return
        try:
            self.scheduler.create_schedule(**members)
        except ClientError:
            # Else it would stay, and nothing would list it.
            self.sagemaker.delete_pipeline(
                PipelineName=self.pipeline(name), ClientRequestToken=str(uuid.uuid4())
            )
            raise

    def _put_pipeline(self, name: str, note: str, request: Members, attempts: int) -> None:
        members = {
            "PipelineName": self.pipeline(name),
            "PipelineDescription": note,
            "PipelineDefinition": pipeline.definition({STEP: request}, attempts),
            "RoleArn": self.sender.role,
        }
        try:
            self.sagemaker.create_pipeline(
                **members, Tags=request.get("Tags", []), ClientRequestToken=str(uuid.uuid4())
            )
        except ClientError as error:
            if "already exists" not in error.response["Error"]["Message"]:
                raise
            self.sagemaker.update_pipeline(**members)

    def _target(self, name: str) -> Members:
        partition = self.sender.role.split(":")[1]
        token = "<aws.scheduler.execution-id>"  # noqa: S105  # not a password
        return {
            "Arn": f"arn:{partition}:scheduler:::aws-sdk:sagemaker:startPipelineExecution",
            "RoleArn": self.sender.role,
            # The id is the same for each attempt of an invocation: a retry starts nothing twice. It is in the
            # token twice, because a token has at least 32 characters, and the User Guide's example has 16.
            "Input": json.dumps(
                {"PipelineName": self.pipeline(name), "ClientRequestToken": f"{token}-{token}"}
            ),
            # As for the schedules of the settings (src/stack/jobs/schedules.ts).
            "RetryPolicy": {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 900},
        }

    def set_state(self, name: str, state: str) -> Scheduled:
        members = {key: value for key, value in self.get(name).members.items() if key in _KEPT}
        self.scheduler.update_schedule(**members | {"State": state})
        return self.get(name)

    def delete(self, name: str) -> bool:
        """Deletes the schedule, then its pipeline. Returns False if a run keeps the pipeline."""
        is_there = self.find(name) is not None
        if is_there:
            self.scheduler.delete_schedule(GroupName=self.group, Name=name)
        try:
            self.sagemaker.delete_pipeline(
                PipelineName=self.pipeline(name), ClientRequestToken=str(uuid.uuid4())
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConflictException":
                return False
            if not pipeline.is_missing(error):
                raise
            if not is_there:
                self.get(name)
        return True


def scheduled_request(request: Members, job: str, pipeline_name: str, overlap: str) -> Members:
    """The request of a schedule's job, from that of a single job: each run has an output of its own."""

    def change(value: Any) -> Any:
        match value:
            case dict():
                return {key: change(one) for key, one in value.items()}
            case list():
                return [change(one) for one in value]
            case str() if value == job:
                # A pipeline appends a hyphen and ten characters.
                return pipeline_name[: pipeline.JOB_NAME_CHARACTERS].rstrip("-")
            case str() if job in value:
                before, after = value.split(job, 1)
                values = [f"{before}{pipeline_name}", _EXECUTION, *([after.strip("/")] if after else [])]
                # As the SageMaker Python SDK's Join and ExecutionVariables write it (workflow/functions.py,
                # execution_variables.py)
                return {"Std:Join": {"On": "/", "Values": values}}
        return value

    changed: Members = change(request)
    if overlap != "allow":
        changed["Environment"] |= {PIPELINE: pipeline_name, RUN: _EXECUTION, OVERLAP: overlap}
    return changed
