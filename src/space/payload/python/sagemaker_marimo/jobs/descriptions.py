"""Descriptions of jobs, in the members of DescribeProcessingJob for both kinds of jobs.

That of a training job has its own members too.
"""

import heapq
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

Description = dict[str, Any]
"""The response of DescribeProcessingJob, or that of DescribeTrainingJob with the members of the former."""

# DescribeProcessingJob and DescribeTrainingJob document the first code. The second was seen for a missing
# training job (aws/sagemaker-python-sdk#326), and is that of names that no job can have.
MISSING = ("ResourceNotFound", "ValidationException")


def is_training(description: Description) -> bool:
    return "TrainingJobName" in description


def describe(sagemaker: Any, job: str, last: Description | None = None) -> Description:
    """`last` is an earlier description of the same job, if there is one: its kind is then known."""
    if last is None or not is_training(last):
        try:
            description: Description = sagemaker.describe_processing_job(ProcessingJobName=job)
        except ClientError as error:
            if last is not None or error.response["Error"]["Code"] not in MISSING:
                raise
        else:
            return description
    return of_training(sagemaker.describe_training_job(TrainingJobName=job))


def stop(sagemaker: Any, job: str, description: Description) -> None:
    if is_training(description):
        sagemaker.stop_training_job(TrainingJobName=job)
    else:
        sagemaker.stop_processing_job(ProcessingJobName=job)


def of_training(job: Description) -> Description:
    """Also of a summary of ListTrainingJobs."""
    same = {
        "ProcessingJobName": "TrainingJobName",
        "ProcessingJobStatus": "TrainingJobStatus",
        "ProcessingStartTime": "TrainingStartTime",
        "ProcessingEndTime": "TrainingEndTime",
    }
    members: Description = {name: job[own] for name, own in same.items() if own in job}
    if "OutputDataConfig" in job:
        output = {"S3Uri": job["OutputDataConfig"]["S3OutputPath"]}
        members["ProcessingOutputConfig"] = {"Outputs": [{"OutputName": "result", "S3Output": output}]}
    if "ResourceConfig" in job:
        members["ProcessingResources"] = {"ClusterConfig": job["ResourceConfig"]}
    return job | members


def interruptions(description: Description) -> int:
    """How often AWS took Spot instances away (SageMaker API, SecondaryStatusTransitions)."""
    transitions = description.get("SecondaryStatusTransitions", [])
    return sum(one["Status"] == "Interrupted" for one in transitions)


def is_on_spot(description: Description) -> bool:
    return bool(description.get("EnableManagedSpotTraining"))


def summaries(sagemaker: Any, prefix: str) -> Iterator[dict[str, Any]]:
    """The summaries of jobs of both kinds with the prefix in their names, newest first."""

    def pages(kind: str) -> Iterator[dict[str, Any]]:
        for page in sagemaker.get_paginator(f"list_{kind}_jobs").paginate(
            NameContains=f"{prefix}-",
            SortBy="CreationTime",
            SortOrder="Descending",
            PaginationConfig={"PageSize": 100},
        ):
            yield from page[f"{kind.capitalize()}JobSummaries"]

    training = (of_training(one) for one in pages("training"))
    return heapq.merge(pages("processing"), training, key=lambda one: one["CreationTime"], reverse=True)
