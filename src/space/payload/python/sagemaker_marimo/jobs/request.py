"""The request of CreateProcessingJob for a notebook."""

import re
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sagemaker_marimo.jobs.settings import Environment

INPUT = "/opt/ml/processing/input"
ENTRYPOINT = ["/bin/bash", f"{INPUT}/runtime/job/run.sh"]
# SageMaker API, AppSpecification: ContainerArguments; ProcessingJobName; VolumeSizeInGB.
MOST_ARGUMENTS = 100
MOST_CHARACTERS = 256
NAME_CHARACTERS = 63
MOST_GB = 16_384


@dataclass(frozen=True)
class Wish:
    """What a person asks for, beside the notebook."""

    notebook: str
    arguments: Sequence[str]
    instance: str
    minutes: int
    volume_gb: int


def problems(wish: Wish, environment: Environment, known: Sequence[str]) -> Iterator[str]:
    if environment.image is None:
        yield (
            f"region {environment.region} has no image of SageMaker Distribution that is known: set "
            "jobs.imageUri of the environment"
        )
    if wish.instance not in known:
        yield (
            f"--instance {wish.instance} is no instance type of processing jobs: one of the {len(known)} of "
            "the SageMaker API (ProcessingInstanceType), such as ml.m5.large"
        )
    elif environment.allowed is not None and wish.instance not in environment.allowed:
        yield (
            f"--instance {wish.instance} is not allowed in {environment.name}: "
            f"{', '.join(environment.allowed)} (jobs.allowedInstanceTypes)"
        )
    if not 1 <= wish.minutes <= environment.most_minutes:
        yield (
            f"--time-limit {wish.minutes} is outside 1 to {environment.most_minutes} minutes "
            f"(jobs.maximumMinutes of {environment.name})"
        )
    if not 1 <= wish.volume_gb <= MOST_GB:
        yield f"--volume {wish.volume_gb} is outside 1 to {MOST_GB} GB (SageMaker API, VolumeSizeInGB)"
    words = [wish.notebook, *wish.arguments]
    if len(words) > MOST_ARGUMENTS:
        yield f"{len(words)} arguments: at most {MOST_ARGUMENTS}, with the notebook's name (SageMaker API)"
    for word in words:
        if not 1 <= len(word) <= MOST_CHARACTERS:
            yield (
                f"argument {word[:40]!r} has {len(word)} characters: 1 to {MOST_CHARACTERS} (SageMaker API)"
            )


def stamp() -> str:
    """Of the time, and four digits of chance: what makes a name one of its own."""
    return f"{time.strftime('%y%m%d%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"


def stem(notebook: str) -> str:
    """A notebook's name as part of a job's: letters, digits and single hyphens."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", notebook.removesuffix(".py")).strip("-")
    return name or "notebook"


def job_name(prefix: str, notebook: str, end: str) -> str:
    longest = NAME_CHARACTERS - len(prefix) - len(end) - len("--")
    return f"{prefix}-{stem(notebook)[:longest].rstrip('-')}-{end}"


def output_prefix(name: str) -> str:
    return f"marimo/jobs/{name}"


def build(wish: Wish, environment: Environment, source_prefix: str, name: str) -> dict[str, Any]:
    bucket = f"s3://{environment.bucket}"
    output = f"{bucket}/{output_prefix(name)}"
    return {
        "ProcessingJobName": name,
        "RoleArn": environment.role,
        "AppSpecification": {
            "ImageUri": environment.image,
            "ContainerEntrypoint": ENTRYPOINT,
            "ContainerArguments": [wish.notebook, *wish.arguments],
        },
        "Environment": {
            # SageMaker gives a container no region.
            "AWS_DEFAULT_REGION": environment.region,
            "AWS_REGION": environment.region,
            "MARIMO_BUCKET": environment.bucket,
            "MARIMO_JOB_NAME": name,
            "MARIMO_JOB_OUTPUT": output,
        },
        "ProcessingInputs": [
            _input("runtime", f"{bucket}/marimo/payload/{environment.payload}/"),
            _input("source", f"{bucket}/{source_prefix}"),
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "result",
                    "S3Output": {
                        "S3Uri": output,
                        "LocalPath": "/opt/ml/processing/output",
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ],
            "KmsKeyId": environment.key,
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": wish.instance,
                "VolumeSizeInGB": wish.volume_gb,
                "VolumeKmsKeyId": environment.key,
            }
        },
        "NetworkConfig": {
            "VpcConfig": {"SecurityGroupIds": environment.groups, "Subnets": environment.subnets}
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": wish.minutes * 60},
        "Tags": [{"Key": key, "Value": value} for key, value in environment.tags.items()],
    }


def _input(name: str, uri: str) -> dict[str, Any]:
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": f"{INPUT}/{name}",
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
            "S3DataDistributionType": "FullyReplicated",
        },
    }
