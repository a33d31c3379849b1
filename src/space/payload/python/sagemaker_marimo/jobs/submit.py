"""Prepares and sends a job: first all checks, then the sources, then one request."""

import argparse
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_marimo import names, state
from sagemaker_marimo.jobs import lock, notebook, prices, request, sender, sources
from sagemaker_marimo.jobs.settings import Clients, Environment, Refused, read_object


@dataclass(frozen=True)
class Prepared:
    """A job that passed all checks. Nothing has been sent yet."""

    options: request.JobOptions
    sources: sources.Sources
    sender: sender.Sender
    request: dict[str, Any]
    warnings: list[str]

    @property
    def name(self) -> str:
        return str(self.request["ProcessingJobName"])

    def cost(self) -> dict[str, str]:
        most = prices.describe(self.options.instance, self.options.minutes * 60)
        return {"anHour": prices.describe(self.options.instance, 3600), "atMostByTheTimeLimit": most}

    def send(self, clients: Clients, environment: Environment) -> int:
        """Sends the job. Returns the number of files that were uploaded for it."""
        sent = self.sources.upload(clients.s3, environment.bucket, self.sender.folder)
        clients.sagemaker.create_processing_job(**self.request)
        return sent


def marimo_version(s3: Any, environment: Environment) -> str:
    key = f"{names.PAYLOAD}/{environment.payload}/requirements.txt"
    try:
        match = re.search(r"^marimo==([^ ;\\]+)", read_object(s3, environment.bucket, key), re.MULTILINE)
    except ClientError as error:
        raise Refused([f"s3://{environment.bucket}/{key} cannot be read: {error}"]) from None
    if match is None:
        raise Refused([f"s3://{environment.bucket}/{key} does not pin marimo"])
    return match[1]


def prepare(
    clients: Clients, environment: Environment, options: argparse.Namespace, arguments: Sequence[str]
) -> Prepared:
    """Prepares a job from the options of `run`. Raises Refused with all problems at once."""
    path: Path = options.notebook
    marimo = marimo_version(clients.s3, environment)
    job_options = request.JobOptions(
        notebook=path.name,
        arguments=arguments,
        instance=options.instance or environment.instance,
        minutes=environment.max_minutes if options.time_limit is None else options.time_limit,
        volume_gb=environment.volume_gb if options.volume is None else options.volume,
        image=options.image,
        secrets=options.secrets,
    )
    problems = list(notebook.problems(path, environment.python, marimo))
    who = None
    try:
        who = sender.find(environment, options.user)
    except Refused as refused:
        problems += refused.problems
    problems += request.problems(job_options, environment, who)
    text = None
    if path.is_file():
        try:
            text = lock.find(path, options.lock, environment.python, marimo)
        except Refused as refused:
            problems += refused.problems
    collected = sources.collect(path, options.others, text)
    problems += collected.problems
    if problems or who is None:
        raise Refused(problems)
    name = request.job_name(who.prefix, path.name, request.stamp())
    return Prepared(
        options=job_options,
        sources=collected.sources,
        sender=who,
        request=request.build(job_options, environment, collected.sources.sha256, name, who),
        warnings=[
            *collected.warnings,
            *(
                f"the notebook names the file {name}, which is not sent. To send it: --with {name}"
                for name in sources.unsent_files(path, collected.sources)
            ),
            *lock.unmet(state.installed_environment()),
        ],
    )


def dry_run(prepared: Prepared) -> str:
    files = [name for name, _ in prepared.sources.contents()]
    return json.dumps({"request": prepared.request, "files": files, "cost": prepared.cost()}, indent=1)
