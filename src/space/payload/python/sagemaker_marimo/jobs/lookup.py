"""Finds a job or a sweep by its name. If there is none, says which names are similar."""

from difflib import get_close_matches
from itertools import islice

from botocore.exceptions import ClientError

from sagemaker_marimo.jobs import descriptions, sender
from sagemaker_marimo.jobs.descriptions import MISSING, Description
from sagemaker_marimo.jobs.sender import Sender
from sagemaker_marimo.jobs.settings import Clients, Environment
from sagemaker_marimo.jobs.sweep_store import Store

# IAM lets people describe only their own jobs.
DENIED = "AccessDeniedException"
MOST_SIMILAR = 3


class NotFoundError(Exception):
    """No job or sweep has this name. The message says what to do."""


def store(clients: Clients, environment: Environment, who: Sender) -> Store:
    return Store(clients.s3, clients.sagemaker, environment.bucket, who.folder)


def reader_store(clients: Clients, environment: Environment, user: str | None) -> Store:
    return store(clients, environment, sender.reader(environment, user))


def sweep_store(clients: Clients, environment: Environment, user: str | None, name: str) -> Store:
    """The store of this sweep. Raises NotFoundError if there is none."""
    found = store(clients, environment, sender.find(environment, user))
    check_sweep(found, environment.prefix, name)
    return found


def job(store: Store, prefix: str, name: str) -> Description:
    """The description of a job. Raises NotFoundError, also for a sweep."""
    found = _job(store, prefix, name)
    if found is not None:
        return found
    if is_sweep(store, name):
        raise NotFoundError(f"{name} is a sweep, not a job. To show it: marimo-job sweep {name}")
    raise NotFoundError(_missing(store, prefix, name, "job"))


def check_sweep(store: Store, prefix: str, name: str) -> None:
    """Raises NotFoundError if there is no sweep with this name."""
    if is_sweep(store, name):
        return
    if _job(store, prefix, name) is not None:
        raise NotFoundError(f"{name} is a job, not a sweep. To show it: marimo-job status {name}")
    raise NotFoundError(_missing(store, prefix, name, "sweep"))


def is_sweep(store: Store, name: str) -> bool:
    return store.get(f"{name}/sweep.json") is not None


def _job(store: Store, prefix: str, name: str) -> Description | None:
    # IAM denies other names, whether they exist or not.
    if not name.startswith(f"{prefix}-"):
        return None
    try:
        return descriptions.describe(store.sagemaker, name)
    except ClientError as error:
        if error.response["Error"]["Code"] == DENIED:
            raise NotFoundError(
                f"{name} is not your job: only its sender can see, follow or stop it"
            ) from None
        if error.response["Error"]["Code"] not in MISSING:
            raise
        return None


def _missing(store: Store, prefix: str, name: str, kind: str) -> str:
    # Only the newest: an account may have many.
    newest = islice(descriptions.summaries(store.sagemaker, prefix), 300)
    names = [summary["ProcessingJobName"] for summary in newest]
    names = [*reversed(store.names()), *names]
    part_of = [one for one in names if name in one]
    similar = dict.fromkeys([*part_of, *get_close_matches(name, names, MOST_SIMILAR)])
    lines = [f"there is no {kind} {name}"]
    if similar:
        lines += ["Similar names:", *(f"  {one}" for one in islice(similar, MOST_SIMILAR))]
    return "\n".join([*lines, "To list all jobs and sweeps: marimo-job list"])
