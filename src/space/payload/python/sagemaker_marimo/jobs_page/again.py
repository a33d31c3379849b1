"""Runs a job's notebook again as it was sent, with other arguments, on today's payload and settings."""

from collections.abc import Iterator, Sequence

from sagemaker_marimo import job_notify, names
from sagemaker_marimo.jobs import request, results, sources, training
from sagemaker_marimo.jobs.descriptions import Description, is_on_spot, is_training
from sagemaker_marimo.jobs.request import JobOptions
from sagemaker_marimo.jobs.sender import Sender
from sagemaker_marimo.jobs.settings import Clients, Environment, Refused
from sagemaker_marimo.jobs.sweep_store import Store

SOURCE = "MARIMO_SOURCE_SHA256"


def is_possible(description: Description) -> bool:
    """Whether the job is a notebook's, and not another program's."""
    return SOURCE in description.get("Environment", {})


def arguments(description: Description) -> list[str]:
    """The notebook's arguments, without its name."""
    return _words(description)[1:]


def _words(description: Description) -> list[str]:
    application = description["AlgorithmSpecification" if is_training(description) else "AppSpecification"]
    return list(application["ContainerArguments"])


def minutes(description: Description) -> int:
    return int(description["StoppingCondition"]["MaxRuntimeInSeconds"]) // 60


def run(
    clients: Clients,
    environment: Environment,
    who: Sender,
    description: Description,
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
    single = request.build(options, environment, sha256, name, who)
    training.create(clients.sagemaker, training.final(single, options))
    return name


def _options(
    description: Description, environment: Environment, arguments: Sequence[str], instance: str, minutes: int
) -> JobOptions:
    cluster = description["ProcessingResources"]["ClusterConfig"]
    warm = cluster.get("KeepAlivePeriodInSeconds")
    return JobOptions(
        notebook=_words(description)[0],
        arguments=arguments,
        instance=instance,
        minutes=minutes,
        volume_gb=cluster["VolumeSizeInGB"],
        image=_image(description, environment, instance),
        secrets=list(_secrets(description)),
        notify=description["Environment"].get(job_notify.ON),
        spot=is_on_spot(description),
        nodes=results.instances(description),
        warm_minutes=None if warm is None else warm // 60,
        checkpoints="CheckpointConfig" in description,
    )


def _image(description: Description, environment: Environment, new: str) -> str | None:
    """The job's own image, or None for the environment's: another kind of instance needs another image, and
    an image of an earlier setting may not be readable any more."""
    uri: str = (
        description["AlgorithmSpecification"]["TrainingImage"]
        if is_training(description)
        else description["AppSpecification"]["ImageUri"]
    )
    options = JobOptions(notebook="", arguments=(), instance=new, minutes=1, volume_gb=1, image=uri)
    other_kind = request.has_gpu(new) != request.has_gpu(results.instance(description))
    return None if other_kind or any(request.image_problems(options, environment)) else uri


def _secrets(description: Description) -> Iterator[str]:
    """Each `NAME=ARN`, as request.build wrote it into the environment."""
    for name, value in description["Environment"].items():
        if name.startswith(names.SECRET_VARIABLE):
            yield f"{name.removeprefix(names.SECRET_VARIABLE)}={value}"
