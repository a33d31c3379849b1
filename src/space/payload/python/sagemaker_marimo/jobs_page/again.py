"""Runs a job's notebook again as it was sent, with other arguments, on today's payload and settings."""

from collections.abc import Iterator, Sequence
from typing import Any

from sagemaker_marimo import names
from sagemaker_marimo.jobs import request, sources
from sagemaker_marimo.jobs.request import JobOptions
from sagemaker_marimo.jobs.sender import Sender
from sagemaker_marimo.jobs.settings import Clients, Environment, Refused
from sagemaker_marimo.jobs.sweep_store import Store
from sagemaker_marimo.jobs_page import job
from sagemaker_marimo.jobs_page.job import Members

SOURCE = "MARIMO_SOURCE_SHA256"


def is_possible(description: Members) -> bool:
    """Whether the job is a notebook's that this module can send again."""
    return not job.is_training(description) and SOURCE in description.get("Environment", {})


def arguments(description: Members) -> list[str]:
    """The notebook's arguments, without its name."""
    return list(description["AppSpecification"].get("ContainerArguments", []))[1:]


def minutes(description: Members) -> int:
    return int(description["StoppingCondition"]["MaxRuntimeInSeconds"]) // 60


def run(
    clients: Clients,
    environment: Environment,
    who: Sender,
    description: Members,
    *,
    arguments: Sequence[str],
    instance: str,
    minutes: int,
) -> str:
    """Returns the new job's name. Raises Refused with all problems at once."""
    sha256 = description["Environment"][SOURCE]
    options = _options(description, environment, arguments, instance, minutes)
    store = Store(clients.s3, clients.sagemaker, environment.bucket, who.folder)
    problems = list(request.problems(options, environment, who))
    uri = f"s3://{environment.bucket}/{sources.prefix(who.folder, sha256)}/"
    if not store.has_objects(uri):
        problems.append(f"{uri}, the job's files, no longer exists: start the notebook as a new job")
    if problems:
        raise Refused(problems)
    name = request.job_name(who.prefix, options.notebook, request.stamp())
    clients.sagemaker.create_processing_job(**request.build(options, environment, sha256, name, who))
    return name


def _options(
    description: Members, environment: Environment, arguments: Sequence[str], instance: str, minutes: int
) -> JobOptions:
    cluster = description["ProcessingResources"]["ClusterConfig"]
    return JobOptions(
        notebook=description["AppSpecification"]["ContainerArguments"][0],
        arguments=arguments,
        instance=instance,
        minutes=minutes,
        volume_gb=cluster["VolumeSizeInGB"],
        image=_image(description, environment, instance),
        secrets=list(_secrets(description)),
    )


def _image(description: Members, environment: Environment, new: str) -> str | None:
    """The job's own image, or None for the environment's: another kind of instance needs another image, and
    an image of an earlier setting may not be readable any more."""
    uri: str = description["AppSpecification"]["ImageUri"]
    options = JobOptions("", (), new, 1, 1, image=uri)
    other_kind = request.has_gpu(new) != request.has_gpu(job.instance(description))
    return None if other_kind or any(request.image_problems(options, environment)) else uri


def _secrets(description: dict[str, Any]) -> Iterator[str]:
    """Each `NAME=ARN`, as request.build wrote it into the environment."""
    for name, value in description["Environment"].items():
        if name.startswith(names.SECRET_VARIABLE):
            yield f"{name.removeprefix(names.SECRET_VARIABLE)}={value}"
