"""One job of either kind, from its description."""

from datetime import UTC, datetime
from typing import Any

from sagemaker_marimo.jobs import descriptions, follow, results
from sagemaker_marimo.jobs.descriptions import Description, is_training

TRAINING = "training"


def describe(sagemaker: Any, name: str, kind: str) -> Description:
    if kind == TRAINING:
        return descriptions.of_training(sagemaker.describe_training_job(TrainingJobName=name))
    return descriptions.describe(sagemaker, name)


def has_ended(description: Description) -> bool:
    return description["ProcessingJobStatus"] in follow.TERMINAL_STATUSES


def billed_seconds(description: Description, now: datetime | None = None) -> float:
    """Of a job that runs: those so far."""
    start = description.get("ProcessingStartTime")
    if has_ended(description) or start is None:
        return results.seconds(description)
    return max(0.0, float(((now or datetime.now(UTC)) - start).total_seconds()))


def status_line(s3: Any, description: Description, now: datetime) -> str:
    """Other programs' jobs have no output of a notebook."""
    outputs = description.get("ProcessingOutputConfig", {}).get("Outputs", [])
    has_result = any(one["OutputName"] == "result" for one in outputs)
    return follow.status_line(description, results.fetch_result(s3, description) if has_result else {}, now)


def log(logs: Any, description: Description) -> follow.Log:
    return follow.Log(logs, description["ProcessingJobName"], training=is_training(description))
