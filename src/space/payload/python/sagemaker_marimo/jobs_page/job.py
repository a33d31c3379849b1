"""One job: its description, in the members of DescribeProcessingJob for both kinds, and its log."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_marimo.jobs import follow, results, states

Members = dict[str, Any]
TRAINING = "training"
TRAINING_LOG_GROUP = "/aws/sagemaker/TrainingJobs"
MOST_STREAMS = 50
"""CloudWatch Logs API, DescribeLogStreams: limit."""


def describe(sagemaker: Any, name: str, kind: str) -> Members:
    if kind == TRAINING:
        return _of_training(sagemaker.describe_training_job(TrainingJobName=name))
    return follow.describe(sagemaker, name)


def _of_training(description: Members) -> Members:
    same = {
        "ProcessingJobName": "TrainingJobName",
        "ProcessingJobStatus": "TrainingJobStatus",
        "ProcessingStartTime": "TrainingStartTime",
        "ProcessingEndTime": "TrainingEndTime",
    }
    output = {"S3Uri": description["OutputDataConfig"]["S3OutputPath"]}
    members = {name: description[own] for name, own in same.items() if own in description}
    return {
        **description,
        **members,
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "result", "S3Output": output}]},
        "ProcessingResources": {"ClusterConfig": description["ResourceConfig"]},
    }


def is_training(description: Members) -> bool:
    return "TrainingJobName" in description


def name(description: Members) -> str:
    return str(description["ProcessingJobName"])


def instance(description: Members) -> str:
    return results.instance(description)


def instances(description: Members) -> int:
    return int(description["ProcessingResources"]["ClusterConfig"]["InstanceCount"])


def has_ended(description: Members) -> bool:
    return description["ProcessingJobStatus"] in follow.TERMINAL_STATUSES


def billed_seconds(description: Members, now: datetime | None = None) -> float:
    """Of a job that runs: those so far."""
    # Of training jobs: Spot's discount is in it (SageMaker API, BillableTimeInSeconds).
    if "BillableTimeInSeconds" in description:
        return float(description["BillableTimeInSeconds"])
    start = description.get("ProcessingStartTime")
    if start is None:
        return 0.0
    end = description.get("ProcessingEndTime") or now or datetime.now(UTC)
    return max(0.0, float((end - start).total_seconds()))


def has_result(description: Members) -> bool:
    """Whether this is a notebook's job. Other programs' jobs have no output with this name."""
    outputs = description.get("ProcessingOutputConfig", {}).get("Outputs", [])
    return any(one["OutputName"] == "result" for one in outputs)


def status_line(s3: Any, description: Members, now: datetime) -> str:
    result = results.fetch_result(s3, description) if has_result(description) else {}
    return follow.status_line(description, result, now)


def state_of(description: Members) -> str:
    return states.of_job(description, {})


class Log:
    """The lines of a job's log, each once."""

    def __init__(self, logs: Any, description: Members) -> None:
        self._logs = logs
        self._name = name(description)
        self._processing = None if is_training(description) else follow.Log(logs, self._name)
        self._tokens: dict[str, str | None] = {}
        """By stream. A training job has one for each instance and, after an interruption, further ones."""

    def new_lines(self) -> Iterator[str]:
        if self._processing is not None:
            yield from self._processing.new_lines()
            return
        try:
            yield from self._training()
        except ClientError as error:
            # The first job in a region creates the log group.
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise

    def _training(self) -> Iterator[str]:
        found = self._logs.describe_log_streams(
            logGroupName=TRAINING_LOG_GROUP, logStreamNamePrefix=f"{self._name}/", limit=MOST_STREAMS
        )
        for one in found["logStreams"]:
            yield from self._stream(one["logStreamName"])

    def _stream(self, stream: str) -> Iterator[str]:
        while True:
            token = self._tokens.get(stream)
            page = self._logs.get_log_events(
                logGroupName=TRAINING_LOG_GROUP,
                logStreamName=stream,
                startFromHead=True,
                **({} if token is None else {"nextToken": token}),
            )
            yield from (event["message"] for event in page["events"])
            # Only an unchanged token marks the end (CloudWatch Logs API, GetLogEvents).
            if page["nextForwardToken"] == token:
                return
            self._tokens[stream] = page["nextForwardToken"]
