"""The request of CreateProcessingJob for a notebook. training.py makes that of CreateTrainingJob from it."""

import json
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagemaker_marimo import names
from sagemaker_marimo.jobs import notify, sources, training
from sagemaker_marimo.jobs.sender import Sender, athena_workgroup
from sagemaker_marimo.jobs.settings import Environment

INPUT = training.PROCESSING_INPUT
ENTRYPOINT = [*names.JOB_ENTRYPOINT, f"{INPUT}/runtime/job/run.sh"]
# SageMaker API, AppSpecification: ContainerArguments; ProcessingJobName; VolumeSizeInGB.
MAX_ARGUMENTS = 100
MAX_CHARACTERS = 256
NAME_CHARACTERS = 63
IMAGE = re.compile(r"(?P<repository>\d{12}\.dkr\.ecr\.[a-z0-9.-]+/[a-z0-9._/-]+?)([:@][A-Za-z0-9._:-]+)?")
# src/settings/processing.ts says where this is from.
_INSTANCES = json.loads(Path(__file__).with_name("instances.json").read_text(encoding="utf-8"))
MAX_GB = 16_384


@dataclass(frozen=True)
class JobOptions(training.TrainingOptions):
    """What the user asked for, in addition to the environment's settings."""

    notebook: str
    arguments: Sequence[str]
    instance: str
    minutes: int
    volume_gb: int
    image: str | None = None
    """Another image than the environment's."""
    secrets: Sequence[str] = ()
    """Each `NAME=ARN`."""
    notify: str | None = None
    """Of which end the sender is notified: one of notify.CHOICES. None: of none."""


INSTANCE_TYPES = frozenset(
    f"ml.{family}.{size}" for family, sizes in _INSTANCES["sizes"].items() for size in sizes.split()
)
"""All instance types for Processing jobs. The botocore of the image may not know them all."""


def has_gpu(instance: str) -> bool:
    return re.match(_INSTANCES["gpu"], instance) is not None


def has_local_storage(instance: str) -> bool:
    return re.match(_INSTANCES["localStorage"], instance) is not None


def image(options: JobOptions, environment: Environment) -> str | None:
    return options.image or (environment.gpu_image if has_gpu(options.instance) else environment.image)


def image_problems(options: JobOptions, environment: Environment) -> Iterator[str]:
    if options.image is None:
        if image(options, environment) is None:
            yield (
                f"no image of SageMaker Distribution is known for region {environment.region}: set "
                "jobs.imageUri of the environment"
            )
        return
    known = [IMAGE.fullmatch(uri) for uri in (environment.image, environment.gpu_image) if uri]
    repositories = sorted({match["repository"] for match in known if match})
    match = IMAGE.fullmatch(options.image)
    if match is None or match["repository"] not in repositories:
        yield (
            f"--image {options.image} is in no repository that jobs of {environment.name} can read: "
            f"it must be an image in {' or '.join(repositories)} (jobs.imageUri and jobs.gpuImageUri)"
        )


def secret_problems(options: JobOptions, environment: Environment) -> Iterator[str]:
    for secret in options.secrets:
        name, _, arn = secret.partition("=")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,200}", name):
            yield f"--secret {secret} must be NAME=ARN, with the name of an environment variable"
        elif arn not in environment.secrets:
            known = ", ".join(environment.secrets) or "no secret"
            yield f"--secret {secret}: jobs of {environment.name} can read {known} (jobs.secrets)"


def problems(options: JobOptions, environment: Environment, who: Sender | None) -> Iterator[str]:
    """`who` is None if it is not known, which is another problem."""
    team_types = who.team_types if who else ()
    yield from image_problems(options, environment)
    yield from secret_problems(options, environment)
    yield from training.problems(options, environment, options.minutes)
    yield from notify.problems(options.notify, environment, who)
    if options.instance not in INSTANCE_TYPES:
        yield (
            f"--instance {options.instance} is not an instance type for Processing jobs: it must be one of "
            f"the {len(INSTANCE_TYPES)} types of the SageMaker API (ProcessingInstanceType), such as "
            "ml.m5.large"
        )
    elif environment.allowed is not None and options.instance not in (*environment.allowed, *team_types):
        yield (
            f"--instance {options.instance} is not allowed in {environment.name}: it must be one of "
            f"{', '.join(environment.allowed)} (jobs.allowedInstanceTypes)"
            + (f", or of {', '.join(team_types)} (your teams)" if team_types else "")
        )
    if not 1 <= options.minutes <= environment.max_minutes:
        yield (
            f"--time-limit {options.minutes} must be 1 to {environment.max_minutes} minutes "
            f"(jobs.maximumMinutes of {environment.name})"
        )
    if not 1 <= options.volume_gb <= MAX_GB:
        yield f"--volume {options.volume_gb} must be 1 to {MAX_GB} GB (SageMaker API, VolumeSizeInGB)"
    words = [options.notebook, *options.arguments]
    if len(words) > MAX_ARGUMENTS:
        yield (
            f"there are {len(words)} arguments including the notebook, "
            f"at most {MAX_ARGUMENTS} are allowed (SageMaker API)"
        )
    for word in words:
        if not 1 <= len(word) <= MAX_CHARACTERS:
            yield (
                f"argument {word[:40]!r} has {len(word)} characters, "
                f"but must have 1 to {MAX_CHARACTERS} (SageMaker API)"
            )


