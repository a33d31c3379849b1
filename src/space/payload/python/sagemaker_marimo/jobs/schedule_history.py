"""The last runs of a schedule, from its pipeline's executions and their jobs."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_marimo.jobs import follow, pipeline, prices, results
from sagemaker_marimo.jobs.descriptions import describe
from sagemaker_marimo.jobs.schedule import Scheduled, Schedules
from sagemaker_marimo.jobs.sweep import THREADS

Members = dict[str, Any]
# PipelineExecutionStatus in the words of `marimo-job list`.
_STATES = {
    "Executing": "running",
    "Stopping": "stopping",
    "Stopped": "stopped",
    "Failed": "failed",
    "Succeeded": "done",
}
SKIPPED = "skipped"
# MaximumEventAgeInSeconds in schedule.py, and a minute in which EventBridge Scheduler invokes.
_LATEST = timedelta(minutes=16)


@dataclass(frozen=True)
class Run:
    started: datetime
    state: str
    job: str | None = None
    """None if there was none, or not yet."""
    instance: str = ""
    seconds: float = 0.0
    output: str = ""
    reason: str = ""

    @property
    def dollars(self) -> float | None:
        return prices.cost(self.instance, self.seconds) if self.job else 0.0

    @property
    def facts(self) -> Members:
        """For --json."""
        return vars(self) | {"started": self.started.isoformat(), "dollars": self.dollars}

    @property
    def text(self) -> str:
        parts = [f"{self.started:%Y-%m-%d %H:%M} UTC", self.state]
        if self.seconds:
            parts.append(f"after {follow.duration(self.seconds)}")
        if self.dollars:
            parts.append(f"{self.dollars:.4f} USD")
        parts += [one for one in (self.job, self.output) if one]
        return "  ".join(parts) + (f"\n    {self.reason.splitlines()[-1]}" if self.reason else "")


def last_executions(schedules: Schedules, name: str, most: int) -> list[Members]:
    """The summaries, newest first."""
    try:
        pages = schedules.sagemaker.get_paginator("list_pipeline_executions").paginate(
            PipelineName=schedules.pipeline(name),
            SortBy="CreationTime",
            SortOrder="Descending",
            PaginationConfig={"MaxItems": most, "PageSize": min(most, 100)},
        )
        return [one for page in pages for one in page["PipelineExecutionSummaries"]]
    except ClientError as error:
        if not pipeline.is_missing(error):
            raise
        return []


def state_of(summary: Members) -> str:
    return _STATES[summary["PipelineExecutionStatus"]]


def runs(schedules: Schedules, name: str, most: int) -> list[Run]:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(
            pool.map(lambda one: _run(schedules.sagemaker, one), last_executions(schedules, name, most))
        )


def _run(sagemaker: Any, summary: Members) -> Run:
    started, state = summary["StartTime"].astimezone(UTC), state_of(summary)
    arn = summary["PipelineExecutionArn"]
    steps = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)["PipelineExecutionSteps"]
    if not steps:
        return Run(started, state, reason=summary.get("PipelineExecutionFailureReason", ""))
    metadata = steps[0].get("Metadata", {})
    made = metadata.get("ProcessingJob") or metadata.get("TrainingJob")
    if made is None:
        return Run(started, state, reason=steps[0].get("FailureReason", ""))
    job = made["Arn"].rsplit("/", 1)[-1]
    description = describe(sagemaker, job)
    message = description.get("ExitMessage", "")
    # That of overlap.py.
    if state == _STATES["Succeeded"] and message.startswith(f"{SKIPPED}: "):
        state = SKIPPED
    bucket, prefix = results.output_of(description)
    return Run(
        started,
        state,
        job,
        results.instance(description),
        results.seconds(description),
        f"s3://{bucket}/{prefix}",
        results.reason(description),
    )


def missed(scheduled: Scheduled, executions: list[Members], now: datetime) -> datetime | None:
    """The last time at which a run was due and none started, such as if IAM no longer allows it. EventBridge
    Scheduler reports such a failure to nobody."""
    cron = scheduled.cron
    if cron is None or scheduled.is_paused:
        return None
    # Since the last change: before it, the times were others, or the schedule was paused.
    since = max(scheduled.members["LastModificationDate"].astimezone(UTC), now - timedelta(days=31))
    last = None
    for moment in cron.times(since, scheduled.zone):
        if moment > now - _LATEST:
            break
        last = moment
    newest = executions[0]["StartTime"].astimezone(UTC) if executions else None
    return last if last is not None and (newest is None or newest < last) else None