def stamp() -> str:
    """The time and four random hex digits, which make a name unique."""
    return f"{time.strftime('%y%m%d%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"


def stem(notebook: str) -> str:
    """A notebook's name as part of a job's: letters in lower case, as in SageMaker's ARNs, digits and single
    hyphens."""
    name = re.sub(r"[^a-z0-9]+", "-", notebook.removesuffix(".py").lower()).strip("-")
    return name or "notebook"


def job_name(prefix: str, notebook: str, end: str) -> str:
    longest = NAME_CHARACTERS - len(prefix) - len(end) - len("--")
    return f"{prefix}-{stem(notebook)[:longest].rstrip('-')}-{end}"


def build(
    options: JobOptions, environment: Environment, source_sha256: str, name: str, sender: Sender
) -> dict[str, Any]:
    bucket = f"s3://{environment.bucket}"
    prefix = f"{bucket}/{sender.folder}"
    output = f"{prefix}/{names.JOBS}/{name}"
    workgroup = athena_workgroup(environment, sender)
    return {
        "ProcessingJobName": name,
        "RoleArn": sender.role,
        "AppSpecification": {
            "ImageUri": image(options, environment),
            "ContainerEntrypoint": ENTRYPOINT,
            "ContainerArguments": [options.notebook, *options.arguments],
        },
        "Environment": {
            # SageMaker sets no region in a container.
            "AWS_DEFAULT_REGION": environment.region,
            "AWS_REGION": environment.region,
            "MARIMO_BUCKET": environment.bucket,
            "MARIMO_PAYLOAD_SHA256": environment.payload_sha256,
            "MARIMO_SOURCE_SHA256": source_sha256,
            "MARIMO_JOB_OUTPUT": output,
            "MARIMO_PREFIX": prefix,
            # The second is PyAthena's own.
            **dict.fromkeys(
                ("MARIMO_ATHENA_WORKGROUP", "AWS_ATHENA_WORK_GROUP") if workgroup else (), workgroup
            ),
            # As in the user's space: IAM allows the user's SageMaker resources by it.
            **({} if sender.prefix == environment.prefix else {"MARIMO_NAME_PREFIX": sender.prefix}),
            **notify.variables(options.notify, environment, sender),
            # job_run.py replaces each by a variable with the secret's value.
            **dict(f"{names.SECRET_VARIABLE}{secret}".split("=", 1) for secret in options.secrets),
        },
        "ProcessingInputs": [
            _input("runtime", f"{bucket}/{names.PAYLOAD}/{environment.payload}/"),
            _input("source", f"{bucket}/{sources.prefix(sender.folder, source_sha256)}/"),
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "result",
                    "S3Output": {
                        "S3Uri": output,
                        "LocalPath": "/opt/ml/processing/output",
                        "S3UploadMode": "Continuous",
                    },
                }
            ],
            "KmsKeyId": environment.key,
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": options.instance,
                "VolumeSizeInGB": options.volume_gb,
                **({} if has_local_storage(options.instance) else {"VolumeKmsKeyId": environment.key}),
            }
        },
        "NetworkConfig": {
            "VpcConfig": {
                # Only several nodes may reach one another.
                "SecurityGroupIds": environment.node_groups if options.nodes > 1 else environment.groups,
                "Subnets": environment.subnets,
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": options.minutes * 60},
        "Tags": [
            {"Key": key, "Value": value}
            for key, value in {**environment.tags, **names.user_tag(sender.folder)}.items()
        ],
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
